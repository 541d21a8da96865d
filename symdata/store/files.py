"""Files that are whole or not there: written beside their place and renamed, read with a bound, hashed."""

import json
import os
from pathlib import Path
from typing import Any

from symdata.sources.files import sha256 as sha256

UNFINISHED = ".partial"
"""End of the name of a file that is being written."""
LARGEST = 1 << 26
"""Bytes of the largest JSON file that is read: about 300,000 shards."""


def write_file(path: Path, data: bytes | str, *, sync: bool = False) -> Path:
    """Write a file beside its place and rename it, so that nobody ever reads half of it.

    Args:
        path: the file; its folder must be there.
        data: its content; text is written as UTF-8.
        sync: whether to wait until the content is on the disk.

    Raises:
        OSError: as the system raises it; an old file at that place stays as it was.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return path


def write_json(path: Path, value: Any, indent: int = 2) -> Path:
    """Write a JSON file as `write_file` does."""
    return write_file(path, json.dumps(value, indent=indent) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None if it is missing, broken or far too large."""
    try:
        return None if path.stat().st_size > LARGEST else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
