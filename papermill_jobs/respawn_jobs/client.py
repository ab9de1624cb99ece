"""papermill's notebook client on a kernel that is already running, and its hold on the growing notebook.

The client tells which cells' outputs change, also when a later cell updates the display of an earlier one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill import __version__ as papermill_version
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager

from respawn_jobs.bounds import OutputBound
from respawn_jobs.kernel import Kernel
from respawn_jobs.notebooks import write_notebook
from respawn_jobs.workspace import write_text

log = logging.getLogger(__name__)


class Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Executes cells in a given kernel; starting and ending it is its owner's."""

    def __init__(
        self,
        nb_man: NotebookExecutionManager,
        kernel: Kernel,
        changed: Callable[[int], None],
        **options: Any,
    ) -> None:
        super().__init__(nb_man, km=kernel.manager, kernel_name=kernel.name, **options)
        self.kc = kernel.client
        self._changed = changed
        self._bound = OutputBound()

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Handle a message of the kernel as nbclient does, and tell that the cell's outputs may differ."""
        kept = self._bound.bounded(msg, cell_index)
        if kept is None:
            return None
        output = super().process_message(kept, cell, cell_index)
        self._changed(cell_index)
        return output

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
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
        """Write the notebook to its file, whole; that it cannot be written is said once and ends nothing."""
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
