"""Fixtures around the loopback Hub; `pytest_plugins = ["tests.support.hub_fixture"]` brings them into reach."""

from collections.abc import Iterator

import pytest

from tests.support.hub_server import CLIENT_WARNING, LoopbackHub


def pytest_configure(config: pytest.Config) -> None:
    """Where warnings are errors, let this one of the client's pass."""
    config.addinivalue_line("filterwarnings", CLIENT_WARNING)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A fresh Hub that the clients of this process use for the length of one test, with caches in `hub.home`."""
    with LoopbackHub() as running:
        running.use_here(monkeypatch)
        yield running


@pytest.fixture(scope="module")
def shared_hub() -> Iterator[LoopbackHub]:
    """A Hub for a whole module, for clients in other processes (`run`, `cli`, `env`)."""
    with LoopbackHub() as running:
        yield running
