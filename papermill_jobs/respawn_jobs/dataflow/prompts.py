"""Which cells ask for what earlier prompts were given or gave, or for the number of the next prompt.

A cell that runs again after a restore gets the next number, and what it was and gave before stays under its
old one. So such a cell sees another history than in a run from the top.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from respawn_kernels.cell_code.syntax import tree_of

_NAMES = re.compile(r"In|Out|_{1,3}|_i{1,3}|_i?\d+|_ih|_oh")
_ATTRIBUTES = frozenset(["execution_count", "history_manager", "input_hist_parsed", "input_hist_raw"])
_MAGICS = r"(?:history|hist|macro|recall|rep|rerun|save|edit|pastebin|notebook)"
_MAGIC = re.compile(rf"^\s*(?:\w+\s*=\s*)?%{_MAGICS}\b", re.MULTILINE)
_REASON = re.compile(rf"(?:it uses )?(?:{_NAMES.pattern}|_i\w*|%{_MAGICS})\b")


def asks_for_prompts(source: str, own: Collection[str]) -> bool:
    """Return whether the text of a cell asks for prompts.

    Args:
        source: the cell.
        own: names that the notebook binds, which are no prompts.
    """
    tree = tree_of(source)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES:
            return True
        loaded = node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else ""
        if loaded not in own and _NAMES.fullmatch(loaded):
            return True
    return _MAGIC.search(source) is not None


def is_by_prompts(opaque: str | None) -> bool:
    """Return whether the analysis gave a cell up because it, or what it calls, asks for prompts."""
    return opaque is not None and _REASON.match(opaque) is not None
