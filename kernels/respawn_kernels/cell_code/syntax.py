"""The syntax tree of a cell, which several look at before and after it runs."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

_COMMAND = re.compile(r"^\s*(?:[\w, ]+=\s*)?[!%](.*)$", re.MULTILINE)
_WORD = re.compile(r"[^\s'\"<>|;&()=,{}$`]+")
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


def command_lines(source: str) -> list[str]:
    """Return what the commands and magics of a cell say; of a cell that is one, all of its lines."""
    return [*_COMMAND.findall(source), *(source.splitlines() if source.lstrip().startswith("%%") else ())]


def words_of(text: str) -> list[str]:
    """Return the words of a text of which each may be a path, as a shell has them."""
    return _WORD.findall(text)


def called_name(call: ast.Call) -> str:
    """Return the name by which a function or method is called; empty where it is called by none."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
