"""Who may import whom, and what else every file keeps to: read from the syntax trees of all files."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping

MAY_IMPORT = {
    "symdata": {
        "__main__": "",
        "errors": "",
        "_version": "",
        "lazy": "",
        "display": "",
        "fields": "errors",
        "keys": "errors",
        "elements": "errors",
        "groups": "errors elements",
        "measures": "errors groups",
        "grammar": "errors groups measures",
        "symmetry": "errors grammar groups keys measures",
        "laws": "groups measures",
        "transforms": "errors groups keys measures symmetry",
        "annotations": "errors groups transforms",
        "sources": "annotations display errors groups keys",
        "recipes": "annotations display errors fields groups keys sources symmetry transforms",
        "pictures": "annotations display errors groups laws measures transforms",
        "store": "_version annotations display errors groups keys pictures recipes sources symmetry transforms",
        "inspection": "display errors groups keys laws measures pictures sources store symmetry transforms",
        "hub": "display errors store",
        "installation": "_version display",
    },
    "zoo": {
        "errors": "",
        "files": "",
        "devices": "errors",
        "preprocessing": "errors files",
        "layers": "errors",
        "exactness": "errors layers",
        "models": "errors exactness files inference layers preprocessing",
        "alignment": "errors exactness inference layers",
        "evidence": "errors layers",
        "objectives": "errors evidence layers models",
        "inference": "errors exactness layers preprocessing",
        "measure": "alignment errors exactness inference layers models preprocessing",
        "evaluation": "errors exactness inference measure preprocessing",
        "checkpoint": "errors evaluation exactness files inference measure models preprocessing",
        "hub": "checkpoint errors files models preprocessing",
        "references": "checkpoint devices errors evaluation exactness files hub inference layers models preprocessing",
        "deployment": "checkpoint errors inference models preprocessing references",
        "training": (
            "checkpoint devices errors exactness files layers measure models objectives preprocessing references"
        ),
        "pretraining": "errors layers models objectives preprocessing training",
        "report": "errors evaluation exactness inference measure models preprocessing references",
        "experiments": (
            "errors evaluation evidence exactness inference layers measure models objectives pretraining references "
            "training"
        ),
    },
    "cli": {"options": ""},
}
"""Package -> room -> the rooms of the package that it may import. A room is a module, or a folder of modules that may
import each other. Of another package a room may import what the order symdata, zoo, cli allows; a command of cli is a
file that imports `cli.options` alone, and zoo has no module beside its rooms."""

KORNIA = "symdata/transforms/augmentation.py"
"""The file that may import kornia, besides tests and benchmarks."""

ESCNN = ("tests/support/", "zoo/layers/steerable/basis.py")
"""Where escnn may be imported."""

DISK = ("sources", "store", "hub", "installation")
"""Rooms of symdata that may open files and the network."""

OPENS = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "mkdir", "unlink", "rmdir", "glob", "rglob"}
"""Calls that touch the disk, as a function or a method."""

REACHES = {"fsspec", "http", "httpx", "httpx2", "huggingface_hub", "requests", "shutil", "socket", "tempfile", "urllib"}
"""Modules that are imported to touch the disk or the network."""

BELOW = {"symdata": ("symdata",), "zoo": ("symdata", "zoo"), "cli": ("symdata", "zoo", "cli"), "cards": ()}
"""Package -> the packages of ours that it may import."""

COMMAND = "symdata/__main__.py"
"""`python -m symdata` is the command, so this file imports what stands above it; nothing imports this file."""

MAX_LINES, MAX_PARAMETERS = 300, 12


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that are imported anywhere in `tree`, in functions too; not those for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            before = "." * node.level + (node.module or "")
            yield from (f"{before}.{alias.name}" for alias in node.names)
        yield from imports(node)


def calls(tree: ast.AST) -> Iterator[str]:
    """The last name of everything that is called: `open` for `open(...)` and for `path.open(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name


def module_of(path: str) -> str:
    """`zoo/hub/__init__.py` is `zoo.hub`, `zoo/files.py` is `zoo.files`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def room_of(module: str) -> str:
    """`symdata.keys.uniforms` is in room "keys", `symdata.sources.idx` in "sources", `symdata` itself in ""."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def violations(path: str, code: str) -> list[str]:
    """What the file `path` (from the root, with slashes) must not contain but does, a sentence each."""
    tree = ast.parse(code)
    return [*_lines(path, code), *_imports(path, tree), *_calls(path, tree), *_parameters(path, tree)]


def _lines(path: str, code: str) -> Iterator[str]:
    if (count := len(code.splitlines())) > MAX_LINES and not path.startswith("benchmarks/"):
        yield f"{path} has {count} lines, at most {MAX_LINES}: it is two files"


def _imports(path: str, tree: ast.AST) -> Iterator[str]:
    package, room = path.split("/")[0], room_of(module_of(path))
    ours = package in BELOW
    if ours and room and room not in MAY_IMPORT.get(package, {}) and package in ("symdata", "zoo"):
        yield f"{path}: a room of its own? Say in MAY_IMPORT of tests/repository/contract.py what {room!r} may import"
    for name in imports(tree):
        root = name.split(".")[0]
        if name.startswith(".") and ours:
            yield f"{path} imports {name!r}: write the full name, so that it can be read here"
        if root in BELOW and ours and root not in BELOW[package] and path != COMMAND:
            yield f"{path} imports {name}: {package} imports {' and '.join(BELOW[package]) or 'nothing'} alone"
        if root == "kornia" and ours and path != KORNIA:
            yield f"{path} imports {name}: only {KORNIA} imports kornia"
        if root == "escnn" and not path.startswith(ESCNN):
            yield f"{path} imports {name}: only {' and '.join(ESCNN)} import escnn"
        if ours and root in BELOW and root != package and any(part[0] == "_" for part in name.split(".")[1:-1]):
            yield f"{path} imports {name}: that module is {root}'s own"
        if root == package and ours and room:
            yield from _rooms(path, package, room, name)
        if package == "symdata" and room not in ("", *DISK) and root in REACHES:
            yield f"{path} imports {name}: only {', '.join(DISK)} touch disk or network"


def _rooms(path: str, package: str, room: str, name: str) -> Iterator[str]:
    may = ["options"] if package == "cli" and room != "options" else MAY_IMPORT[package].get(room, "").split()
    if room_of(name) not in (room, *may):
        yield f"{path} imports {name}: {room} may import {', '.join(may) or f'nothing of {package}'}"


def _calls(path: str, tree: ast.AST) -> Iterator[str]:
    package, room = path.split("/")[0], room_of(module_of(path))
    for name in calls(tree):
        if name in ("print", "pprint") and package in ("symdata", "zoo", "cards"):
            yield f"{path} prints: only cli does"
        if name in OPENS and package == "symdata" and room not in DISK:
            yield f"{path} calls {name}: only {', '.join(DISK)} touch disk or network"


def _parameters(path: str, tree: ast.AST) -> Iterator[str]:
    if path.split("/")[0] not in BELOW:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = sum(argument.arg not in ("self", "cls") for argument in every)
            if count > MAX_PARAMETERS:
                yield f"{path}: {node.name} has {count} parameters, at most {MAX_PARAMETERS}: some are one value"


def arrows(files: Mapping[str, str]) -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports, from path -> code."""
    trees = {module_of(path): ast.parse(code) for path, code in files.items()}
    found: dict[str, set[str]] = {}
    for module, tree in trees.items():
        named = {name if name in trees else name.rpartition(".")[0] for name in imports(tree)}
        found[module] = {name for name in named if name in trees and name != module}
    return found


def public_classes(files: Mapping[str, str]) -> dict[str, list[str]]:
    """Name of a class that does not begin with an underscore -> the files that define one."""
    found = defaultdict(list)
    for path, code in files.items():
        for node in ast.parse(code).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path)
    return found
