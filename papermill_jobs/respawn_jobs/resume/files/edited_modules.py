"""Modules that lie beside the notebook and were edited since the run: often the fix itself.

A cell that read such a source while it ran is as edited as the module. Where it does nothing but import, only
the names are others that it takes from modules beside the notebook; what else it imports is as it was.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from respawn_jobs.dataflow import Footprint
from respawn_jobs.model.evidence import DIRECTORY, GONE
from respawn_jobs.model.hidden_state import RANDOM_STATES
from respawn_jobs.model.runs import CellRecord
from respawn_jobs.resume.files.carried_edits import CarriedEdits
from respawn_jobs.resume.invalidation.file_changes import Look, changed_inputs, outer_inputs
from respawn_jobs.resume.invalidation.reruns import Step
from respawn_jobs.resume.invalidation.steps import CellPlace
from respawn_kernels.cell_code.syntax import tree_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_READ_BY_LOADING = frozenset(
    [*RANDOM_STATES, "#env", "#cwd", "#sys.path", "#locale", "#timezone", "#decimal"]
)
Files = Mapping[str, tuple[int, int]]


def with_edited_modules(
    places: Sequence[CellPlace],
    steps: Sequence[Step],
    finished: Sequence[CellRecord],
    cells: Sequence[NotebookNode],
    look: Look | None,
    carried: CarriedEdits | None = None,
) -> list[Step]:
    """Return the steps, in which cells that read modules which are others now have changed.

    So have cells that had to do with any file that the version carries otherwise.

    Args:
        places: where each step is in both notebooks.
        steps: what the cells do.
        finished: the records of the cells that had finished.
        cells: the code cells of the fixed notebook.
        look: tells files as they are now; None where they cannot be seen.
        carried: what the version that goes on carries otherwise; None for nothing.
    """
    if look is None and carried is None:
        return list(steps)
    inputs, found = outer_inputs(finished), list(steps)
    beside = {part for files in inputs.values() for path in _sources(files) for part in _parts(path)}
    state = _READ_BY_LOADING & {name for step in steps for one in step.both for name in one.writes}
    for at, (place, step) in enumerate(zip(places, steps, strict=True)):
        if place.old is None or place.new is None or step.changed is not None:
            continue
        record, source = finished[place.old], str(cells[place.new].source)
        edits = _edited(inputs.get(record.index, {}), look) if look is not None else []
        ours = carried.of(source, record) if carried is not None else {}
        if edits or ours:
            modules = all(path.endswith(".py") for path in ours)
            names = _names_from(source, beside | _of_carried(ours)) if modules else None
            words = ", ".join(dict.fromkeys([*edits, *ours.values()]))
            found[at] = Step(_only(step.old, names, state), _only(step.new, names, state), words)
    return found


def _of_carried(edits: Mapping[str, str]) -> set[str]:
    return {part for path in edits for part in _parts(path)}


def _sources(files: Files) -> dict[str, tuple[int, int]]:
    return {path: before for path, before in files.items() if path.endswith(".py")}


def _parts(path: str) -> list[str]:
    """Return what the name of a module that a file is in may begin with."""
    return list(PurePath(path).with_suffix("").parts)


def _edited(files: Files, look: Look) -> list[str]:
    """Return which sources are others now, in words.

    What is gone is not among them: the run may have had its directory elsewhere.
    """
    there = {path: old for path, old in _sources(files).items() if look(path) not in (GONE, DIRECTORY)}
    return changed_inputs(there, look)


def _names_from(source: str, modules: set[str]) -> set[str] | None:
    """Return the names that a cell takes from modules; None where it does more than to import."""
    tree = tree_of(source)
    names: set[str] = set()
    for node in tree.body if tree is not None else [None]:
        if isinstance(node, ast.Import):
            names |= {
                (one.asname or one.name).partition(".")[0]
                for one in node.names
                if one.name.partition(".")[0] in modules
            }
        elif isinstance(node, ast.ImportFrom) and all(one.name != "*" for one in node.names):
            if (node.module or "").partition(".")[0] in modules:
                names |= {one.asname or one.name for one in node.names}
        else:
            return None
    return names


def _only(footprint: Footprint | None, names: set[str] | None, state: frozenset[str]) -> Footprint | None:
    """Return a footprint that writes these names alone, and reads what modules look at as they are loaded.

    Code that nobody knows may write all of that; what counts is what cells are known to set.
    """
    if footprint is None or names is None:
        return footprint
    mine = frozenset(names)
    return replace(
        footprint, reads=state, writes=mine, sure=mine, uses=frozenset(), opaque=None, reads_all=None
    )
