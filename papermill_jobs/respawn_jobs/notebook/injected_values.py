"""The cell that gives parameters their values: papermill's literals get their types, and are read back.

papermill writes JSON, so it gives `day: date` a text. Here the cell says `day = date.fromisoformat(…)`, by
the name that the notebook itself uses in its `parameters` cell.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

from respawn_jobs.notebook.parameter_types import ParameterKind, read

_IMPORTED = {
    "date": '__import__("datetime").date.fromisoformat',
    "datetime": '__import__("datetime").datetime.fromisoformat',
    "time": '__import__("datetime").time.fromisoformat',
    "decimal": '__import__("decimal").Decimal',
    "path": '__import__("pathlib").Path',
}
"""Where a parameter has taken the name that would make it."""


def typed_source(source: str, kinds: Mapping[str, ParameterKind]) -> str:
    """Return the injected cell's source with values of the types that the notebook declares.

    What needs no change keeps its spelling. A value that does not fit its type stays what papermill wrote.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    lines = source.encode().split(b"\n")
    for node in reversed(tree.body):
        name, value = _assignment(node)
        if value is None or name not in kinds:
            continue
        typed = _typed(value, kinds[name], kinds)
        if typed is value:
            continue
        first, last = value.lineno - 1, (value.end_lineno or value.lineno) - 1
        head, tail = lines[first][: value.col_offset], lines[last][value.end_col_offset :]
        lines[first : last + 1] = [head + ast.unparse(typed).encode() + tail]
    return b"\n".join(lines).decode()


def plain_values(source: str, kinds: Mapping[str, ParameterKind]) -> dict[str, Any] | None:
    """Return the values that such a cell gives, as JSON has them; None when it does anything else."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: dict[str, Any] = {}
    for node in tree.body:
        name, value = _assignment(node)
        if value is None:
            return None
        try:
            found[name] = _plain(value, kinds.get(name), kinds)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return None
    return found


def _assignment(node: ast.stmt) -> tuple[str, ast.expr | None]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    return "", None


def _typed(node: ast.expr, kind: ParameterKind, taken: Collection[str]) -> ast.expr:
    """Return an expression of the type; `node` itself when it is that already."""
    if isinstance(node, ast.List):
        return _typed_list(node, kind, taken) if kind.type == "list" else node
    if kind.to_float:
        return _as_float(node)
    if not isinstance(node, ast.Constant) or node.value is None or not kind.maker:
        return node
    if kind.choices and not any(node.value == choice for choice in kind.choices):
        return node
    try:
        text = node.value if kind.choices else read(str(kind.type), node.value)
    except (ValueError, TypeError):
        return node
    make = ast.parse(_maker(kind, taken), mode="eval").body
    return ast.Call(func=make, args=[ast.Constant(text)], keywords=[])


def _typed_list(node: ast.List, kind: ParameterKind, taken: Collection[str]) -> ast.expr:
    items = [_typed(item, kind.items, taken) if kind.items else item for item in node.elts]
    if kind.container == "tuple":
        return ast.Tuple(elts=items, ctx=ast.Load())
    if kind.container == "set":
        empty = ast.Call(func=ast.Name("set", ast.Load()), args=[], keywords=[])
        return ast.Set(elts=items) if items else empty
    if all(one is other for one, other in zip(items, node.elts, strict=True)):
        return node
    return ast.List(elts=items, ctx=ast.Load())


def _as_float(node: ast.expr) -> ast.expr:
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    number = node.operand if isinstance(node, ast.UnaryOp) and negative else node
    if not isinstance(number, ast.Constant) or type(number.value) is not int:
        return node
    try:
        made = ast.Constant(float(number.value))
    except OverflowError:
        return node
    return ast.UnaryOp(op=ast.USub(), operand=made) if negative else made


def _maker(kind: ParameterKind, taken: Collection[str]) -> str:
    if kind.maker.partition(".")[0] in taken and kind.type in _IMPORTED:
        return _IMPORTED[kind.type]
    return kind.maker


def _plain(node: ast.expr, kind: ParameterKind | None, taken: Collection[str]) -> Any:
    if kind is not None and isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_plain(item, kind.items, taken) for item in node.elts]
    if kind is not None and kind.maker and isinstance(node, ast.Call) and len(node.args) == 1:
        made = ast.parse(_maker(kind, taken), mode="eval").body
        if not node.keywords and ast.dump(node.func) == ast.dump(made):
            return ast.literal_eval(node.args[0])
    value = ast.literal_eval(node)
    return list(value) if kind is not None and isinstance(value, set | tuple) else value
