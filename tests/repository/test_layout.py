"""The contract of the house: its checker is tried on made-up offenders, then on our files."""

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.conftest import ROOT
from tests.repository.contract import (
    BELOW,
    MAX_LINES,
    MAX_PARAMETERS,
    MAY_IMPORT,
    arrows,
    public_classes,
    violations,
)

pytestmark = pytest.mark.checkout

TOO_MANY = ", ".join(f"a{k}" for k in range(MAX_PARAMETERS + 1))
LAZY = {"torch", "kornia", "datasets", "escnn", "matplotlib", "pyarrow", "pandas", "numpy", "huggingface_hub", "PIL"}


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("symdata/groups.py", "from symdata.keys import uniforms", "groups may import errors"),
        ("symdata/groups.py", "import symdata.symmetry", "groups may import errors"),
        ("symdata/groups.py", "def f():\n    from symdata.store import load", "groups may import errors"),
        ("symdata/groups.py", "from symdata import act", "groups may import errors"),
        ("symdata/symmetry.py", "from symdata.transforms.action import act", "symmetry may import"),
        ("symdata/sources/idx.py", "from symdata.recipes.plan import Spec", "sources may import"),
        ("symdata/errors.py", "from symdata.keys import uniforms", "nothing of symdata"),
        ("symdata/new.py", "import math", "a room of its own?"),
        ("symdata/groups.py", "from .errors import SymmetryError", "write the full name"),
        ("symdata/groups.py", "import zoo.layers", "symdata imports symdata alone"),
        ("symdata/groups.py", "from cli.main import main", "symdata imports symdata alone"),
        ("symdata/groups.py", "from symdata.__main__ import main", "groups may import errors"),
        ("zoo/training/loop.py", "import cli", "zoo imports symdata and zoo alone"),
        ("zoo/training/loop.py", "from symdata._version import __version__", "symdata's own"),
        ("zoo/loose.py", "import math", "a room of its own?"),
        ("zoo/layers/norm.py", "from zoo.models.registry import create", "layers may import errors"),
        ("zoo/models/cnn.py", "def f():\n    from zoo.references.loading import load", "models may import errors"),
        ("zoo/files.py", "from zoo.errors import ModelError", "files may import nothing of zoo"),
        ("cli/make.py", "from cli.train import command", "make may import"),
        ("cli/options/basic.py", "from cli.train import command", "options may import nothing of cli"),
        ("symdata/transforms/warp.py", "from kornia.geometry import rotate", "only symdata/transforms/augmentation.py"),
        ("zoo/layers/norm.py", "import escnn.nn", "import escnn"),
        ("tests/symdata/test_groups.py", "from escnn import gspaces", "import escnn"),
        ("symdata/groups.py", "print('hello')", "only cli does"),
        ("zoo/training/loop.py", "def f():\n    print(1)", "only cli does"),
        ("symdata/groups.py", "open('table')", "touch disk"),
        ("symdata/transforms/warp.py", "Path('grid').read_bytes()", "touch disk"),
        ("symdata/keys.py", "import urllib.request", "touch disk"),
        ("symdata/recipes/plan.py", "from huggingface_hub import HfApi", "touch disk"),
        ("symdata/recipes/plan.py", "from symdata.store import make", "recipes may import"),
        ("symdata/pictures/contact_sheet.py", "from symdata.store import load", "pictures may import"),
        ("symdata/store/dataset_folder.py", "from symdata.hub import publish", "store may import"),
        ("symdata/store/dataset_folder.py", "from symdata.inspection.report import inspect", "store may import"),
        ("symdata/groups.py", "x = 1\n" * (MAX_LINES + 1), "it is two files"),
        ("zoo/models/cnn.py", f"def f({TOO_MANY}): ...", "parameters, at most"),
    ],
)
def test_the_checker_catches(path, code, sentence):
    (found,) = violations(path, code)
    assert sentence in found


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("symdata/groups.py", "from symdata.errors import SymmetryError\nimport numpy as np"),
        ("symdata/sources/idx.py", "from symdata.sources.base import Ref\nopen('x')"),
        ("symdata/transforms/augmentation.py", "from kornia.augmentation import GeometricAugmentationBase2D"),
        ("symdata/sources/decode.py", "from kornia_rs import io"),
        ("symdata/keys.py", "x = 'print(open)'  # print(open())"),
        ("tests/support/steerable.py", "import escnn"),
        ("cli/make.py", "from symdata.recipes.plan import Spec\nprint(1)"),
        ("cli/make.py", "from cli.options.basic import table"),
        ("zoo/layers/norm.py", "if TYPE_CHECKING:\n    from zoo.models.registry import create"),
        ("zoo/models/cnn.py", f"def _f({TOO_MANY}): ..."),
        ("symdata/__main__.py", "import zoo\nfrom cli.main import main"),
        ("symdata/groups.py", "x = 1\n" * MAX_LINES),
    ],
)
def test_the_checker_lets_pass(path, code):
    assert violations(path, code) == []


FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in (*BELOW, "tests")
    for path in sorted(ROOT.glob(f"{folder}/**/*.py"))
}
PRODUCT = {path: code for path, code in FILES.items() if not path.startswith("tests/")}


@pytest.mark.parametrize("path", FILES)
def test_every_file_keeps_the_contract(path):
    found = violations(path, FILES[path])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_the_contract_has_no_circle_and_names_rooms_that_exist(package):
    rooms = {room: may.split() for room, may in MAY_IMPORT[package].items()}
    assert set(TopologicalSorter(rooms).static_order()) == set(rooms)
    for room in rooms:
        assert (ROOT / package / f"{room}.py").exists() or (ROOT / package / room).is_dir()


def test_no_circle_of_files_is_left():
    assert list(TopologicalSorter(arrows(PRODUCT)).static_order())


def test_a_circle_through_a_function_is_found():
    files = {"zoo/a.py": "def f():\n    from zoo.b import x", "zoo/b.py": "from zoo.a import f"}
    with pytest.raises(CycleError):
        TopologicalSorter(arrows(files)).prepare()


def test_no_two_public_classes_have_one_name():
    assert {name: paths for name, paths in public_classes(PRODUCT).items() if len(paths) > 1} == {}


@pytest.mark.parametrize(
    "code", ["import symdata", "from cli.main import main; main(['--help'], standalone_mode=False)"]
)
def test_nothing_heavy_is_loaded(code):
    code = f"import sys; {code}; print(sorted({LAZY!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.splitlines()[-1] == "[]"
