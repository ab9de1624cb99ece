"""Says to the service how an attempt ended, with the executed notebook where it can be stored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from respawn_jobs.api.runner_protocol import CAUSE, LIMITS, Assignment, Outcome, RunnerPort
from respawn_jobs.errors import Fenced, RespawnError
from respawn_jobs.model.runs import CellError
from respawn_jobs.runner.kernel.output_limits import bounded_error

if TYPE_CHECKING:
    from papermill.engines import NotebookExecutionManager

log = logging.getLogger(__name__)


def finish(
    port: RunnerPort,
    assignment: Assignment,
    outcome: Outcome,
    notebook: NotebookExecutionManager | None,
    *,
    reported: str | None,
    complete: bool,
) -> Outcome:
    """Store the executed notebook and end the attempt; a refusal makes the outcome `lost`.

    Whatever keeps the notebook from being stored, the end is reported: the service then puts the notebook
    together from what was recorded.

    Args:
        port: the service, bound to the attempt.
        assignment: what the attempt is.
        outcome: how it has ended.
        notebook: the executed notebook; None where there is none.
        reported: the directory of its own in which it worked; None for none.
        complete: whether the notebook is to be completed here: under papermill, papermill itself does it.

    Returns:
        The outcome, as the service got it.
    """
    if outcome.error is not None:
        outcome = outcome.model_copy(update={"error": bounded_error(outcome.error)})
    if LIMITS not in assignment.can:
        outcome = outcome.model_copy(update={"limits": None})
    if reported is not None:
        outcome = outcome.model_copy(update={"directory": reported})
    if CAUSE not in assignment.can:
        outcome = outcome.model_copy(update={"cause": None})
    try:
        if notebook is not None:
            stored = _store_notebook(port, assignment, notebook, complete=complete)
            outcome = outcome.model_copy(update={"notebook": stored})
        port.finish(outcome)
    except RespawnError as error:
        log.warning("attempt %s could not be finished: %s", assignment.attempt, error)
        lost = CellError(cell=None, name="RunnerLost", value=str(error))
        return outcome.model_copy(update={"state": "lost", "error": lost})
    return outcome


def _store_notebook(
    port: RunnerPort, assignment: Assignment, notebook: NotebookExecutionManager, *, complete: bool
) -> str | None:
    """Store the executed notebook; return its digest, or None when that cannot be done."""
    from respawn_jobs.notebook.document import write_notebook
    from respawn_jobs.notebook.masking import without_secrets
    from respawn_kernels.digest import digest_of

    try:
        if complete:
            notebook.notebook_complete()
        text = write_notebook(without_secrets(notebook.nb)).encode(errors="replace")
        port.put_blob(digest_of(text), text)
    except Fenced:
        raise
    except Exception as error:  # noqa: BLE001  a notebook may hold anything, and its end is reported all the same
        log.warning("the executed notebook of %s could not be stored: %s", assignment.run, error)
        return None
    return digest_of(text)
