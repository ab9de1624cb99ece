"""How two notebooks differ, cell by cell and line by line, and which cells of a fix a file lacks.

Outputs count for nothing. Cells are paired by id, what has no partner by its source, and the rest by where
it lies. Pairs keep the order of both notebooks; a comparison brings together what was moved out of it.

Every step costs little more than a sort of what it compares. Only short stretches of lines without a line
that tells them apart go to difflib, whose cost may grow with the cube of their length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from respawn_jobs.api.versions import CellChange, DiffLine
from respawn_jobs.notebook.document import cell_tags
from respawn_jobs.notebook.moved_cells import Pair, brought_together

if TYPE_CHECKING:
    from nbformat import NotebookNode

MAX_SHOWN = 1_000_000
"""Characters of lines in one comparison; each cell beyond them tells only that it changed."""
_SHORT = 30
"""Lines on each side that difflib compares."""
_MANY = 20_000
"""Lines of a cell beyond which difflib compares none of them."""


@dataclass(frozen=True)
class FixedCell:
    """A cell of a fix that a notebook does not hold as it was fixed."""

    index: int
    """Its place in the fixed notebook; in the one before the fix for a cell that the fix removed."""
    otherwise: bool
    """Whether the notebook holds a third form of it, which is neither the fixed one nor the one before."""


def compare(old: NotebookNode, new: NotebookNode) -> list[CellChange]:
    """Compare two notebooks.

    Args:
        old: the older one, as `read_notebook` gives it.
        new: the newer one.

    Returns:
        Their cells in the order of both, one that was moved where it is now. Past `MAX_SHOWN`
        characters, changed cells come without lines and say how many were left out.
    """
    room = MAX_SHOWN
    changes: list[CellChange] = []
    pairs = pair_cells(old.cells, new.cells)
    together = brought_together(old.cells, new.cells, pairs)
    moved = set(together) - set(pairs)
    for before, after in together:
        was = None if before is None else old.cells[before]
        now = None if after is None else new.cells[after]
        change = _change(was, now, before, after, room)
        if (before, after) in moved and was is not None and now is not None:
            change = change.model_copy(
                update={"moved": True, "kind": "moved" if change.kind == "same" else change.kind}
            )
        room -= sum(len(line.text) + 1 for line in change.lines)
        changes.append(change)
    return changes


def lacking(base: NotebookNode, fixed: NotebookNode, file: NotebookNode) -> list[FixedCell]:
    """Return the code cells of a fix that a file does not hold.

    Args:
        base: what the fix was made from.
        fixed: what it was made to.
        file: the notebook that may lack it.
    """
    in_file = dict(_both(pair_cells(fixed.cells, file.cells)))
    from_base = dict(_both(pair_cells(base.cells, file.cells)))
    by_id = {cell.get("id"): cell for cell in file.cells}
    kept = {cell.get("id") for cell in fixed.cells}
    more = Counter(_essence(cell) for cell in file.cells)
    more.subtract(_essence(cell) for cell in fixed.cells)
    found = []
    for before, after in pair_cells(base.cells, fixed.cells):
        old = None if before is None else base.cells[before]
        new = None if after is None else fixed.cells[after]
        cell = new if new is not None else old
        if cell is None or cell.cell_type != "code" or _same(old, new):
            continue
        places = [from_base.get(before)] if before is not None else []
        places += [in_file.get(after)] if after is not None else []
        partners = [file.cells[place] for place in places if place is not None]
        partners += [by_id[cell.get("id")]] if cell.get("id") in by_id else []
        if new is None:
            otherwise = more[_essence(cell)] <= 0
            held = otherwise and (cell.get("id") not in by_id or cell.get("id") in kept)
        else:
            otherwise = old is not None and not any(_same(old, partner) for partner in partners)
            held = any(_same(new, partner) for partner in partners)
        if not held:
            found.append(FixedCell(int(after if after is not None else before or 0), otherwise))
    return found


def pair_cells(old: Sequence[NotebookNode], new: Sequence[NotebookNode]) -> list[Pair]:
    """Bring the cells of two notebooks into one order: pairs of places, None where a cell has no partner."""
    ids = (
        [(cell.cell_type, cell.get("id")) for cell in old],
        [(cell.cell_type, cell.get("id")) for cell in new],
    )
    pairs: list[Pair] = []
    for first, last, begin, end in _gaps(*ids, 0, 0):
        if last - first and end - begin:
            sources = (
                [_essence(cell) for cell in old[first:last]],
                [_essence(cell) for cell in new[begin:end]],
            )
            for low, high, start, stop in _gaps(*sources, first, begin):
                pairs += _by_place(old, new, range(low, high), range(start, stop))
                if high < last:
                    pairs.append((high, stop))
        else:
            pairs += _by_place(old, new, range(first, last), range(begin, end))
        pairs.append((last, end))
    return [pair for pair in pairs if pair != (len(old), len(new))]


def _by_place(
    old: Sequence[NotebookNode], new: Sequence[NotebookNode], before: range, after: range
) -> Iterator[Pair]:
    """Pair cells that only their place tells apart, where both sides have as many of the same types."""
    types = [old[place].cell_type for place in before], [new[place].cell_type for place in after]
    if types[0] == types[1]:
        yield from zip(before, after, strict=True)
        return
    yield from ((place, None) for place in before)
    yield from ((None, place) for place in after)


def _gaps(
    old: Sequence[Hashable], new: Sequence[Hashable], first: int, begin: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield the stretches between what both sequences hold, as (first, last, begin, end) from their offsets.

    Each stretch but the last is followed by one pair at (last, end). Equal ends are paired first, then what
    occurs once on both sides, as far as it is in the same order.
    """
    done = 0, 0
    for left, right in [*_anchors(old, new), (len(old), len(new))]:
        yield first + done[0], first + left, begin + done[1], begin + right
        done = left + 1, right + 1


