"""Build a dataset folder, completely or not at all.

    README.md  symdata.json  preview.png  <split>-00000-of-0000N.parquet

`resume=True` finishes what a killed build left, with the same bytes; what a failed build wrote is removed.
"""

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch
from PIL import Image

from symdata.display import Result, Table
from symdata.errors import RecipeError, StoreError, suggest, whole
from symdata.pictures.contact_sheet import choose, contact_sheet
from symdata.pictures.figure import Figure, picture_figure, png_bytes
from symdata.pictures.outlines import outlined
from symdata.recipes.catalog import is_recipe
from symdata.recipes.outline import splits_table, summary
from symdata.recipes.plan import DatasetPlan, resolve
from symdata.recipes.spec import MAX_COUNT, Spec
from symdata.sources import local_path
from symdata.sources.files import printable
from symdata.sources.memory import held
from symdata.store.build_folder import SPEC, build_folder, build_identity, identity_in, put_in_place
from symdata.store.card import render_card
from symdata.store.files import write_file, write_json
from symdata.store.manifest import MANIFEST, describe, outline, read_manifest
from symdata.store.shards import plan_shards, write_shards

CARD, PREVIEW = "README.md", "preview.png"
LONGEST = 120
"""Characters of a folder name that is made up; file systems end at 255 bytes."""
PREVIEW_BYTES = 256 << 20
"""Pixels that are made for the picture, at most."""


@dataclass(frozen=True)
class Made(Result):
    """A finished dataset.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs", "made", symmetry="c4", count=80, size=8)
        >>> print(made)
        split       images  size   symmetry  degree
        ----------  ------  -----  --------  ------
        train       80      8x8x1  c4        1.000
        validation  13      8x8x1  c4        1.000
        test        13      8x8x1  c4        1.000
        dataset  made
        picture  made/preview.png
    """

    folder: Path
    manifest: dict[str, Any]
    """After a dry run, what is known of it without any image."""
    written: bool = True
    """False after a dry run."""

    @property
    def preview(self) -> Path:
        """The contact sheet of the first split."""
        return self.folder / PREVIEW

    def plot(self) -> Figure:
        """The contact sheet of the first split as a figure of matplotlib; `StoreError` after a dry run."""
        if not self.preview.is_file():
            mend = "make it first, without dry_run" if not self.written else "make the dataset again"
            raise StoreError(f"there is no picture {str(self.preview)!r}; {mend}")
        with Image.open(self.preview, formats=["PNG"]) as opened:
            picture = opened.convert("RGB")
        return picture_figure(picture)

    def parts(self) -> list[str | Table]:
        folder, picture = printable(str(self.folder)), printable(str(self.preview))
        built = (f"dataset  {folder}", f"picture  {picture}")
        notes = built if self.written else (f"would be written to {folder}",)
        return [splits_table(self.manifest, notes)]

    def to_dict(self) -> dict[str, Any]:
        if self.written:
            return {"folder": str(self.folder), "preview": str(self.preview), "manifest": self.manifest}
        return {"folder": str(self.folder), **summary(self.manifest)}


def plan_dataset(what: Any, device: str = "cpu", check: bool = False, **fields: Any) -> DatasetPlan:
    """Open the source and make every choice that is left; the arguments are those of `make`."""
    what = str(what) if isinstance(what, PurePath) else what
    known = [field.name for field in dataclasses.fields(Spec) if field.name != "recipe"]
    if unknown := [name for name in fields if name not in known]:
        raise RecipeError(f"make has no argument {unknown[0]!r}; {suggest(unknown[0], known)}")
    if isinstance(what, str):
        what = Spec(recipe=what, **fields) if is_recipe(what) else Spec(None if what == "glyphs" else what, **fields)
    elif isinstance(what, DatasetPlan) and check:
        raise RecipeError("a DatasetPlan has opened its source already; give check=True to `resolve`, which makes it")
    elif not isinstance(what, Spec | DatasetPlan):
        what = Spec(held(what), **fields)
    elif fields:
        raise RecipeError(f"{', '.join(fields)} would change a finished {type(what).__name__}; put it in there instead")
    return what if isinstance(what, DatasetPlan) else resolve(what, device, check=check)


