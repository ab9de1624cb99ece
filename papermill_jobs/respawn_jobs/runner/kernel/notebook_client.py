"""papermill's notebook client on a kernel that is already running, and its hold on the growing notebook.

The client tells which cells' outputs change, also when a later cell updates the display of an earlier one.
What a thread of the notebook puts out between cells goes to the cell before; nbclient loses it.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from papermill import __version__ as papermill_version
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager

from respawn_jobs.host.atomic_write import write_text
from respawn_jobs.notebook.document import write_notebook
from respawn_jobs.runner.kernel.displays import Contents
from respawn_jobs.runner.kernel.front_end import FrontEnd, displays_of, is_displayed
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_jobs.runner.kernel.output_limits import OutputBound

log = logging.getLogger(__name__)

_LATE = {"stream", "display_data", "update_display_data", "clear_output", "comm_open", "comm_msg"}
"""What threads may put out when the cell that began them is over."""
_SHOWING = {"execute_result", "display_data", "update_display_data"}


class Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Executes cells in a given kernel; starting and ending it is its owner's."""

    def __init__(
        self,
        nb_man: NotebookExecutionManager,
        kernel: KernelProcess,
        changed: Callable[[int], None],
        **options: Any,
    ) -> None:
        """Take a kernel that is connected.

        Args:
            nb_man: papermill's manager of the notebook that grows.
            kernel: runs, with a client.
            changed: called with the index of a cell whose outputs may differ.
            **options: further options of papermill's client, and so of nbclient's.
        """
        super().__init__(nb_man, km=kernel.manager, kernel_name=kernel.name, **options)
        self.kc = kernel.client
        self._kernel = kernel
        self._changed = changed
        self._bound = OutputBound()
        self._contents = Contents()
        self._front_end: bytes | None = None
        self._front_end_changed = False
        self._latest: tuple[NotebookNode, int] | None = None
        self._cells: dict[str, tuple[NotebookNode, int] | None] = {}
        """Whose outputs are those of a request: the cell that it executed, or the one before it."""

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: NotebookNode, cell_index: int) -> None:
        """Handle what the kernel puts out until it has executed a cell, also what is of earlier ones."""
        self._assign_silent()
        self._latest = self._cells[parent_msg_id] = cell, cell_index
        self.clear_display_id_mapping(cell_index)
        for display in self._contents.forget(cell_index):
            self._show(display)
        while True:
            message = await self.kc.iopub_channel.get_msg(timeout=None)
            if message["parent_header"].get("msg_id") != parent_msg_id:
                self._process_late(message)
                continue
            try:
                self.process_message(message, cell, cell_index)
            except CellExecutionComplete:
                return

    async def drain(self) -> None:
        """Handle what the kernel has put out since the last cell ended."""
        self._assign_silent()
        with suppress(Empty):
            while True:
                self._process_late(await self.kc.iopub_channel.get_msg(timeout=0))

    def _assign_silent(self) -> None:
        """Take what is put out meanwhile, by threads, for the output of the cell before."""
        for request in self._kernel.silent:
            self._cells[request] = self._latest
        self._kernel.silent.clear()

    def _process_late(self, message: dict[str, Any]) -> None:
        found = self._cells.get(message["parent_header"].get("msg_id", ""))
        if found is not None and message["msg_type"] in _LATE:
            self.process_message(message, *found)

    def front_end(self) -> bytes | None:
        """Return what is known now of displays and widgets, as JSON; None when it is nothing, or no JSON."""
        if self._front_end_changed:
            buffers = {model: list(parts.values()) for model, parts in self.widget_buffers.items()}
            known = FrontEnd(
                displays_of(self.nb.cells, self._display_id_map, self._contents.by_cell()),
                self.widget_state,
                buffers,
            )
            try:
                self._front_end = known.to_json() if known else None
            except (TypeError, ValueError):  # the state of a widget may be what its author likes
                self._front_end = None
            self._front_end_changed = False
        return self._front_end

    def take_over(self, front_end: FrontEnd, reused: Sequence[int]) -> None:
        """Know the displays of reused cells, and the widgets that there were.

        Args:
            front_end: what was known in the run that is resumed.
            reused: the cells that have the outputs which they had there.
        """
        self._front_end_changed = True
        for display, cells in front_end.places_in(self.nb.cells, reused).items():
            self._display_id_map.setdefault(display, {}).update(cells)
        for index, given in front_end.given_in(self.nb.cells, reused).items():
            for display, content in given.items():
                self._contents.give(display, index, content)
        for display in self._display_id_map:
            self._show(display)
        for model, state in front_end.widgets.items():
            self.widget_state[model] = {**state, **self.widget_state.get(model, {})}
        for model, parts in front_end.buffers.items():
            known = {tuple(part["path"]): part for part in parts}
            self.widget_buffers[model] = {**known, **self.widget_buffers.get(model, {})}

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Handle a message of the kernel as nbclient does, and tell that the cell's outputs may differ.

        Args:
            msg: from the channel IOPub of the Jupyter messaging protocol.
            cell: the cell that the message is of; it gets the output.
            cell_index: its index in the notebook.
        """
        kept = self._bound.bounded(msg, cell_index)
        if kept is None:
            return None
        display: str | None = (msg["content"].get("transient") or {}).get("display_id")
        if msg["msg_type"].startswith("comm") or display:
            self._front_end_changed = True
        given = display if msg["msg_type"] in _SHOWING else None  # nbclient renames a message's type
        output = super().process_message(kept, cell, cell_index)
        self._changed(cell_index)
        if given:
            self._contents.give(given, cell_index, kept["content"])
            self._show(given)
        return output

    def _show(self, display: str) -> None:
        """Let outputs show what the last cell in the notebook's order has given their display."""
        content = self._contents.of(display)
        if content is None:
            return
        for index, places in self._display_id_map.get(display, {}).items():
            outputs = self.nb.cells[index].outputs
            for place in places:
                if (
                    is_displayed(self.nb.cells[index], place)
                    and not content.items() <= outputs[place].items()
                ):
                    outputs[place].update(copy.deepcopy(content))
                    self._changed(index)

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        # Another execution of a cell may have put out more than what is kept of it.
        for index, places in self._display_id_map.get(display_id, {}).items():
            places[:] = [place for place in places if is_displayed(self.nb.cells[index], place)]
        super()._update_display_id(display_id, msg)
        for cell_index in self._display_id_map.get(display_id, {}):
            self._changed(cell_index)


class GrowingNotebook(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """papermill's execution manager whose output file is always a whole notebook, even after a kill."""

    def __init__(self, notebook: NotebookNode, output: Path | None) -> None:
        """Take hold of a notebook.

        Args:
            notebook: The parameterized notebook; it is executed in place.
            output: File to keep up to date while it grows; None to keep it in memory only.
        """
        papermill = notebook.metadata.setdefault("papermill", {})
        for key in ("default_parameters", "parameters", "environment_variables"):
            papermill.setdefault(key, {})
        papermill.setdefault("version", papermill_version)
        for cell in notebook.cells:
            cell.metadata.setdefault("tags", [])
        self._save_failed = False
        super().__init__(notebook, output_path=str(output) if output else None, progress_bar=False)

    def save(self, **kwargs: Any) -> None:
        """Write the notebook to its file, whole; a failed write is reported once and ends nothing."""
        if self.output_path is None:
            return
        try:
            write_text(Path(self.output_path), write_notebook(self.nb))
        except OSError as error:
            if not self._save_failed:
                log.warning("the executed notebook cannot be written to %s: %s", self.output_path, error)
            self._save_failed = True
        else:
            self._save_failed = False
        self.last_save_time = self.now()
