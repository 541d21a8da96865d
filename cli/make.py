"""`symdata make`: build a dataset folder from a source or recipe, a symmetry and a seed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options.basic import SYMMETRY, json_option, print_json, progress_bar

if TYPE_CHECKING:
    from symdata.store.dataset_folder import Made

RUN = ("num_shards", "device", "workers", "batch_size", "overwrite", "resume", "dry_run")
"""The options that do not describe the dataset."""


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
    type=click.Choice(["auto", "exact", "halves", "thirds", "spline", "bilinear", "bicubic", "nearest"]),
    default="auto",
    help="Interpolation between pixels.  [auto: exact if possible, else halves for every image]",
)
@click.option("--mask", type=click.Choice(["auto", "disk", "none"]), default="auto", help="auto: disk if resampled.")
@click.option(
    "--padding",
    type=click.Choice(["border", "zeros", "reflection"]),
    default="border",
    help="Pixels outside of the image.",
)
@click.option(
    "--supersample", type=click.IntRange(1, 16), default=1, help="Samples per pixel and axis; 3 as for RotMNIST."
)
@click.option("--num-shards", type=click.IntRange(1), help="Parquet files per split.  [one per 512 MiB of pixels]")
@click.option("--device", default="cpu", show_default=True, help="Where images are moved: cpu, cuda, cuda:1, mps.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--batch-size", type=click.IntRange(1), help="Images moved at a time; changes no byte.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder.  [named after source and symmetry]")
@click.option("--overwrite", is_flag=True, help="Replace an existing dataset.")
@click.option("--resume", is_flag=True, help="Finish a build that was killed.")
@click.option("--dry-run", is_flag=True, help="Say what would be built; write nothing.")
@json_option
def command(what: str, source: str | None, out: Path | None, as_json: bool, **options: Any) -> None:
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

    run = {name: options.pop(name) for name in RUN}
    names = levels(what) if _is_recipe(what, source) else [what]
    if source is not None:
        options["source"] = source
    if len(names) > 1 and not run["resume"]:
        for name in names:  # before the first of a family is built, so that none is built alone
            check_target((out or Path()) / name, run["overwrite"])
    results = []
    for name in names:
        folder = out / name if out is not None and len(names) > 1 else out
        results.append(_build(name, folder, options, run))
        if not as_json:
            click.echo(results[-1])
    if as_json:
        dictionaries = [result.to_dict() for result in results]
        print_json(dictionaries if len(names) > 1 else dictionaries[0])


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


def _build(what: str, out: Path | None, spec: dict[str, Any], run: dict[str, Any]) -> "Made":
    """Build one dataset with a progress bar."""
    from symdata.store.dataset_folder import make, plan_dataset

    plan = plan_dataset(what, run["device"], **spec)
    with progress_bar(sum(map(len, plan.samples.values())), plan.name) as bar:
        try:
            return make(plan, out, progress=bar.update, **run)
        except KeyboardInterrupt:
            click.echo("\nstopped; the same command with --resume goes on from here", err=True)
            raise
