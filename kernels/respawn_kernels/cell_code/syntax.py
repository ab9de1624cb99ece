"""The syntax tree of a cell, which several look at before and after it runs."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

_MAGIC = re.compile(r"^([ \t]*)(?:[\w, ]+=\s*)?[!%].*$", re.MULTILINE)


@lru_cache(maxsize=8)
def tree_of(source: str) -> ast.Module | None:
    """Return the tree of Python code, not to be changed; None when it cannot be parsed."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def without_magics(source: str) -> str:
    """Return a cell with `pass` in the place of its lines of magics and commands, to be parsed."""
    return _MAGIC.sub(r"\1pass", source)
