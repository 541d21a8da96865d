"""Fixtures of the tests that make recipes on MNIST."""

from functools import lru_cache
from pathlib import Path

import pytest

from symdata.sources import open_source


@pytest.fixture(scope="module")
def opened_once():
    """Open every source once: reading MNIST takes 0.2 s, and a hundred tests need it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symdata.recipes.plan.open_source", lru_cache(open_source))
        yield


@pytest.fixture(scope="session")
def mnist(data: Path) -> str:
    """Reference of the real MNIST."""
    return str(data / "mnist")
