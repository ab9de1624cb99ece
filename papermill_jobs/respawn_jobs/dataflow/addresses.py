"""Cells that ask for addresses, such as `id(x)`: in another process everything lies elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from respawn_kernels.cell_code.syntax import tree_of, without_magics
from respawn_kernels.evidence import CellEvidence

_ATTRIBUTES = frozenset(
    ["__array_interface__", "__cuda_array_interface__", "__array_struct__", "data_ptr", "buffer_info"]
)
_CALLED = frozenset(["addressof", "_as_parameter_"])
_MAX_NAMED = 3


def asks_for_addresses(
    source: str, evidence: CellEvidence | None = None, bound: Collection[str] = ()
) -> list[str]:
    """Return how a cell asks where objects lie; what it does with the number is not followed.

    Args:
        source: the cell's source.
        evidence: what was seen of it; None when nothing was.
        bound: names that the notebook binds.
    """
    found = dict.fromkeys(_in_source(source, bound))
    return [*found, *(evidence.addresses if evidence is not None else ())]


def describe_addresses(cells: Iterable[tuple[int, list[str]]]) -> list[str]:
    """Return in words that reused cells ask for addresses.

    Args:
        cells: by index, how they do.
    """
    return [
        f"cell {cell}, which is reused, asks for addresses ({', '.join(how[:_MAX_NAMED])}): in the process "
        "that continues, what it asked for is elsewhere"
        for cell, how in cells
        if how
    ]


def _in_source(source: str, bound: Collection[str]) -> Iterator[str]:
    tree = tree_of(without_magics(source))
    nodes = list(ast.walk(tree)) if tree is not None else []
    own = "id" in bound or any(_binds_id(node) for node in nodes)
    for node in nodes:
        if isinstance(node, ast.Name) and node.id == "id" and not own:
            yield "id"
        elif isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES | _CALLED:
            yield node.attr
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            if (node.value.attr, node.attr) == ("ctypes", "data"):
                yield "ctypes.data"
        elif isinstance(node, ast.Name) and node.id in _CALLED:
            yield node.id


def _binds_id(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id == "id" and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.alias):
        return (node.asname or node.name) == "id"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == "id"
    return isinstance(node, ast.arg) and node.arg == "id"
