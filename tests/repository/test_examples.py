"""Every public function and class shows how it is used, and what it shows is so: the examples of all docstrings run.

Public is what a face hands on: `tests/repository/test_api.py` and `tests/repository/test_zoo_api.py` list the names of
`symdata` and `zoo`, the other faces are below.
"""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import cli
import symdata
import zoo
from tests.support.steerable import require_escnn

FACES = (
    "symdata",
    "symdata.annotations",
    "symdata.display",
    "symdata.hub",
    "symdata.sources",
    "symdata.store",
    "zoo",
    "zoo.alignment",
    "zoo.evaluation",
    "zoo.evidence",
    "zoo.layers",
    "zoo.layers.relaxed",
    "zoo.measure",
    "zoo.objectives",
    "zoo.report",
    "zoo.training",
)
"""The packages that hand names on."""


def public(face):
    """The functions and classes of ours that a face hands on, by name."""
    module = importlib.import_module(face)
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith(("symdata", "zoo"))
    }


EVERY = sorted({(value.__module__, name) for face in FACES for name, value in public(face).items()})


@pytest.mark.parametrize(("module", "name"), EVERY)
def test_every_public_name_has_an_example(module, name):
    documentation = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    assert ">>> " in documentation, f"{module}.{name} shows no example"


MODULES = sorted(
    found.name
    for package in (symdata, zoo, cli)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module, tmp_path, monkeypatch):
    if module == "zoo.models.steerable":
        require_escnn()
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert not failed