def _anchors(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return places of what is the same in both, ascending on both sides."""
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    inner_old, inner_new = old[head : len(old) - tail], new[head : len(new) - tail]
    once_old, once_new = _once(inner_old), _once(inner_new)
    common = [(place, once_new[value]) for value, place in once_old.items() if value in once_new]
    inner = [(head + left, head + right) for left, right in _ascending(common)]
    ends = [(len(old) - step, len(new) - step) for step in range(tail, 0, -1)]
    return [(place, place) for place in range(head)] + inner + ends


def _once(values: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return the places of the values that occur once, in their order."""
    counts = Counter(values)
    return {value: place for place, value in enumerate(values) if counts[value] == 1}


def _ascending(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return a longest subsequence, of pairs that ascend on the left, that ascends on the right too."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int | None] = []
    for index, (_, right) in enumerate(pairs):
        place = bisect_left(ends, right)
        before.append(at[place - 1] if place else None)
        ends[place : place + 1] = [right]
        at[place : place + 1] = [index]
    found = []
    step = at[-1] if at else None
    while step is not None:
        found.append(pairs[step])
        step = before[step]
    return found[::-1]


def _change(
    was: NotebookNode | None, now: NotebookNode | None, before: int | None, after: int | None, room: int
) -> CellChange:
    old, new = ("" if cell is None else str(cell.source) for cell in (was, now))
    types = [cell.cell_type for cell in (was, now) if cell is not None]
    fields: dict[str, Any] = {"cell_type": types[-1], "old": before, "new": after}
    tags = cell_tags(now) if now is not None else []
    if sorted(tags) != sorted(cell_tags(was) if was is not None else []) and now is not None:
        fields["tags"] = tags
    if old != new and len(old) + len(new) + old.count("\n") + new.count("\n") + 2 > room:
        fields["left_out"] = len(_lines(old)) + len(_lines(new))
    elif old != new:
        fields["lines"] = diff_lines(old, new)
    if was is None or now is None:
        return CellChange(kind="added" if was is None else "removed", **fields)
    return CellChange(kind="changed" if old != new or "tags" in fields else "same", **fields)


def diff_lines(old: str, new: str) -> list[DiffLine]:
    """Return the lines of two texts in one order."""
    before, after = _lines(old), _lines(new)
    short = _SHORT if len(before) + len(after) <= _MANY else 0
    found: list[DiffLine] = []
    for first, last, begin, end in _gaps(before, after, 0, 0):
        found += _stretch(before[first:last], after[begin:end], short)
        found += [DiffLine(kind="same", text=line) for line in before[last : last + 1]]
    return found


def _stretch(old: Sequence[str], new: Sequence[str], short: int) -> Iterator[DiffLine]:
    """Yield the lines between two that are in both: compared where they are few, else one after the other."""
    if not 0 < len(old) <= short or not 0 < len(new) <= short:
        yield from (DiffLine(kind="removed", text=line) for line in old)
        yield from (DiffLine(kind="added", text=line) for line in new)
        return
    for how, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if how == "equal":
            yield from (DiffLine(kind="same", text=line) for line in old[first:last])
        else:
            yield from (DiffLine(kind="removed", text=line) for line in old[first:last])
            yield from (DiffLine(kind="added", text=line) for line in new[begin:end])


def _lines(source: str) -> list[str]:
    """Return a source's lines; one that ends in a line break has an empty last line, so that it shows."""
    return source.split("\n") if source else []


def _both(pairs: Sequence[Pair]) -> Iterator[tuple[int, int]]:
    return ((old, new) for old, new in pairs if old is not None and new is not None)


def _essence(cell: NotebookNode) -> tuple[str, str]:
    return (cell.cell_type, cell.source)


def _same(old: NotebookNode | None, new: NotebookNode | None) -> bool:
    """Return whether a cell would do the same."""
    if old is None or new is None:
        return old is new
    return _essence(old) == _essence(new) and sorted(cell_tags(old)) == sorted(cell_tags(new))
