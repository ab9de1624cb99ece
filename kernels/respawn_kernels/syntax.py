"""The syntax tree of a cell, which several look at before and after it runs."""

from __future__ import annotations

import ast
from functools import lru_cache


@lru_cache(maxsize=8)
def tree_of(source: str) -> ast.Module | None:
    """Return the tree of Python code, not to be changed; None when it cannot be parsed."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
