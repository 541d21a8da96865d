"""Who may import whom, and what else every file keeps to: read from the syntax trees of all files.

`violations` is the checker; the first half of the tests holds it against made-up offenders, the second against us.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.checkout

MAY_IMPORT = {
    "errors": set(),
    "_version": set(),
    "lie_learn": set(),
    "_probe": {"lie_learn"},
    "doctor": {"_probe", "_version"},
    "keys": {"errors"},
    "groups": {"errors"},
    "measures": {"errors", "groups"},
    "symmetry": {"errors", "groups", "keys", "measures"},
    "lattice": {"errors", "groups"},
    "warp": {"errors", "groups", "lattice"},
    "affine": {"errors", "warp"},
    "learnable": {"affine"},
    "transforms": {"errors", "groups", "keys", "lattice", "measures", "symmetry", "warp"},
    "sources": {"errors", "groups", "keys"},
    "png": {"errors"},
    "recipes": {"errors", "groups", "sources", "symmetry"},
    "canvas": {"errors", "sources"},
    "samples": {"canvas", "errors", "groups", "keys", "recipes", "sources"},
    "build": {
        *("canvas", "errors", "groups", "keys", "recipes", "samples", "sources", "symmetry", "transforms", "warp"),
    },
    "statistics": {"errors", "groups", "measures", "symmetry"},
    "leakage": {"errors", "groups", "keys", "statistics"},
    "draw": {"errors", "groups", "measures", "statistics", "transforms"},
    "polar": {"draw", "errors", "groups", "measures", "statistics"},
    "curves": {"draw", "errors", "groups"},
    "asymmetry": {"errors", "groups", "keys", "lattice"},
    "store": {"_version", "build", "draw", "errors", "groups", "keys", "png", "sources", "symmetry"},
    "inspection": {
        *("asymmetry", "draw", "errors", "groups", "keys", "leakage", "measures", "polar", "sources", "statistics"),
        *("store", "symmetry"),
    },
    "hub": {"errors", "store"},
}
"""Room of symdata -> the rooms it may import. A room is a module, or a folder of modules that may import each other."""

KORNIA = ("symdata/transforms.py", "symdata/learnable.py")
"""The files that may import kornia, besides tests and benchmarks."""

DISK = ("sources", "store", "hub")
"""Rooms whose name begins so may open files and the network."""

OPENS = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "mkdir", "unlink", "rmdir", "glob", "rglob"}
"""Calls that touch the disk, as a function or a method."""

REACHES = {"fsspec", "http", "httpx", "httpx2", "huggingface_hub", "requests", "shutil", "socket", "tempfile", "urllib"}
"""Modules that are imported to touch the disk or the network."""

PACKAGES = ("symdata", "zoo", "cli", "cards")
LAZY = {"torch", "kornia", "datasets", "escnn", "matplotlib", "pyarrow", "pandas", "numpy", "huggingface_hub", "PIL"}
MAX_LINES = 300


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that are imported anywhere in `tree`, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level + (node.module or "")
            else:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(tree: ast.AST) -> Iterator[str]:
    """The last name of everything that is called: `open` for `open(...)` and for `path.open(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name


def room_of(path: str) -> str:
    """`symdata/keys.py` and `symdata.keys.uniforms` are in room "keys", `symdata/sources/idx.py` in "sources"."""
    parts = path.removesuffix(".py").replace("/", ".").split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def violations(path: str, code: str) -> list[str]:
    """What the file `path` (from the root, with slashes) must not contain but does, a sentence each."""
    tree = ast.parse(code)
    return [*_lines(path, code), *_imports(path, tree), *_calls(path, tree)]


def _lines(path: str, code: str) -> Iterator[str]:
    if (count := len(code.splitlines())) > MAX_LINES and not path.startswith("benchmarks/"):
        yield f"{path} has {count} lines, at most {MAX_LINES}: it is two files"


def _imports(path: str, tree: ast.AST) -> Iterator[str]:
    package, room = path.split("/")[0], room_of(path)
    for name in imports(tree):
        root = name.split(".")[0]
        if name.startswith(".") and package in PACKAGES:
            yield f"{path} imports {name!r}: write the full name, so that it can be read here"
        if root == "cli" and package not in ("cli", "tests"):
            yield f"{path} imports {name}: nothing imports cli"
        if root == "zoo" and package == "symdata":
            yield f"{path} imports {name}: symdata never imports zoo"
        if root == "kornia" and path not in KORNIA and package != "tests" and package != "benchmarks":
            yield f"{path} imports {name}: only {' and '.join(KORNIA)} import kornia"
        if root == "escnn" and not path.startswith(("tests/support/", "zoo/models/steerable")):
            yield f"{path} imports {name}: only tests/support and zoo/models/steerable import escnn"
        if root == "symdata" and package in ("zoo", "cli", "cards") and any(p[0] == "_" for p in name.split(".")[1:-1]):
            yield f"{path} imports {name}: that module is symdata's own"
        if package == "symdata" and room != "__init__":
            yield from _rooms(path, room, name)
            if root in REACHES and not room.startswith(DISK):
                yield f"{path} imports {name}: only {', '.join(DISK)} touch disk or network"


def _rooms(path: str, room: str, name: str) -> Iterator[str]:
    if room not in MAY_IMPORT:
        yield f"{path}: a room of its own? Say in MAY_IMPORT of tests/test_layout.py what {room!r} may import"
    elif name.split(".")[0] == "symdata" and room_of(name) not in {room, *MAY_IMPORT[room]}:
        yield f"{path} imports {name}: {room} may import {', '.join(sorted(MAY_IMPORT[room])) or 'nothing of symdata'}"


def _calls(path: str, tree: ast.AST) -> Iterator[str]:
    package, room = path.split("/")[0], room_of(path)
    for name in calls(tree):
        if name in ("print", "pprint") and package in ("symdata", "zoo", "cards"):
            yield f"{path} prints: only cli does"
        if name in OPENS and package == "symdata" and not room.startswith((*DISK, "_probe")):
            yield f"{path} calls {name}: only {', '.join(DISK)} touch disk or network"


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("symdata/groups.py", "from symdata.keys import uniforms", "groups may import errors"),
        ("symdata/groups.py", "import symdata.symmetry", "groups may import errors"),
        ("symdata/groups.py", "def f():\n    from symdata.store import load", "groups may import errors"),
        ("symdata/groups.py", "from symdata import act", "groups may import errors"),
        ("symdata/symmetry.py", "from symdata.transforms import act", "symmetry may import"),
        ("symdata/sources/idx.py", "from symdata.build import Spec", "sources may import"),
        ("symdata/errors.py", "from symdata.keys import uniforms", "nothing of symdata"),
        ("symdata/new.py", "import math", "a room of its own?"),
        ("symdata/groups.py", "from .errors import SymmetryError", "write the full name"),
        ("symdata/groups.py", "import zoo.layers", "never imports zoo"),
        ("symdata/groups.py", "from cli.main import main", "nothing imports cli"),
        ("zoo/train.py", "import cli", "nothing imports cli"),
        ("zoo/train.py", "from symdata._probe import probe", "symdata's own"),
        ("symdata/warp.py", "from kornia.geometry import rotate", "only symdata/transforms.py and"),
        ("zoo/layers/lift.py", "import escnn.nn", "import escnn"),
        ("tests/test_groups.py", "from escnn import gspaces", "import escnn"),
        ("symdata/groups.py", "print('hello')", "only cli does"),
        ("zoo/train.py", "def f():\n    print(1)", "only cli does"),
        ("symdata/groups.py", "open('table')", "touch disk"),
        ("symdata/warp.py", "Path('grid').read_bytes()", "touch disk"),
        ("symdata/keys.py", "import urllib.request", "touch disk"),
        ("symdata/build.py", "from huggingface_hub import HfApi", "touch disk"),
        ("symdata/build.py", "from symdata.store import make", "build may import"),
        ("symdata/draw.py", "from symdata.store import load", "draw may import"),
        ("symdata/store/folder.py", "from symdata.hub import publish", "store may import"),
        ("symdata/store/folder.py", "from symdata.inspection import inspect", "store may import"),
        ("symdata/groups.py", "x = 1\n" * (MAX_LINES + 1), "it is two files"),
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
        ("symdata/transforms.py", "from kornia.augmentation import GeometricAugmentationBase2D"),
        ("symdata/sources/decode.py", "from kornia_rs import io"),
        ("symdata/keys.py", "x = 'print(open)'  # print(open())"),
        ("tests/support/steerable.py", "import escnn"),
        ("cli/make.py", "from symdata.build import Spec\nprint(1)"),
        ("symdata/groups.py", "x = 1\n" * MAX_LINES),
    ],
)
def test_the_checker_lets_pass(path, code):
    assert violations(path, code) == []


def test_the_contract_has_no_cycle():
    assert list(TopologicalSorter(MAY_IMPORT).static_order())


FILES = sorted(
    path.relative_to(ROOT).as_posix() for folder in (*PACKAGES, "tests") for path in ROOT.glob(f"{folder}/**/*.py")
)


@pytest.mark.parametrize("path", FILES)
def test_every_file_keeps_the_contract(path):
    found = violations(path, Path(ROOT, path).read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_every_room_of_the_contract_exists(name):
    assert (ROOT / "symdata" / f"{name}.py").exists() or (ROOT / "symdata" / name).is_dir()


@pytest.mark.parametrize(
    "code", ["import symdata", "from cli.main import main; main(['--help'], standalone_mode=False)"]
)
def test_nothing_heavy_is_loaded(code):
    code = f"import sys; {code}; print(sorted({LAZY!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.splitlines()[-1] == "[]"
