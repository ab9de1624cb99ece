"""Which cell of a notebook is which cell of the run before it.

What was not edited is told by its source, in the order of both; the rest by id, then by source. Ids alone do
not do: a notebook older than nbformat 4.5 has none, and those made up for it change with the cell's place and
source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import TAG_INJECTED, TAG_RAISES, TAG_SKIP, cell_tags, source_hash

if TYPE_CHECKING:
    from nbformat import NotebookNode


FINISHED = (CellState.EXECUTED, CellState.REUSED)


def finished_of(cells: Sequence[CellRecord]) -> list[CellRecord]:
    """Return the cells down to the first that had not finished."""
    finished = 0
    while finished < len(cells) and cells[finished].state in FINISHED:
        finished += 1
    return list(cells[:finished])


def align(
    cells: Sequence[NotebookNode], records: Sequence[CellRecord]
) -> list[tuple[int | None, int | None]]:
    """Bring two notebooks into one order.

    Args:
        cells: the code cells of one.
        records: what was recorded of the other's.

    Returns:
        Pairs of a record's and a cell's place, in the order of both. A pair with two places is a cell that
        would do what it did: the same source, and no tag that `changed_tag` names; the cell with the injected
        parameters is one with itself, whatever its source. The other pairs are records that have no such
        cell, and cells that are new.
    """
    ours = [_essence(cell_tags(cell), source_hash(cell.source)) for cell in cells]
    theirs = [_essence(record.tags, record.source_hash) for record in records]
    pairs: list[tuple[int | None, int | None]] = []
    same = 0  # the top of both first: what is unchanged there stays in its place whatever follows
    while same < min(len(ours), len(theirs)) and ours[same] == theirs[same]:
        pairs += _pair(same, same, records, cells)
        same += 1
    matcher = SequenceMatcher(None, theirs[same:], ours[same:], autojunk=False)
    for how, first, last, begin, end in matcher.get_opcodes():
        if how == "equal":
            for step in range(last - first):
                pairs += _pair(same + first + step, same + begin + step, records, cells)
        else:
            pairs += [(same + place, None) for place in range(first, last)]
            pairs += [(None, same + place) for place in range(begin, end)]
    return pairs


def changed_tag(record: CellRecord, cell: NotebookNode) -> str | None:
    """Return the tag by which a cell of the same source would do something else than it did; None for none.

    Without `raises-exception` a cell that raises fails the run. One that gets it did not raise, or it failed.
    """
    tags = cell_tags(cell)
    if (TAG_SKIP in record.tags) != (TAG_SKIP in tags):
        return TAG_SKIP
    return TAG_RAISES if TAG_RAISES in record.tags and TAG_RAISES not in tags else None


def _pair(
    record: int, cell: int, records: Sequence[CellRecord], cells: Sequence[NotebookNode]
) -> list[tuple[int | None, int | None]]:
    if changed_tag(records[record], cells[cell]) is None:
        return [(record, cell)]
    return [(record, None), (None, cell)]


def _essence(tags: Sequence[str], digest: str) -> tuple[str, bool]:
    return (TAG_INJECTED if TAG_INJECTED in tags else digest, TAG_SKIP in tags)


class Matches:
    """The records that belong to a notebook's code cells, each claimed by one cell at most."""

    def __init__(
        self, cells: Sequence[NotebookNode], records: Sequence[CellRecord], same: Mapping[int, int]
    ) -> None:
        """Match cells with records: by what is the same, then by the cell's id, then by its source.

        Args:
            cells: the notebook's code cells, in order.
            records: those of the run before, in order.
            same: place of the record, by the place of each cell that is unchanged.
        """
        self._records = records
        self._claimed: dict[int, CellRecord] = {place: records[record] for place, record in same.items()}
        by_id = {record.cell_id: record for record in reversed(self.gone())}
        for place in range(len(cells)):
            record = by_id.pop(str(cells[place].get("id")), None) if place not in same else None
            if record is not None:
                self._claimed[place] = record
        for place in range(len(cells)):
            if place not in self._claimed:
                digest = source_hash(cells[place].source)
                found = next((record for record in self.gone() if record.source_hash == digest), None)
                if found is not None:
                    self._claimed[place] = found
        self._cells = cells

    def own(self, place: int) -> CellRecord | None:
        """Return the record that the code cell at `place` alone has claimed."""
        return self._claimed.get(place)

    def of(self, place: int) -> CellRecord | None:
        """Return the record of the code cell at `place`; a copy of a cell counts as that cell."""
        if place in self._claimed:
            return self._claimed[place]
        digest = source_hash(self._cells[place].source)
        return next((record for record in self._records if record.source_hash == digest), None)

    def gone(self) -> list[CellRecord]:
        """Return the records that no cell claims: deleted, or edited so that nothing tells them apart."""
        claimed = {record.index for record in self._claimed.values()}
        return [record for record in self._records if record.index not in claimed]
