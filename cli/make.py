"""`symdata make`: a source or recipe, a symmetry, a seed: a dataset folder."""

from pathlib import Path
from typing import Any

import click

from cli.options.basic import SYMMETRY, json_option, print_json, progress_bar


@click.command("make")
@click.argument("what", default="glyphs", metavar="[SOURCE|RECIPE]")
@click.option("--source", help="For a recipe: the source, if not the recipe's own.")
@click.option(
    "--symmetry", type=SYMMETRY, help="none, c4, d4-partial, so2@-45..45, 0-4:d4,rest:none ...  [the recipe's, or none]"
)
@click.option("--test-symmetry", type=SYMMETRY, help="Of the test split, if it differs.")
@click.option(
    "--size", type=click.IntRange(2, 4096), help="Side of the upright images in pixels.  [as they come; glyphs 28]"
)
@click.option(
    "--resize",
    type=click.Choice(["bilinear", "bicubic", "area", "pad"]),
    default="bilinear",
    help="How --size is reached.",
)
@click.option("--count", type=click.IntRange(1), help="Images in the training split; the others in proportion.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of training images held out.  [recipes 1/6, else 0]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--resample",
    type=click.Choice(["auto", "exact", "spline", "bilinear", "bicubic", "nearest"]),
    default="auto",
    help="How pixels are read off the lattice.  [auto: exact if possible, else spline for every image]",
)
@click.option("--mask", type=click.Choice(["auto", "disk", "none"]), default="auto", help="auto: disk if resampled.")
@click.option(
    "--padding",
    type=click.Choice(["border", "zeros", "reflection"]),
    default="border",
    help="What is read from outside.",
)
@click.option(
    "--supersample", type=click.IntRange(1, 16), default=1, help="Samples per pixel and axis; 3 is the RotMNIST way."
)
@click.option("--num-shards", type=click.IntRange(1), help="Parquet files per split.  [one per 512 MiB of pixels]")
@click.option("--device", default="cpu", show_default=True, help="Where images are moved: cpu, cuda, cuda:1, mps.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--batch-size", type=click.IntRange(1), help="Images moved at a time; changes no byte.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder.  [named after source and symmetry]")
@click.option("--overwrite", is_flag=True, help="Replace a dataset that stands there.")
@click.option("--resume", is_flag=True, help="Go on with a build that was killed.")
@click.option("--dry-run", is_flag=True, help="Say what would be built; write nothing.")
@json_option
def command(what: str, source: str | None, out: Path | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Build a dataset whose symmetry is known.

    SOURCE is glyphs (the default), a folder or parquet file, or hub:user/name[@revision]; `symdata sources` lists them.
    RECIPE is a dataset of the literature; `symdata recipes` lists them.

    \b
      symdata make --symmetry d4-partial
      symdata make data/mnist --symmetry so2@-45..45 --test-symmetry so2 --out mnist-45
      symdata make rotmnist --source data/mnist --workers 4
    """
    from symdata.recipes.catalog import levels
    from symdata.store.dataset_folder import check_target

    run = {name: options.pop(name) for name in ("num_shards", "device", "workers", "batch_size", "overwrite", "resume")}
    recipe = _is_recipe(what, source)
    names = levels(what) if recipe else [what]
    results = []
    if len(names) > 1 and not run["resume"]:
        for name in names:  # before the first of a family is built, so that none stands alone
            check_target((out or Path()) / name, run["overwrite"])
    for name in names:
        chosen = {"recipe": name, "source": source} if recipe else {"source": None if name == "glyphs" else name}
        place = out / name if out is not None and len(names) > 1 else out
        results.append(_make_one({**chosen, **options}, place, run, dry_run, quiet=as_json))
    if as_json:
        print_json(results if len(names) > 1 else results[0])


def _is_recipe(what: str, source: str | None) -> bool:
    """Whether `what` is a recipe; a usage error for a name that is close to one and nothing else."""
    from difflib import get_close_matches

    from symdata.recipes.catalog import is_recipe, list_recipes

    if is_recipe(what):
        return True
    if source is not None:
        raise click.UsageError(f"--source is for recipes, and {what!r} is a source; name one of the two.")
    close = get_close_matches(what, [recipe.name for recipe in list_recipes()], n=1)
    here = Path(what).parent  # a source may be the beginning of a name: emnist-digits for emnist-digits-train-images...
    if close and not (here.is_dir() and any(path.name.startswith(Path(what).name) for path in here.iterdir())):
        raise click.UsageError(f"{what!r} is no recipe and no file here; did you mean {close[0]}?")
    return False


def _make_one(fields: dict[str, Any], out: Path | None, run: dict[str, Any], dry_run: bool, quiet: bool) -> Any:
    """Build one dataset and say so; what `--json` prints of it."""
    from symdata.recipes.plan import resolve
    from symdata.recipes.spec import Spec
    from symdata.store.dataset_folder import check_target, make

    plan = resolve(Spec(**fields), run["device"])
    folder = out if out is not None else Path(plan.name)
    total = sum(len(samples) for samples in plan.samples.values())
    if dry_run:
        check_target(folder, run["overwrite"])
        _say(quiet, str(plan), f"would be written to {folder}")
        return {"folder": str(folder), **plan.to_dict()}
    with progress_bar(total, plan.name) as bar:
        try:
            made = make(plan, folder, progress=bar.update, **run)
        except KeyboardInterrupt:
            click.echo("\nstopped; the same command with --resume goes on from here", err=True)
            raise
    _say(quiet, str(plan), f"dataset  {made.folder}", f"picture  {made.preview}")
    return {"folder": str(made.folder), "preview": str(made.preview), "manifest": made.manifest}


def _say(quiet: bool, *lines: str) -> None:
    if not quiet:
        click.echo("\n".join(lines))
