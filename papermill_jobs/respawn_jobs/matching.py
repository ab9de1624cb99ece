"""Which cell of a notebook is which cell of the run before it.

By place in the part that is reused, then by id, then by source. Ids alone do not do: a notebook older than
nbformat 4.5 has none, and those made up for it change with the cell's place and source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from respawn_jobs.models import CellRecord
from respawn_jobs.notebooks import source_hash

if TYPE_CHECKING:
    from nbformat import NotebookNode


class Matches:
    """The records that belong to a notebook's code cells, each claimed by one cell at most."""

    def __init__(self, cells: Sequence[NotebookNode], records: Sequence[CellRecord], reused: int) -> None:
        """Match `cells` with `records`, both in order; the first `reused` of both are the same."""
        self._records = records
        self._claimed: dict[int, CellRecord] = dict(enumerate(records[:reused]))
        by_id = {record.cell_id: record for record in reversed(records[reused:])}
        for place in range(reused, len(cells)):
            record = by_id.pop(str(cells[place].get("id")), None)
            if record is not None:
                self._claimed[place] = record
        for place in range(reused, len(cells)):
            if place not in self._claimed:
                digest = source_hash(cells[place].source)
                same = next((record for record in self.gone() if record.source_hash == digest), None)
                if same is not None:
                    self._claimed[place] = same
        self._cells = cells

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
