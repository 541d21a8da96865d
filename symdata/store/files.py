"""Write files atomically, and read JSON up to a limit of size."""

import json
import os
from pathlib import Path
from typing import Any

UNFINISHED = ".unfinished"
"""Suffix of a file that is being written."""
LARGEST = 1 << 26
"""Bytes of the largest JSON file that is read: the manifest of about 300,000 shards."""


def write_file(path: Path, data: bytes | str, *, sync: bool = False) -> Path:
    """Write a file under a temporary name and rename it, so that nobody ever reads half of it.

    Args:
        path: the file; its folder must exist.
        data: its content; text is written as UTF-8.
        sync: whether to wait until the content is on the disk.

    Returns:
        `path`.

    Raises:
        OSError: as the system raises it; an older file at that path is left as it was.
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
    """Content of a JSON file, or None if it is missing, broken or larger than `LARGEST`."""
    try:
        return None if path.stat().st_size > LARGEST else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
