"""Tests that cannot run and asserts that cannot fail, read from the syntax trees of the files in tests."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

Function = ast.FunctionDef | ast.AsyncFunctionDef


def problems(path: str, code: str, words: dict[str, int]) -> list[str]:
    """What of the file `path` never runs or cannot fail, a sentence each.

    Args:
        path: from the root, with slashes.
        code: what stands in it.
        words: how often each word stands in all files of tests.
    """
    tree = ast.parse(code)
    found = [*_overwritten(tree.body, path), *_asserts(tree, path), *_unreachable(tree, path)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found += _overwritten(node.body, f"{path}: {node.name}")
            tests = [inner.name for inner in node.body if _is_test(inner)]
            if tests and not node.name.startswith("Test"):
                found.append(f"{path}: pytest passes over class {node.name} and with it {tests[0]}")
        if isinstance(node, Function):
            found += [
                f"{path}: {inner.name} stands in {node.name}, where pytest does not look"
                for inner in ast.walk(node)
                if inner is not node and _is_test(inner)
            ]
    return [*found, *_never_called(tree, path, words)]


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, Function) and node.name.startswith("test")


def _is_fixture(node: Function) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def _overwritten(body: list[ast.stmt], where: str) -> Iterator[str]:
    """Functions and classes whose name the same body binds once more; of a property, its setter is no second one."""
    seen: dict[str, ast.stmt] = {}
    for node in _flat(body):
        for name in _binds(node):
            first = seen.get(name)
            if isinstance(first, Function | ast.ClassDef) and not _extends(node):
                yield f"{where}: {name} is bound again in line {node.lineno}, so the first never runs"
            seen[name] = node


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a scope, those under `if`, `with`, `for` and `try` too."""
    for node in body:
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            for part in ("body", "orelse", "finalbody"):
                yield from _flat(getattr(node, part, []))


def _binds(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name.split(".")[0] for alias in names)
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _extends(node: ast.stmt) -> bool:
    decorators = node.decorator_list if isinstance(node, Function) else []
    return any(re.search(r"\.(setter|deleter)$|\boverload$", ast.unparse(decorator)) for decorator in decorators)


def _never_called(tree: ast.Module, path: str, words: dict[str, int]) -> Iterator[str]:
    """Functions of a module that nothing names: tests without their prefix, or in a file that pytest does not read."""
    collected = path.rpartition("/")[2].startswith("test_")
    for node in tree.body:
        if not isinstance(node, Function) or node.name.startswith("pytest_") or _is_fixture(node):
            continue
        if _is_test(node) and not collected:
            yield f"{path}: pytest does not look for {node.name} in a file of this name; call the file test_*.py"
        elif not (node.name.startswith("test_") and collected) and words.get(node.name, 0) < 2:
            yield f"{path}: nothing calls {node.name}; a test is called test_*"


def _asserts(tree: ast.Module, path: str) -> Iterator[str]:
    """Asserts on what is true whatever happens."""
    always = (ast.GeneratorExp, ast.Lambda, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.JoinedStr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            parts = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
            for part in parts:
                if isinstance(part, always) or (isinstance(part, ast.Constant) and part.value):
                    yield f"{path}: the assert in line {node.lineno} cannot fail"


def _unreachable(tree: ast.Module, path: str) -> Iterator[str]:
    """Statements behind a return or the like, and those in a `pytest.raises` behind the one that raises."""
    for node in ast.walk(tree):
        for part in ("body", "orelse", "finalbody"):
            body = getattr(node, part, None)
            for before, after in pairwise(body) if isinstance(body, list) else ():
                if isinstance(before, ast.Return | ast.Raise | ast.Continue | ast.Break):
                    yield f"{path}: line {after.lineno} is never reached"
        if isinstance(node, ast.With) and any(_expects_error(item.context_expr) for item in node.items):
            last = node.body[-1]
            if len(node.body) > 1 or isinstance(last, ast.For | ast.If | ast.Assert):
                yield f"{path}: what stands behind the line that raises in line {node.lineno} is never reached"


def _expects_error(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.raises", "raises")
