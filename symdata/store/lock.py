"""One build at a time in one folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from symdata.errors import StoreError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the block, no other process holds `folder`; the system lets go of it when this one ends, however it ends.

    Does nothing where the system has no such locks (Windows, some network disks).

    Raises:
        StoreError: if another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StoreError(
            f"another process is building in {str(folder)!r}; wait for it, or choose another --out"
        ) from None
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(handle)
