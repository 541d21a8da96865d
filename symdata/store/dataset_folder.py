"""The dataset folder: made whole or not at all.

    README.md  symdata.json  preview.png  <split>-00000-of-0000N.parquet

A build happens in `<folder>.partial` beside the target and is renamed into place at the end. What a killed build left
there is taken up by `resume=True` and ends with the same bytes; what a failed build left is removed.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from symdata.errors import StoreError, SymdataError
from symdata.pictures.contact_sheet import choose, contact_sheet
from symdata.recipes.plan import DatasetPlan, resolve
from symdata.recipes.spec import Spec
from symdata.store.card import render_card
from symdata.store.lock import locked
from symdata.store.manifest import FORMAT, MANIFEST, describe, read_json, read_manifest, versions
from symdata.store.png import ENCODER
from symdata.store.shards import UNFINISHED, Shard, WorkerDiedError, plan_shards, write_shards

CARD, PREVIEW = "README.md", "preview.png"
PREVIEW_BYTES = 256 << 20
"""Pixels looked at for the picture."""
SPEC = "spec.json"
"""In a partial folder: what is being built, so that only the same build resumes."""


@dataclass(frozen=True)
class Made:
    """A finished dataset."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def preview(self) -> Path:
        return self.folder / PREVIEW


def make(
    what: Spec | DatasetPlan,
    out: Path | str | None = None,
    *,
    num_shards: int | None = None,
    device: str = "cpu",
    workers: int = 1,
    batch_size: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> Made:
    """Build a dataset into a folder.

    Args:
        what: what to build, as a `Spec`; or a `DatasetPlan`, which `resolve` makes of it.
        out: the folder; None: named after the source and symmetry, in the current directory.
        num_shards: parquet files per split; None: one per 512 MiB of pixels.
        device: where images are moved ("cuda", ...); files are the same for every lattice symmetry.
        workers: processes; files are the same for any number. As everywhere in Python, a script that asks for more than
            one keeps its own work under `if __name__ == "__main__":`.
        batch_size: samples moved at a time, for small devices; files are the same for any number.
        overwrite: replace a dataset that stands there.
        resume: take up what a killed build of the same spec left; begin where nothing is left, and leave a dataset
            that is whole as it is.
        progress: called with the number of rows done since the last call.

    Raises:
        SymdataError: in any case of bad input; nothing half-written is left.
    """
    plan = what if isinstance(what, DatasetPlan) else resolve(what, device)
    folder = Path(out) if out is not None else Path(plan.name)
    if num_shards is not None and not 1 <= num_shards <= 99_999:
        raise StoreError(f"num_shards {num_shards} is outside 1..99999")
    if batch_size is not None and batch_size < 1:
        raise StoreError(f"batch_size {batch_size} is not positive; leave it out for whole blocks")
    shards = plan_shards(plan, num_shards)
    identity = _identity(plan, shards)
    if resume and not overwrite and _identity_of(folder) == identity:
        progress(sum(map(len, shards)))
        return Made(folder, read_manifest(folder))
    check_target(folder, overwrite)
    with ExitStack() as stack:
        partial, begun = _open_partial(identity, folder, overwrite, resume, stack)
        left = "what an earlier run had done is kept: go on with --resume" if begun else "nothing was left behind"
        try:
            write_shards(
                plan, shards, partial, device=device, workers=workers, block_rows=batch_size, progress=progress
            )
            manifest = describe(plan, shards, partial)
            _finish(plan, manifest, partial)
        except WorkerDiedError:
            raise
        except torch.OutOfMemoryError:
            raise StoreError(
                f"device {device!r} has too little memory; go on with --resume and a smaller --batch-size"
            ) from None
        except (SymdataError, OSError) as error:
            if not begun:
                shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError):
                raise StoreError(f"cannot write {str(folder)!r}: {_reason(error)}; {left}") from None
            raise
        _put_in_place(partial, folder)
    return Made(folder, manifest)


def check_target(folder: Path, overwrite: bool) -> None:
    """Refuse a target that is in the way: anything but a dataset of ours, unless empty, is never removed."""
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


def partial_folder(folder: Path) -> Path:
    """Where a build of `folder` happens: beside the place that it names, so that one rename finishes it."""
    place = folder.resolve()
    return place.with_name(f"{place.name}.partial")


