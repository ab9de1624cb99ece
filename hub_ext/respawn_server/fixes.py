"""The fix of a debugged run, and the file that its job was promoted from: which of the two lacks what.

A job's file stays as it was when a run of it is resumed with a debug notebook: the fix is in a version and
nowhere else. Three notebooks tell what to write: the version that the file held (*base*), the version of the
run that succeeded (*fixed*), and the file now. A cell of the fix is written where the file still has the old
text, and only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nbformat import NotebookNode

from respawn_jobs.models import Model, Run, RunState, Version
from respawn_jobs.notebook_diff import diff_lines, pair_cells
from respawn_jobs.service import Service
from respawn_jobs.service_versions import DiffLine

_MAX_RESUMES = 20
"""Resumes, one of the other, that are followed."""


@dataclass(frozen=True)
class Fix:
    """What a run that succeeded was made of, and what its job's file held."""

    run: Run
    base: Version
    fixed: Version
    source: str
    """The file that `base` came from."""
    old: NotebookNode
    new: NotebookNode


class CellFix(Model):
    """What the fix did to one cell, and how the file stands to it."""

    kind: Literal["changed", "added", "removed"]
    state: Literal["write", "there", "otherwise"]
    """write: the file has the old text. there: it has the fix. otherwise: it has a third text, or lost the
    cell."""
    cell: int | None
    """Its place in the file; None where the file has no such cell."""
    fixed: int | None
    """Its place in the fixed version; None for a cell that the fix removes."""
    cell_type: str
    lines: list[DiffLine]
    """From the file's text to that of the fix."""


@dataclass
class Merge:
    """The file with the fix in it, and what that took."""

    notebook: NotebookNode
    cells: list[CellFix] = field(default_factory=list)


def outcome_of(service: Service, run_id: str) -> tuple[Run, Run | None]:
    """Return a run, and the last of those that go on from it; None where no run does."""
    run = last = service.show(run_id).run
    for _ in range(_MAX_RESUMES):
        if last.resumed_by is None:
            break
        last = service.show(last.resumed_by).run
    return run, None if last is run else last


def find_fix(service: Service, run_id: str) -> Fix | str:
    """Return the fix that made a failed run succeed, or why there is none to write anywhere."""
    from respawn_jobs.notebooks import read_notebook

    _, last = outcome_of(service, run_id)
    if last is None:
        return f"{run_id} was not resumed yet."
    if last.state is not RunState.SUCCEEDED:
        return f"{last.id}, which goes on from it, has not succeeded."
    by_number = {version.number: version for version in service.versions(last.job)}
    fixed = by_number.get(last.version)
    base, source = fixed, None
    while base is not None:
        source = source or base.source
        if base.parent is None:
            break
        base = by_number.get(base.parent)
    if fixed is None or base is None:
        return f"Version {last.version} of {last.job}, or one that it was made from, is no longer kept."
    if fixed is base:
        return "The run was resumed with the notebook as it was: there is no fix."
    if source is None:
        return f"Respawn does not know which file version {base.number} came from."
    old, new = (read_notebook(service.version_notebook(last.job, one.number)) for one in (base, fixed))
    return Fix(last, base, fixed, source, old, new)


def merge(old: NotebookNode, new: NotebookNode, mine: NotebookNode) -> Merge:
    """Put what changed from `old` to `new` into `mine`.

    Args:
        old: the notebook that the file held.
        new: the fixed one.
        mine: the file as it is; it is changed in place, where it still has the old text. Outputs of a cell
            whose text is replaced go, for they are not of the new one; all else stays.

    Returns:
        The file with the fix, and what became of each cell of the fix.
    """
    result = Merge(mine)
    fixed, held = pairs(old.cells, new.cells), pairs(old.cells, mine.cells)
    before = list(mine.cells)
    for place, cell in enumerate(old.cells):
        now = before[held[place]] if place in held else None
        if place not in fixed:
            _remove(result, before, cell, now)
        else:
            _change(result, before, cell, new.cells[fixed[place]], now, fixed[place])
    _add(result, before, new, {to: place for place, to in fixed.items()}, held)
    result.cells.sort(
        key=lambda one: (one.fixed is None, one.fixed if one.fixed is not None else one.cell or 0)
    )
    return result


