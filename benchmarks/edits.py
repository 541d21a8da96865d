"""Single small edits of a Python file, as a tired programmer would make them: the mutants of `benchmarks.mutants`.

Left out are annotations, decorators, docstrings, the text of f-strings, what stands in a `raise`, and code for the type
checker: an edit there is no mistake in a number.
"""

import ast
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_PAIRS = """
    min max|amin amax|minimum maximum|argmin argmax|clamp_min clamp_max|any all|floor ceil|sin cos|train eval
    zeros ones|zeros_like ones_like|sum mean|log exp|union intersection|append extend|vflip hflip
"""
NAMED = {
    a: b for pair in _PAIRS.replace("\n", "|").split("|") if pair.strip() for a, b in (pair.split(), pair.split()[::-1])
}
"""A name that is called -> the name that is called in its place."""


@dataclass(frozen=True)
class Edit:
    """One edit of a file."""

    number: int
    """Its place among all edits of the file."""
    line: int
    kind: str
    before: str
    """Text of the node before and after."""
    after: str
    function: str
    """Qualified name of the function or method whose body holds it; "" if it is read at import."""


def edits(code: str) -> list[Edit]:
    """All edits of a file, in the order of its syntax tree; those that change nothing are left out."""
    found = []
    for number, (node, _, kind, other, function) in enumerate(_all(ast.parse(code))):
        before, after = _text(node), _text(other)
        if before != after:
            line = node.target.lineno if isinstance(node, ast.comprehension) else getattr(node, "lineno", 0)
            found.append(Edit(number, line, kind, before, after, function))
    return found


def applied(code: str, edit: Edit) -> str:
    """The file after the edit, as `ast.unparse` writes it."""
    tree = ast.parse(code)
    _, put, _, other, _ = next(islice(_all(tree), edit.number, None))
    put(other)
    return ast.unparse(ast.fix_missing_locations(tree))


def chosen(code: str, count: int, seed: str) -> list[Edit]:
    """`count` edits of a file, or all there are; the same for the same seed."""
    every = edits(code)
    picked = random.Random(seed).sample(range(len(every)), min(count, len(every)))
    return [every[i] for i in sorted(picked)]


def _all(tree: ast.Module) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None], str, ast.AST, str]]:
    """(node, what puts another in its place, kind of the edit, the other, function) of every edit."""
    for node, put, function in _slots(tree, "", outside=True):
        for kind, other in _others(node):
            yield node, put, kind, other, "" if function.endswith(".") else function


def _text(node: ast.AST) -> str:
    """The source of a node; of a statement with a body, its condition."""
    return ast.unparse(node.test if isinstance(node, ast.If | ast.While) else node)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _slots(parent: ast.AST, scope: str, outside: bool) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None], str]]:
    """Every node that may be edited, what puts another in its place, and the function whose body it is in.

    Args:
        parent: the nodes below it.
        scope: name of the function around it; of the classes, with a dot at the end, if it is in none.
        outside: whether it is in no function.
    """
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        inner, still = scope, outside
        if outside and isinstance(parent, ast.ClassDef):
            inner = f"{scope}{parent.name}."
        if outside and isinstance(parent, ast.FunctionDef) and field == "body":
            inner, still = f"{scope}{parent.name}", False
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST) and not _left_out(node):
                yield node, partial(_put, parent, field, index), inner if not still else "."
                yield from _slots(node, inner, still)


def _left_out(node: ast.AST) -> bool:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
        return node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom)


def _others(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of `node`: the kind of the edit, and the node after it."""
    match node:
        case ast.Compare(ops=[op]):
            yield from (("comparison", _with(node, ops=[other()])) for other in COMPARED[type(op)])
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) in OPERATED:
                yield "operator", _with(node, op=OPERATED[type(op)]())
            if isinstance(op, ast.Sub | ast.MatMult | ast.Div):
                yield "operands swapped", _with(node, left=right, right=left)
        case ast.AugAssign(op=op) if type(op) in OPERATED:
            yield "operator", _with(node, op=OPERATED[type(op)]())
        case ast.BoolOp(op=op):
            yield "and/or", _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "not or minus dropped", operand
        case ast.Constant(value=bool() as value):
            yield "True/False", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", ast.Constant(value + 1)
            yield "constant", ast.Constant(value - 1 if isinstance(value, int) else value / 2)
        case ast.Call():
            yield from _calls(node)
        case ast.IfExp(body=body, orelse=orelse):
            yield "branches swapped", _with(node, body=orelse, orelse=body)
        case ast.If(test=test) | ast.While(test=test):
            yield "condition", _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield "slice", _with(node, lower=None)
            if upper is not None:
                yield "slice", _with(node, upper=None)
        case ast.comprehension(ifs=[_, *_]):
            yield "filter dropped", _with(node, ifs=[])
        case ast.Return(value=ast.expr()):
            yield "return", _with(node, value=ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield "statement dropped", ast.Pass()


def _calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    for i in range(len(node.keywords)):
        if node.keywords[i].arg is not None:
            yield "argument dropped", _with(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    if len(node.args) > 1:
        yield "arguments swapped", _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    match node.func:
        case ast.Name(id=name) if name in NAMED:
            yield "other name", _with(node, func=ast.Name(NAMED[name]))
        case ast.Attribute(attr=name) if name in NAMED:
            yield "other name", _with(node, func=_with(node.func, attr=NAMED[name]))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other
