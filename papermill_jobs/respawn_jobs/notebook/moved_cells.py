"""Which cells were moved: by pairs in order they are removed in one place and added in another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

Pair = tuple[int | None, int | None]
"""Places of a cell in an older and in a newer notebook; None where it is not in it."""


def brought_together(
    old: Sequence[NotebookNode], new: Sequence[NotebookNode], pairs: Sequence[Pair]
) -> list[Pair]:
    """Return pairs, with each moved cell once, at its new place: by id, else by equal source.

    Args:
        old: the cells of the older notebook.
        new: those of the newer one.
        pairs: places of both, in the order of both.
    """
    found = list(pairs)
    for key in (_by_id, _by_source):
        found = _joined(_apart(found, old, new, key), old, new, key)
    return _rejoined(found, pairs)


Key = Callable[["NotebookNode"], Hashable | None]


def _by_id(cell: NotebookNode) -> Hashable | None:
    return (cell.cell_type, cell["id"]) if cell.get("id") else None


def _by_source(cell: NotebookNode) -> Hashable | None:
    return (cell.cell_type, cell.source) if cell.source.strip() else None


def _apart(
    pairs: list[Pair], old: Sequence[NotebookNode], new: Sequence[NotebookNode], key: Key
) -> list[Pair]:
    """Take pairs apart that only their place made, where one of the cells is loose elsewhere."""
    loose = [pair for pair in pairs if None in pair or _only_by_place(pair, old, new)]
    keys_old = {key(old[before]) for before, _ in loose if before is not None}
    keys_new = {key(new[after]) for _, after in loose if after is not None}
    both = (keys_old & keys_new) - {None}
    found: list[Pair] = []
    for before, after in pairs:
        by_place = before is not None and after is not None and _only_by_place((before, after), old, new)
        if by_place and {key(old[before or 0]), key(new[after or 0])} & both:
            found += [(before, None), (None, after)]
        else:
            found.append((before, after))
    return found


def _only_by_place(pair: Pair, old: Sequence[NotebookNode], new: Sequence[NotebookNode]) -> bool:
    before, after = pair
    if before is None or after is None:
        return False
    return _by_id(old[before]) != _by_id(new[after]) and old[before].source != new[after].source


def _joined(
    pairs: list[Pair], old: Sequence[NotebookNode], new: Sequence[NotebookNode], key: Key
) -> list[Pair]:
    """Join what was removed and what was added with the same key, in their order."""
    removed: defaultdict[Hashable, list[int]] = defaultdict(list)
    for before, after in reversed(pairs):
        if before is not None and after is None and (its := key(old[before])) is not None:
            removed[its].append(before)
    partners = {
        after: removed[its].pop()
        for before, after in pairs
        if before is None and after is not None and (its := key(new[after])) is not None and removed.get(its)
    }
    gone = set(partners.values())
    return [
        (partners.get(after), after) if before is None and after is not None else (before, after)
        for before, after in pairs
        if not (after is None and before in gone)
    ]


def _rejoined(found: list[Pair], pairs: Sequence[Pair]) -> list[Pair]:
    """Put pairs together again that were taken apart and whose cells found no other partner."""
    before_of = {after: before for before, after in pairs if before is not None and after is not None}
    alone = {before for before, after in found if after is None}
    again = {
        after: before_of[after]
        for before, after in found
        if before is None and after is not None and before_of.get(after) in alone
    }
    gone = set(again.values())
    return [
        (again.get(after), after) if before is None and after is not None else (before, after)
        for before, after in found
        if not (after is None and before in gone)
    ]
