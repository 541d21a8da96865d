"""The lock of a folder: one process at a time, no trace afterwards, and nothing that outlives a killed process."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from symdata.errors import StoreError
from symdata.store.lock import LOCK, locked
from tests.conftest import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from symdata.store.lock import locked
with locked(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_second_lock_is_refused_until_the_first_is_released(tmp_path):
    with locked(tmp_path):
        for _ in range(2):
            with pytest.raises(StoreError, match="another process is building in"), locked(tmp_path):
                pass
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_block_that_fails_releases_the_lock(tmp_path):
    with pytest.raises(ValueError), locked(tmp_path):
        raise ValueError
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_killed_process_leaves_no_lock_that_blocks(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == [LOCK]
    with locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(errno.EROFS, "Read-only file system"), NotImplementedError("no flock")])
def test_without_locks_the_block_runs_all_the_same(error, tmp_path, monkeypatch):
    def refuse(self, *arguments, **options):
        (tmp_path / LOCK).touch()  # some file systems create the file and refuse the lock
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with locked(tmp_path), locked(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_folder_that_was_removed_in_the_block(tmp_path):
    (tmp_path / "d").mkdir()
    with locked(tmp_path / "d"):
        (tmp_path / "d" / LOCK).unlink()
        (tmp_path / "d").rmdir()
    assert os.listdir(tmp_path) == []
