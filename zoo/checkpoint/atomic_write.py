"""Writing files into a model folder so that nobody ever reads a mixture of old and new."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from zoo.errors import ModelError
from zoo.files import CARD, CONFIG, DATASET, EVALUATION, PICTURE


def write_files(folder: Path, files: Mapping[str, bytes | str], gone: Iterable[str] = ()) -> None:
    """Put files into a folder; whoever reads it meanwhile, or after a crash, finds no mixture of old and new.

    A new config.json removes the evaluation of the old one; in the end the files named in `gone` are removed.
    """
    from symdata.store.files import write_file  # loads pyarrow, which reading a model does not need

    fresh = not folder.exists()
    made = folder.with_name(f".{folder.name}.{os.getpid()}.partial") if fresh else folder / ".partial"
    try:
        _refuse_others(folder, files)
        made.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_file(made / name, data, sync=True)
        if fresh:
            os.replace(made, folder)
            return
        if CONFIG in files:  # without it the folder is no model, until the last file is in its place
            for name in (CONFIG, EVALUATION, PICTURE):
                (folder / name).unlink(missing_ok=True)
        for name in files:
            os.replace(made / name, folder / name)
        for name in gone:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"cannot write {str(folder)!r}: {reason}; free some space or choose another folder") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _refuse_others(folder: Path, files: Mapping[str, bytes | str]) -> None:
    """`ModelError` if the folder holds what is not a model of ours."""
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{str(folder)!r} is a file, and a model is a folder; choose another --out")
    if (folder / DATASET).exists():
        raise ModelError(f"{str(folder)!r} is a dataset; choose another --out for the model")
    card = folder / CARD
    if CARD in files and card.exists() and b"library_name: symdata" not in card.read_bytes()[:4096]:
        raise ModelError(f"{str(folder)!r} has a {CARD} that is not of a symdata model; choose another --out")
