"""What displays show: of the cells that have given one a content, the last in the notebook's order decides.

A cell may update what an earlier cell displays. In a resume the cell that updated may be edited, gone, or run
again, while the outputs of the earlier one are reused: they must show what the reused cells gave them, not
what the run before put there in the end. And a cell that runs again must not hide what a reused cell below it
has given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Content = dict[str, Any]
"""`data` and `metadata` of an output."""


class Contents:
    """The content that each cell gave last to each display."""

    def __init__(self) -> None:
        self._given: dict[str, dict[int, Content]] = {}

    def give(self, display: str, cell: int, content: Mapping[str, Any]) -> None:
        """Note what a cell gives a display.

        Args:
            display: the display's id.
            cell: the cell's place in the notebook.
            content: a message's content; of it `data` and `metadata` are kept.
        """
        kept = {"data": content.get("data") or {}, "metadata": content.get("metadata") or {}}
        self._given.setdefault(display, {})[cell] = kept

    def forget(self, cell: int) -> list[str]:
        """Forget what a cell gave, because it is executed again; return the displays concerned."""
        return [display for display, given in self._given.items() if given.pop(cell, None) is not None]

    def of(self, display: str) -> Content | None:
        """Return what a display shows; None when no cell that counts has given it anything."""
        given = self._given.get(display)
        return given[max(given)] if given else None

    def by_cell(self) -> dict[int, dict[str, Content]]:
        """Return for each cell what it gave, by display id."""
        found: dict[int, dict[str, Content]] = {}
        for display, given in self._given.items():
            for cell, content in given.items():
                found.setdefault(cell, {})[display] = content
        return found
