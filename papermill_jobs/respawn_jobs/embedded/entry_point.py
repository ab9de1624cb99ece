"""The door through which papermill finds the engine of `papermill --engine respawn in.ipynb out.ipynb`.

papermill loads every registered engine while it is itself still being imported, so nothing here may need
papermill: the engine, whose base class is papermill's, is imported when a notebook is executed with it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["RespawnEngine"]


class RespawnEngine:
    """What papermill asks of an engine, handed to `respawn_jobs.embedded.papermill_engine`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Execute a notebook and record it (`papermill.engines.Engine.execute_notebook`).

        Args:
            nb: The notebook, parameterized.
            kernel_name: The kernel to run it with.
            **kwargs: What papermill passes to an engine, and options for nbclient.

        Returns:
            The executed notebook.

        Raises:
            RespawnError: the embedded store could not record the run, so nothing was executed.
        """
        from respawn_jobs.embedded.papermill_engine import RecordingEngine

        return RecordingEngine.execute_notebook(nb, kernel_name, **kwargs)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Return the name of the kernel that a notebook asks for, or `name`."""
        from respawn_jobs.embedded.papermill_engine import RecordingEngine

        return str(RecordingEngine.nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Return the language that a notebook is written in, or `language`."""
        from respawn_jobs.embedded.papermill_engine import RecordingEngine

        return str(RecordingEngine.nb_language(nb, language))