def pairs(old: Sequence[NotebookNode], new: Sequence[NotebookNode]) -> dict[int, int]:
    """Return which cell of `new` each cell of `old` became: by its id wherever it lies, the rest in order."""
    by_id = {cell["id"]: place for place, cell in enumerate(new) if cell.get("id")}
    found: dict[int, int] = {}
    for place, cell in enumerate(old):
        to = by_id.get(cell.get("id"))
        if to is not None and new[to].cell_type == cell.cell_type:
            found[place] = by_id.pop(cell["id"])
    left = [place for place in range(len(old)) if place not in found]
    taken = set(found.values())
    free = [place for place in range(len(new)) if place not in taken]
    for a, b in pair_cells([old[place] for place in left], [new[place] for place in free]):
        if a is not None and b is not None and old[left[a]].cell_type == new[free[b]].cell_type:
            found[left[a]] = free[b]
    return found


def _change(
    result: Merge,
    before: list[NotebookNode],
    old: NotebookNode,
    new: NotebookNode,
    now: NotebookNode | None,
    fixed: int,
) -> None:
    """Give a cell of the file the fixed text, where it has the old one."""
    if _essence(old) == _essence(new):
        return
    if now is None:
        _tell(result, "changed", "otherwise", None, fixed, new, "", new.source)
        return
    place, text = _place(before, now), now.source
    if _essence(now) == _essence(new):
        state: Literal["write", "there", "otherwise"] = "there"
    elif _essence(now) == _essence(old):
        state = "write"
        now.source = new.source
        _set_tags(now, _tags(new))
        if now.cell_type == "code" and text != new.source:
            now.outputs, now.execution_count = [], None
    else:
        state = "otherwise"
    _tell(result, "changed", state, place, fixed, new, text, new.source)


def _remove(result: Merge, before: list[NotebookNode], old: NotebookNode, now: NotebookNode | None) -> None:
    """Take a cell out of the file that the fix took out, where it is as it was."""
    if now is None:
        _tell(result, "removed", "there", None, None, old, "", "")
    elif _essence(now) == _essence(old):
        _tell(result, "removed", "write", _place(before, now), None, old, now.source, "")
        result.notebook.cells = [cell for cell in result.notebook.cells if cell is not now]
    else:
        _tell(result, "removed", "otherwise", _place(before, now), None, old, now.source, "")


def _add(
    result: Merge,
    before: list[NotebookNode],
    new: NotebookNode,
    origin: dict[int, int],
    held: dict[int, int],
) -> None:
    """Put the cells that the fix added behind those that they follow in it."""
    behind: NotebookNode | None = None
    own = {id(before[place]) for place in held.values()}
    others = [cell for cell in before if id(cell) not in own]
    for place, cell in enumerate(new.cells):
        if place in origin:
            there = held.get(origin[place])
            if there is not None and any(one is before[there] for one in result.notebook.cells):
                behind = before[there]
            continue
        same = next((one for one in others if _essence(one) == _essence(cell)), None)
        if same is not None:
            others = [one for one in others if one is not same]
            _tell(result, "added", "there", _place(before, same), place, cell, cell.source, cell.source)
            behind = same
            continue
        fresh = _fresh(cell, result.notebook)
        cells = result.notebook.cells
        at = 0 if behind is None else _place(cells, behind) + 1
        cells.insert(at, fresh)
        _tell(result, "added", "write", None, place, cell, "", cell.source)
        behind = fresh


def _fresh(cell: NotebookNode, into: NotebookNode) -> NotebookNode:
    """Return a copy of a cell with an id that the notebook does not have, or none where it has no ids."""
    from nbformat import v4

    make: Any = {"markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}.get(
        cell.cell_type, v4.new_code_cell
    )
    fresh: NotebookNode = make(cell.source, metadata=dict(cell.metadata))
    if into.get("nbformat_minor", 0) < 5:
        fresh.pop("id", None)
    elif cell.get("id") not in {one.get("id") for one in into.cells}:
        fresh.id = cell.id
    return fresh


def _tell(
    result: Merge,
    kind: Literal["changed", "added", "removed"],
    state: Literal["write", "there", "otherwise"],
    place: int | None,
    fixed: int | None,
    cell: NotebookNode,
    text: str,
    to: str,
) -> None:
    lines = diff_lines(text, to) if state != "there" else []
    told = CellFix(kind=kind, state=state, cell=place, fixed=fixed, cell_type=cell.cell_type, lines=lines)
    result.cells.append(told)


def _place(cells: Sequence[NotebookNode], cell: NotebookNode) -> int:
    return next(place for place, one in enumerate(cells) if one is cell)


def _tags(cell: NotebookNode) -> list[str]:
    from respawn_jobs.notebooks import cell_tags

    return cell_tags(cell)


def _set_tags(cell: NotebookNode, tags: list[str]) -> None:
    if tags:
        cell.metadata["tags"] = tags
    else:
        cell.metadata.pop("tags", None)


def _essence(cell: NotebookNode) -> tuple[str, str, list[str]]:
    return cell.cell_type, cell.source, sorted(_tags(cell))
