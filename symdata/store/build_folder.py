"""The folder in which a build happens: `<folder>.partial` beside the target, renamed at the end."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from symdata.errors import StoreError
from symdata.store.files import UNFINISHED, read_json, write_json
from symdata.store.lock import LOCK, locked
from symdata.store.manifest import read_manifest, shard_entries
from symdata.store.shards import WorkerDiedError

SPEC = "spec.json"
"""File that says what is being built, so that only the same build resumes."""


def partial_folder(folder: Path) -> Path:
    """The folder in which `folder` is built: beside it, so that one rename finishes the build."""
    place = folder.resolve()
    return place.with_name(f"{place.name}.partial")


def build_identity(manifest: dict[str, Any], files: list[str]) -> dict[str, Any]:
    """What decides every byte of the shards, from a manifest or its outline and the names of the shards."""
    decisive = {key: manifest[key] for key in ("spec", "format", "encoder", "versions")}
    return decisive | {"fingerprint": manifest["source"]["fingerprint"], "shards": files}


def identity_in(folder: Path) -> Any:
    """The identity of the stopped or finished build in a folder; None if there is none."""
    if (begun := read_json(folder / SPEC)) is not None:
        return begun
    try:
        manifest = read_manifest(folder)
    except StoreError:
        return None
    return build_identity(manifest, [shard["file"] for shard in shard_entries(manifest)])


@contextmanager
def build_folder(folder: Path, identity: dict[str, Any], overwrite: bool, resume: bool) -> Iterator[Path]:
    """The partial folder of a build, locked. If the block fails, what it wrote is removed, unless a build resumes."""
    partial = partial_folder(folder)
    existed = partial.exists()
    if existed and not (partial.is_dir() and (identity_in(partial) is not None or _is_fresh(partial))):
        raise StoreError(f"{str(partial)!r} is in the way, and symdata did not make it; choose another --out")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {str(folder)!r}: {_reason(error)}; choose another --out") from None
    with locked(partial):
        if existed and not overwrite:
            _check_resumable(partial, identity, resume)
        begun = resume and identity_in(partial) == identity
        try:
            if not begun:
                _empty(partial)
            write_json(partial / SPEC, identity)
            yield partial
        except (WorkerDiedError, torch.OutOfMemoryError, MemoryError):  # what is done is kept: another run goes on
            raise
        except Exception as error:
            if not begun:
                shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError):
                kept = "what an earlier run had done is kept: go on with --resume"
                left = kept if begun else "nothing was left behind"
                raise StoreError(f"cannot write {str(folder)!r}: {_reason(error)}; {left}") from None
            raise


def _is_fresh(partial: Path) -> bool:
    """Whether a folder holds nothing but what every build begins with."""
    return all(path.name == LOCK or path.name.endswith(UNFINISHED) for path in partial.iterdir())


def _empty(partial: Path) -> None:
    """Remove everything but the lock."""
    for path in partial.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _check_resumable(partial: Path, identity: dict[str, Any], resume: bool) -> None:
    if not resume:
        raise StoreError(
            f"{str(partial)!r} holds a build that was stopped; go on with --resume or begin again with --overwrite"
        )
    if identity_in(partial) not in (identity, None):
        raise StoreError(
            f"{str(partial)!r} holds a build of something else, or by other versions of the libraries; "
            "use its options, or --overwrite it"
        )


def put_in_place(partial: Path, folder: Path) -> None:
    """Rename the finished folder to its name; a dataset that it replaces is kept until that has worked."""
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
