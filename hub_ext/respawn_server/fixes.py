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

from respawn_jobs.api.versions import DiffLine
from respawn_jobs.model.base import Model
from respawn_jobs.notebook.diff import diff_lines, pair_cells
from respawn_server.notebook_text import AddedCell, Kept

_Essence = tuple[str, str, list[str]]


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
    edits: list[Kept | AddedCell] = field(default_factory=list)
    """What becomes of the cells of the file's text."""


def merge(
    old: NotebookNode, new: NotebookNode, mine: NotebookNode, between: Sequence[NotebookNode] = ()
) -> Merge:
    """Put what changed from `old` to `new` into `mine`.

    Args:
        old: the notebook that the file held.
        new: the fixed one.
        mine: the file as it is; it is changed in place, where it still has the old text. Outputs of a cell
            whose text is replaced go, for they are not of the new one; all else stays.
        between: fixes made on the way from `old` to `new`; the file may hold one of them.

    Returns:
        The file with the fix, and what became of each cell of the fix.
    """
    result = Merge(mine)
    fixed, held = pairs(old.cells, new.cells), pairs(old.cells, mine.cells)
    before, was = list(mine.cells), [_essence(cell) for cell in mine.cells]
    earlier = _earlier(between, new)
    for place, cell in enumerate(old.cells):
        now = before[held[place]] if place in held else None
        if place not in fixed:
            _remove(result, before, cell, now)
        else:
            to = fixed[place]
            _change(result, before, cell, new.cells[to], now, to, earlier.get(to, []))
    _add(result, before, new, {to: place for place, to in fixed.items()}, held, earlier)
    result.cells.sort(
        key=lambda one: (one.fixed is None, one.fixed if one.fixed is not None else one.cell or 0)
    )
    places = {id(cell): place for place, cell in enumerate(before)}
    result.edits = [
        _kept(places[id(cell)], cell, was[places[id(cell)]]) if id(cell) in places else AddedCell(cell)
        for cell in result.notebook.cells
    ]
    return result


def _kept(place: int, cell: NotebookNode, was: _Essence) -> Kept:
    """Return what becomes of a cell of the file's text."""
    fields: dict[str, Any] = {}
    if cell.source != was[1]:
        fields["source"] = cell.source
        if cell.cell_type == "code":
            fields |= {"outputs": [], "execution_count": None}
    return Kept(place, fields, _tags(cell) if sorted(_tags(cell)) != was[2] else None)


def _earlier(between: Sequence[NotebookNode], new: NotebookNode) -> dict[int, list[_Essence]]:
    """Return how the cells of the fixed notebook were in fixes before it, by their place."""
    found: dict[int, list[_Essence]] = {}
    for one in between:
        for place, to in pairs(one.cells, new.cells).items():
            found.setdefault(to, []).append(_essence(one.cells[place]))
    return found


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
    earlier: Sequence[_Essence],
) -> None:
    """Give a cell of the file the fixed text, where it has the old one or that of an earlier fix."""
    known = [_essence(old), *earlier]
    if all(one == _essence(new) for one in known):
        return
    if now is None:
        _record(result, "changed", "otherwise", None, fixed, new, "", new.source)
        return
    place, text = _place(before, now), now.source
    if _essence(now) == _essence(new):
        state: Literal["write", "there", "otherwise"] = "there"
    elif _essence(now) in known:
        state = "write"
        _write(now, new)
    else:
        state = "otherwise"
    _record(result, "changed", state, place, fixed, new, text, new.source)


def _write(now: NotebookNode, new: NotebookNode) -> None:
    """Give a cell the text and the tags of another; outputs of other text go."""
    if now.cell_type == "code" and now.source != new.source:
        now.outputs, now.execution_count = [], None
    now.source = new.source
    _set_tags(now, _tags(new))


def _remove(result: Merge, before: list[NotebookNode], old: NotebookNode, now: NotebookNode | None) -> None:
    """Take a cell out of the file that the fix took out, where it is as it was."""
    if now is None:
        _record(result, "removed", "there", None, None, old, "", "")
    elif _essence(now) == _essence(old):
        _record(result, "removed", "write", _place(before, now), None, old, now.source, "")
        result.notebook.cells = [cell for cell in result.notebook.cells if cell is not now]
    else:
        _record(result, "removed", "otherwise", _place(before, now), None, old, now.source, "")


def _add(
    result: Merge,
    before: list[NotebookNode],
    new: NotebookNode,
    origin: dict[int, int],
    held: dict[int, int],
    earlier: dict[int, list[_Essence]],
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
            _record(result, "added", "there", _place(before, same), place, cell, cell.source, cell.source)
            behind = same
            continue
        before_it = earlier.get(place, [])
        same = next((one for one in others if _essence(one) in before_it), None)
        if same is not None:
            others = [one for one in others if one is not same]
            text = same.source
            _write(same, cell)
            _record(result, "changed", "write", _place(before, same), place, cell, text, cell.source)
            behind = same
            continue
        fresh = _fresh(cell, result.notebook)
        cells = result.notebook.cells
        at = 0 if behind is None else _place(cells, behind) + 1
        cells.insert(at, fresh)
        _record(result, "added", "write", None, place, cell, "", cell.source)
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


def _record(
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
    cell_fix = CellFix(kind=kind, state=state, cell=place, fixed=fixed, cell_type=cell.cell_type, lines=lines)
    result.cells.append(cell_fix)


def _place(cells: Sequence[NotebookNode], cell: NotebookNode) -> int:
    return next(place for place, one in enumerate(cells) if one is cell)


def _tags(cell: NotebookNode) -> list[str]:
    from respawn_jobs.notebook.document import cell_tags

    return cell_tags(cell)


def _set_tags(cell: NotebookNode, tags: list[str]) -> None:
    if tags:
        cell.metadata["tags"] = tags
    else:
        cell.metadata.pop("tags", None)


def _essence(cell: NotebookNode) -> _Essence:
    return cell.cell_type, cell.source, sorted(_tags(cell))
