"""Write files atomically, and read JSON up to a limit of size."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

UNFINISHED = ".unfinished"
"""Suffix of a file that is being written."""
LARGEST = 1 << 26
"""Bytes of the largest JSON file that is read: the manifest of about 300,000 shards."""


@contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[BinaryIO]:
    """Open a file under a temporary name, which the end of the block renames to `path`; after any error it is removed.

    Args:
        path: the file; its folder must exist.
        sync: whether to wait until the content is on the disk.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


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
    with replacing(path, sync=sync) as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return path


def write_together(files: Mapping[Path, bytes | str]) -> list[Path]:
    """Write several files as `write_file` does, none of which replaces an older one before all are written.

    Args:
        files: path -> content; folders that do not exist are made.

    Returns:
        The paths.
    """
    with ExitStack() as stack:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(replacing(path))
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
    return list(files)


def json_text(value: Any, indent: int = 2) -> str:
    """The content of a JSON file."""
    return json.dumps(value, indent=indent) + "\n"


def write_json(path: Path, value: Any, indent: int = 2) -> Path:
    """Write a JSON file as `write_file` does."""
    return write_file(path, json_text(value, indent))


def read_json(path: Path) -> Any:
    """Content of a JSON file, or None if it is missing, broken or larger than `LARGEST`."""
    try:
        return None if path.stat().st_size > LARGEST else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
