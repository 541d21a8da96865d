"""Fixtures for tests of `verify`: a whole dataset, and a copy of it to tamper with."""

import shutil
from pathlib import Path

import pytest

from tests.support.folders import build


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    return build(root / "d", symmetry="d4-partial", count=300, size=12, run={"num_shards": 2}).folder


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(whole, tmp_path / "d"))