def _identity(plan: DatasetPlan, shards: list[Shard]) -> dict[str, Any]:
    """What decides every byte of the shards, as it reads back from JSON."""
    return {
        "spec": plan.spec.to_dict(),
        "fingerprint": plan.source.fingerprint,
        "shards": [shard.file for shard in shards],
        "format": FORMAT,
        "encoder": ENCODER,
        "versions": versions(),
    }


def _identity_of(folder: Path) -> Any:
    """The identity of a build that stands in a folder, stopped or whole; None if there is none."""
    if (begun := read_json(folder / SPEC)) is not None:
        return begun
    try:
        manifest = read_manifest(folder)
    except StoreError:
        return None
    return {
        "spec": manifest["spec"],
        "fingerprint": manifest["source"]["fingerprint"],
        "shards": [shard["file"] for split in manifest["splits"].values() for shard in split["shards"]],
        "format": manifest["format"],
        "encoder": manifest["encoder"],
        "versions": manifest["versions"],
    }


def _open_partial(
    identity: dict[str, Any], folder: Path, overwrite: bool, resume: bool, stack: ExitStack
) -> tuple[Path, bool]:
    """The partial folder, locked until `stack` closes, and whether it is that of the same build, to be resumed."""
    partial, begun = partial_folder(folder), False
    if partial.exists():
        if not partial.is_dir() or (_identity_of(partial) is None and _holds_others(partial)):
            raise StoreError(f"{str(partial)!r} is in the way, and symdata did not make it; choose another --out")
        with locked(partial):
            _check_partial(identity, partial, overwrite, resume)
            begun = resume and _identity_of(partial) == identity
            if not begun:
                shutil.rmtree(partial)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked(partial))
        _write_json(partial / SPEC, identity)
    except OSError as error:
        if not begun:
            shutil.rmtree(partial, ignore_errors=True)
        raise StoreError(f"cannot write {str(folder)!r}: {_reason(error)}; choose another --out") from None
    return partial, begun


def _holds_others(partial: Path) -> bool:
    """Whether a folder holds more than what a build begins with."""
    return any(not path.name.endswith(UNFINISHED) for path in partial.iterdir())


def _write_json(path: Path, value: Any) -> None:
    """The file is there whole or not at all."""
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def _check_partial(identity: dict[str, Any], partial: Path, overwrite: bool, resume: bool) -> None:
    if overwrite or (resume and _identity_of(partial) in (identity, None)):
        return
    if resume:
        raise StoreError(
            f"{str(partial)!r} holds a build of something else, or by other versions of the libraries; "
            "use its options, or --overwrite it"
        )
    raise StoreError(
        f"{str(partial)!r} holds a build that was stopped; go on with --resume or begin again with --overwrite"
    )


def _finish(plan: DatasetPlan, manifest: dict[str, Any], partial: Path) -> None:
    """The picture and the card, then the manifest, which says that the folder is whole."""
    preview(plan).save(partial / PREVIEW)
    (partial / CARD).write_text(render_card(plan, manifest), encoding="utf-8")
    _write_json(partial / MANIFEST, manifest)
    (partial / SPEC).unlink()


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename the finished folder to its name; a dataset that it replaces stands aside until then."""
    place = folder.resolve()
    try:
        if not place.exists() or not any(place.iterdir()):
            os.replace(partial, place)
            return
        aside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        os.replace(place, aside / place.name)
        try:
            os.replace(partial, place)
        except OSError:
            os.replace(aside / place.name, place)
            aside.rmdir()
            raise
    except OSError as error:
        raise StoreError(
            f"the dataset is whole in {str(partial)!r} but cannot be renamed to {str(folder)!r}: {_reason(error)}"
        ) from None
    shutil.rmtree(aside, ignore_errors=True)


def _reason(error: OSError) -> str:
    """The system's own words; pyarrow wraps them in more."""
    return os.strerror(error.errno) if error.errno else str(error)


def preview(plan: DatasetPlan) -> Any:
    """The contact sheet of the first split: some samples of each class."""
    split, samples = next(iter(plan.samples.items()))
    columns = max(2, min(12, PREVIEW_BYTES // (10 * math.prod(plan.shape))))
    rows = choose(plan.labels(split, range(len(samples))), len(plan.classes), rows=10, columns=columns)
    batch = plan.batch(split, rows)
    images = batch.images.cpu().numpy()
    return contact_sheet(images, batch.labels, plan.classes, batch.elements[0], rows=10, columns=columns)
