"""One build, or one training run, at a time in one folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from symdata.errors import StoreError

LOCK = ".symdata.lock"
"""The file that is locked. It exists during the block, and after a process that was killed in it."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of a folder for the duration of the block.

    The system releases the lock when the process ends, however it ends. Where a file cannot be locked (a read-only
    folder, some network disks) the block runs without a lock.

    Raises:
        StoreError: if another process holds the lock.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"another process is building in {str(folder)!r}; wait for it, or choose another --out"
        ) from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        with suppress(OSError):  # Windows refuses, and removes the file at the release
            (folder / LOCK).unlink()  # before the release: afterwards it may be that of another process
        lock.release()
