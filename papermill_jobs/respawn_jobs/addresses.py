"""Cells that ask for addresses, `id(x)`: in another process everything lies elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def asks_for_addresses(source: str) -> bool:
    """Tell whether a cell calls `id` of Python; what it does with the number is not followed."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    nodes = list(ast.walk(tree))
    own = any(isinstance(node, ast.Name) and node.id == "id" and not _is_read(node) for node in nodes)
    return not own and any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "id"
        for node in nodes
    )


def told_addresses(cells: Iterable[int]) -> list[str]:
    """Return in words that reused cells ask for addresses."""
    return [
        f"cell {cell}, which is reused, asks for addresses (id): in the process that goes on, what it asked "
        "for lies elsewhere"
        for cell in cells
    ]


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)
