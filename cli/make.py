"""`symdata make`: build a dataset folder from a source or recipe, a symmetry and a seed."""

from pathlib import Path
from typing import Any

import click

from cli.options.basic import SYMMETRY, json_option, print_json, resumable
from cli.options.fields import field_options
from symdata.recipes.spec import MAX_SIZE, Spec

DESCRIBE = (
    "source", "symmetry", "test_symmetry", "size", "resize", "count", "validation", "test", "group_by",
    "seed", "resample", "mask", "padding", "supersample", "skip_bad",
)  # fmt: skip
"""The options that describe the dataset: fields of its `Spec`."""

TYPES = {
    "symmetry": SYMMETRY,
    "test_symmetry": SYMMETRY,
    "size": click.IntRange(2, MAX_SIZE),
    "count": click.IntRange(1),
    "validation": click.FloatRange(0, 1, max_open=True),
    "test": click.FloatRange(0, 1, max_open=True),
    "supersample": click.IntRange(1, 16),
    "skip_bad": click.IntRange(0),
}
"""Of those with a form or with bounds that the help shows."""

RUN = ("num_shards", "device", "workers", "batch_size", "overwrite", "resume", "dry_run")
"""The options that do not describe the dataset."""


@click.command("make")
@click.argument("what", default="glyphs", metavar="[SOURCE|RECIPE]")
@field_options(Spec, TYPES, DESCRIBE, defaults=False)
@click.option("--num-shards", type=click.IntRange(1), help="Parquet files per split.  [one per 512 MiB of pixels]")
@click.option("--device", default="cpu", show_default=True, help="Where images are moved: cpu, cuda, cuda:1, mps.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--batch-size", type=click.IntRange(1), help="Images moved at a time; changes no byte.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder.  [named after source and symmetry]")
@click.option("--overwrite", is_flag=True, help="Replace an existing dataset.")
@click.option("--resume", is_flag=True, help="Finish a build that was killed.")
@click.option("--dry-run", is_flag=True, help="Say what would be built; write nothing.")
@click.option("--check", is_flag=True, help="Decode everything first, and name all images that cannot be used.")
@json_option
def command(what: str, source: str | None, out: Path | None, check: bool, as_json: bool, **given: Any) -> None:
    """Build a dataset whose symmetry is known.

    SOURCE is glyphs (the default), a folder or file of images, or hub:user/name[@revision]; `symdata sources` lists
    them. RECIPE is a dataset of the literature; `symdata recipes` lists them.

    \b
      symdata make --symmetry d4-partial
      symdata make data/mnist --symmetry so2@-45..45 --test-symmetry so2 --out mnist-45
      symdata make data/cells --symmetry fibroblast:d4,rest:0.7@none+0.3@r180
      symdata make rotmnist --source data/mnist --workers 4
    """
    from symdata.recipes.catalog import levels
    from symdata.store.dataset_folder import check_target, make, plan_dataset

    run = {name: given.pop(name) for name in RUN}
    names = levels(what) if _is_recipe(what, source) else [what]
    fields = {name: value for name, value in {"source": source, **given}.items() if value is not None}
    if len(names) > 1 and not run["resume"]:
        for name in names:  # before the first of a family is built, so that none is built alone
            check_target((out or Path()) / name, run["overwrite"])
    results = []
    for name in names:
        folder = out / name if out is not None and len(names) > 1 else out
        plan = plan_dataset(name, run["device"], check, **fields)
        with resumable(sum(map(len, plan.samples.values())), plan.name) as bar:
            results.append(make(plan, folder, progress=bar.update, **run))
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