def make(
    what: Any = "glyphs",
    out: Path | str | None = None,
    *,
    num_shards: int | None = None,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    check: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
    **fields: Any,
) -> Made:
    """Build a dataset into a folder.

    Args:
        what: a source such as "data/mnist" or the name of a recipe, described further by `fields`; images in memory,
            such as `(images, labels)` or a dataset of torch, in every form that `open_source` takes; or a whole
            `Spec`, or the `DatasetPlan` that `resolve` makes of it.
        out: the folder; None: named after the source and symmetry, in the current directory.
        num_shards: parquet files per split; None: one per 512 MiB of pixels.
        device: where images are moved ("cuda", ...); files are the same for every lattice symmetry.
        workers: processes; files are the same for any number. As everywhere in Python, a script that asks for more than
            one keeps its own work under `if __name__ == "__main__":`.
        batch_size: samples moved at a time, for small devices; files are the same for any number.
        overwrite: replace an existing dataset.
        resume: finish what a killed build of the same spec left. Without one, build as usual; a finished dataset is
            left as it is.
        dry_run: check everything and say what would be built, without writing anything; images by their headers.
        check: before anything else decode every image and mask of the source, and name all that cannot be used. The
            field `skip_bad` leaves out so many of them.
        progress: called with the number of rows done since the last call.
        fields: of the `Spec`, if `what` is a source or recipe: symmetry, size, count, seed, ...

    Raises:
        SymdataError: for any bad input; nothing half-written is left.

    Example:
        >>> import symdata
        >>> made = symdata.make("glyphs:bdpq", symmetry="d4-partial", count=8, size=8)
        >>> symdata.load(made.folder, "train")
        ImageDataset('glyphs-d4-partial_at_0p5', 'train'): 8 images (1, 8, 8), d4-partial@0.5
    """
    if num_shards is not None:
        whole("num_shards", num_shards, 1, 99_999, StoreError)
    if batch_size is not None:
        whole("batch_size", batch_size, 1, MAX_COUNT, StoreError, "; leave it out for whole blocks")
    plan = plan_dataset(what, device, check, **fields)
    folder = Path(folder_name(plan) if out is None else out)
    _check_apart(plan, folder)
    if dry_run:
        check_target(folder, overwrite)
        return Made(folder, plan.outline(), written=False)
    shards = plan_shards(plan, num_shards)
    identity = build_identity(outline(plan), [shard.file for shard in shards])
    if resume and not overwrite and identity_in(folder) == identity:
        progress(sum(map(len, shards)))
        return Made(folder, read_manifest(folder))
    check_target(folder, overwrite)
    try:
        with build_folder(folder, identity, overwrite, resume) as partial:
            write_shards(
                plan, shards, partial, device=device, workers=workers, block_rows=batch_size, progress=progress
            )
            manifest = describe(plan, shards, partial)
            _finish(plan, manifest, partial)
    except torch.OutOfMemoryError:
        raise StoreError(
            f"device {device!r} has too little memory; go on with --resume and a smaller --batch-size"
        ) from None
    put_in_place(partial, folder)
    return Made(folder, manifest)


def folder_name(plan: DatasetPlan) -> str:
    """The folder of a dataset that is given none: named after the source and the symmetries, so that sweeps differ."""
    symmetries = dict.fromkeys(plan.symmetries.values())
    name = "-test-".join([plan.name, *(symmetry.slug for symmetry in list(symmetries)[1:])])
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 13].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _check_apart(plan: DatasetPlan, folder: Path) -> None:
    """Refuse an output inside of its source, which would change it, and one that would replace its source."""
    ref = plan.spec.source or plan.recipe.source
    if not isinstance(ref, str) or (named := local_path(ref)) is None or not named.exists():
        return
    source, place = named.resolve(), folder.resolve()
    if place.is_relative_to(source) or source.is_relative_to(place):
        raise StoreError(
            f"the output {str(folder)!r} and its source {str(named)!r} are one inside the other, and the source must "
            "stay as it is; name a folder beside it with --out"
        )


def check_target(folder: Path, overwrite: bool) -> None:
    """Refuse a target that is in the way: nothing but a dataset of symdata, or an empty folder, is ever replaced."""
    if (name := str(folder.resolve())) != printable(name):
        raise StoreError(f"{name!r} is not UTF-8, which parquet files need; choose another --out")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise StoreError(f"{str(folder)!r} is a file, and a dataset is a folder; choose another --out")
    if os.path.ismount(folder) or Path.cwd().is_relative_to(folder.resolve()):
        what = "a mount point" if os.path.ismount(folder) else "the current folder or above it"
        raise StoreError(f"{str(folder)!r} is {what} and cannot be replaced; name a folder inside it with --out")
    if not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).exists():
        raise StoreError(f"{str(folder)!r} exists and is not a symdata dataset; it is left alone: choose another --out")
    if not overwrite:
        raise StoreError(f"{str(folder)!r} exists; replace it with --overwrite or choose another --out")


def _finish(plan: DatasetPlan, manifest: dict[str, Any], partial: Path) -> None:
    """Write the picture and the card, then the manifest, which says that the folder is complete."""
    write_file(partial / PREVIEW, png_bytes(preview(plan)))
    write_file(partial / CARD, render_card(plan, manifest))
    write_json(partial / MANIFEST, manifest)
    (partial / SPEC).unlink()


def preview(plan: DatasetPlan) -> Any:
    """The contact sheet of the first split: some samples of each class."""
    split, samples = next(iter(plan.samples.items()))
    columns = max(2, min(12, PREVIEW_BYTES // (10 * math.prod(plan.shape))))
    rows = choose(plan.labels(split, range(len(samples))), len(plan.classes), rows=10, columns=columns)
    batch = plan.batch(split, rows)
    images = outlined(batch.images.cpu().numpy(), batch.annotations)
    return contact_sheet(images, batch.labels, plan.classes, batch.elements[0], rows=10, columns=columns)
