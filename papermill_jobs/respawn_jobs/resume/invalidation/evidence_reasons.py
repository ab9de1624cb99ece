"""Why a cell depends on another, as it was seen while it ran: the second half of a plan's line."""

from __future__ import annotations

import ast
import sys
from collections import Counter

from respawn_jobs.dataflow import Footprint, hidden
from respawn_jobs.model.runs import CellRecord

_MAX_CALLERS = 3
_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError)


def how_seen(name: str, record: CellRecord | None, footprint: Footprint, source: str) -> str:
    """Return how it was seen that a name matters to a cell, such as `, through a function that it called`.

    Args:
        name: the name.
        record: the cell as it ran; None when it is new.
        footprint: what is known of it.
        source: its source.
    """
    evidence = record.evidence if record is not None else None
    if evidence is None or evidence.unwatched is not None:
        return ""
    if name in evidence.reads or name in evidence.writes:
        if name in names_of_its_own(source):
            return ""
        return f", through a function that {_caller(evidence.libraries) or 'it'} called"
    if hidden(name):
        return ", as was seen" if name in footprint.seen else ""
    if evidence.frames and name not in footprint.reads:
        return f", for {', '.join(evidence.frames)} looked up names in it"
    return ""


def names_of_its_own(source: str) -> set[str]:
    """Return the names that a cell's own code mentions, and not only functions in it."""
    try:
        waiting: list[ast.AST] = list(ast.parse(source).body)
    except _TOO_MUCH:
        return set()
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            found.add(node.id)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        waiting += ast.iter_child_nodes(node)
    return found


def _caller(modules: tuple[str, ...]) -> str | None:
    """Return the libraries that may have called, by the modules whose code ran; None when only Python's did.

    NumPy runs below most others and is named only where it is alone.
    """
    roots = Counter(module.partition(".")[0] for module in modules)
    libraries = [root for root, _ in roots.most_common() if root not in sys.stdlib_module_names]
    others = [root for root in libraries if root != "numpy"] or libraries
    return " or ".join(others[:_MAX_CALLERS]) or None
