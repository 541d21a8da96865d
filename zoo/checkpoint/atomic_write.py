"""Putting files into a model folder so that nobody ever reads a mixture of old and new."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.errors import ModelError
from zoo.files import CARD, CONFIG, DATASET, EVALUATION, PICTURE


def as_json(value: Any) -> bytes:
    """The bytes of a JSON file."""
    return (json.dumps(value, indent=2) + "\n").encode()


def write_files(folder: Path, files: Mapping[str, bytes], gone: Iterable[str] = ()) -> None:
    """Put files into a folder so that whoever reads meanwhile, or after a crash, finds no mixture of old and new.

    With a new config.json the evaluation of the old one goes; so do, in the end, the files named in `gone`.
    """
    fresh = not folder.exists()
    target = folder.with_name(f".{folder.name}.{os.getpid()}.partial") if fresh else folder
    try:
        _refuse_others(folder, files)
        target.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            _write(target / f".{name}.partial", data)
        if CONFIG in files:  # without it the folder is no model, until the last file is in its place
            for name in (CONFIG, EVALUATION, PICTURE):
                (target / name).unlink(missing_ok=True)
        for name in files:
            os.replace(target / f".{name}.partial", target / name)
        for name in gone:
            (target / name).unlink(missing_ok=True)
        if fresh:
            os.replace(target, folder)
    except OSError as error:
        if fresh:
            shutil.rmtree(target, ignore_errors=True)
        else:
            for name in files:
                with suppress(OSError):
                    (target / f".{name}.partial").unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise ModelError(f"cannot write {str(folder)!r}: {reason}; free some space or choose another folder") from None


def _refuse_others(folder: Path, files: Mapping[str, bytes]) -> None:
    """What somebody else has put there is not written over."""
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{str(folder)!r} is a file, and a model is a folder; choose another --out")
    if (folder / DATASET).exists():
        raise ModelError(f"{str(folder)!r} is a dataset; choose another --out for the model")
    card = folder / CARD
    if CARD in files and card.exists() and b"library_name: symdata" not in card.read_bytes()[:4096]:
        raise ModelError(f"{str(folder)!r} has a {CARD} that is not of a symdata model; choose another --out")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
