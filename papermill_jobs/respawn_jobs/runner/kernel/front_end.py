"""What a front end knows of a notebook besides its outputs: display ids, and the state of widgets.

Outputs in a notebook do not tell their display ids, so a resumed run could not update what a reused cell
displays, nor take back what a cell that is edited put there; and the models of its widgets would be unknown.
What is known at a cell's boundary is a blob of that
cell's checkpoint, put there by the runner; the kernel never reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nbformat import NotebookNode

from respawn_jobs.notebook.document import source_hash
from respawn_jobs.runner.kernel.displays import Content

_DISPLAYED = ("display_data", "execute_result")


@dataclass(frozen=True)
class Displays:
    """Which outputs of one cell show which display."""

    cell_id: str
    source_hash: str
    places: dict[str, list[int]]
    """Places among the cell's outputs, by display id."""
    given: dict[str, Content] = field(default_factory=dict)
    """What the cell gave displays to show, its own and those of other cells, by display id."""


@dataclass(frozen=True)
class FrontEnd:
    """What is known after a cell. Raises TypeError when parts are of other kinds."""

    displays: list[Displays] = field(default_factory=list)
    widgets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The state of each widget's model, by the model's id."""
    buffers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What of the state is binary, by the model's id: `path`, `data` and `encoding` each."""

    def __bool__(self) -> bool:
        return bool(self.displays or self.widgets)

    def to_json(self) -> bytes:
        """Return it as a JSON document. Raises ValueError or TypeError for state that is no JSON."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=True).encode(errors="replace")

    @classmethod
    def from_json(cls, text: bytes) -> FrontEnd:
        """Read what `to_json` wrote. Raises ValueError when it is something else."""
        try:
            data = json.loads(text)
            displays = [Displays(**one) for one in data["displays"]]
            buffers = {model: [dict(one) for one in ones] for model, ones in data["buffers"].items()}
            widgets = {model: dict(state) for model, state in data["widgets"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the state of a front end: {error}") from error
        return cls(displays, widgets, buffers)

    def places_in(
        self, cells: Sequence[NotebookNode], reused: Iterable[int]
    ) -> dict[str, dict[int, list[int]]]:
        """Return which outputs of reused cells show which display, by display id and cell."""
        found: dict[str, dict[int, list[int]]] = {}
        for index, one in self._of(cells, reused):
            for display, places in one.places.items():
                there = [place for place in places if is_displayed(cells[index], place)]
                if there:
                    found.setdefault(display, {})[index] = there
        return found

    def given_in(self, cells: Sequence[NotebookNode], reused: Iterable[int]) -> dict[int, dict[str, Content]]:
        """Return what reused cells gave displays to show, by cell and display id."""
        return {index: one.given for index, one in self._of(cells, reused) if one.given}

    def _of(self, cells: Sequence[NotebookNode], reused: Iterable[int]) -> Iterator[tuple[int, Displays]]:
        """Yield what is known of reused cells.

        Cells may have moved since: one is known by its id and source, or by its source where ids are new.
        """
        by_id: dict[tuple[str, str], int] = {}
        by_source: dict[str, list[int]] = {}
        for index in reused:
            digest = source_hash(cells[index].source)
            by_id[cells[index].get("id", ""), digest] = index
            by_source.setdefault(digest, []).append(index)
        for one in self.displays:
            alike = by_source.get(one.source_hash, [])
            if (one.cell_id, one.source_hash) in by_id:
                yield by_id[one.cell_id, one.source_hash], one
            elif len(alike) == 1:
                yield alike[0], one


def is_displayed(cell: NotebookNode, place: int) -> bool:
    """Return whether there is an output at a place that a display can have made."""
    outputs = cell.get("outputs") or []
    return 0 <= place < len(outputs) and outputs[place].get("output_type") in _DISPLAYED


def displays_of(
    cells: Sequence[NotebookNode],
    known: dict[str, dict[int, list[int]]],
    given: dict[int, dict[str, Content]] | None = None,
) -> list[Displays]:
    """Return the displays of each cell.

    Args:
        cells: the notebook's.
        known: nbclient's map of display ids to cells and outputs.
        given: what each cell gave displays to show, by display id.
    """
    places: dict[int, dict[str, list[int]]] = {index: {} for index in given or {}}
    for display, of_cells in known.items():
        for index, outputs in of_cells.items():
            if outputs:
                places.setdefault(index, {})[display] = list(outputs)
    return [
        Displays(
            cells[index].get("id", ""),
            source_hash(cells[index].source),
            of_cell,
            (given or {}).get(index, {}),
        )
        for index, of_cell in sorted(places.items())
    ]
