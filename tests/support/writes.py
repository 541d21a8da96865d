"""What this process writes while a piece of code runs: every place, whoever opens, makes, moves or removes it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PLACES = {
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.utime"), slice(0, 1)),
    **dict.fromkeys(("os.link", "os.symlink"), slice(1, 2)),
    "os.rename": slice(0, 2),
}
"""Event of `sys.audit` -> which of its arguments are places that it changes."""

_listening: list[set[Path]] = []
_installed: list[bool] = []


@contextmanager
def writes() -> Iterator[set[Path]]:
    """The absolute places that any thread of this process writes to within the block.

    Left out are devices, compiled modules, and what is named from an open folder, as `shutil.rmtree` does.
    """
    if not _installed:  # a hook stays for good, and does nothing outside of such a block
        sys.addaudithook(_heard)
        _installed.append(True)
    found: set[Path] = set()
    _listening.append(found)
    try:
        yield found
    finally:
        _listening.remove(found)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening:
        return
    for place in _changed(event, arguments):
        path = os.path.abspath(os.fsdecode(place)) if isinstance(place, str | bytes) else "/dev/null"
        if not path.startswith("/dev/") and "__pycache__" not in path:
            for found in _listening:
                found.add(Path(path))


def _changed(event: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if event == "open":
        return arguments[:1] if isinstance(arguments[2], int) and arguments[2] & _WRITING else ()
    if event not in _PLACES or (event != "os.truncate" and arguments[-1] not in (-1, None)):
        return ()
    return arguments[_PLACES[event]]
