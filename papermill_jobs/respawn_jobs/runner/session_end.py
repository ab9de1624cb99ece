"""How an execution ends, and what is reported of the cell or the kernel that ended it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from respawn_jobs.api.runner_protocol import Assignment, Outcome
from respawn_jobs.model.runs import CellError
from respawn_jobs.model.settings import BLOCKED_AFTER_SECONDS, Cause
from respawn_jobs.notebook.document import TAG_RAISES, cell_tags
from respawn_jobs.runner.cancellation import Stop
from respawn_jobs.runner.kernel.cell_meter import CellMeter
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_kernels.counting import how_many


class Failed(Exception):
    """A cell ended the run, or the kernel did; holds what is reported of it."""

    def __init__(
        self,
        error: CellError,
        cause: BaseException | None = None,
        *,
        timed_out: bool = False,
        ended_by: Cause | None = None,
    ) -> None:
        """Hold an error.

        Args:
            error: what is reported of it.
            cause: what nbclient, or the session, raised; None where nothing was.
            timed_out: whether a limit of time ended the run.
            ended_by: what decides whether it is tried again; None where the error's name says it.
        """
        super().__init__(f"{error.name}: {error.value}")
        self.error = error
        self.cause = cause
        self.timed_out = timed_out
        self.ended_by = ended_by


_OUTPUTS_MISSING = "The message was: Timeout waiting for IOPub output."
"""In nbclient's error where the end of a cell's outputs did not come; the cell's text stands in it, too."""


class CellBlockedError(CellTimeoutError):
    """A cell gave no sign of life for longer than its job allows."""

    seen: str = ""
    """What was seen of it, in words."""


class CleanExit(Exception):
    """A cell called `sys.exit()` with success: the notebook ends here, as papermill has it."""


@dataclass
class SessionLimits:
    """How long things may take, in seconds; None for no limit."""

    start: float = 60.0
    cell: float | None = None
    blocked_after: float = BLOCKED_AFTER_SECONDS
    """Without a sign of life, after which a cell is shown as blocked."""
    blocked: float | None = None
    """Without a sign of life, after which a cell is ended."""

    @classmethod
    def of(cls, assignment: Assignment, start: float) -> SessionLimits:
        """Return those of an attempt, whose kernel may take so long to come up."""
        return cls(
            start,
            assignment.cell_timeout_seconds,
            assignment.blocked_after_seconds,
            assignment.blocked_timeout_seconds,
        )


@dataclass
class SessionEnd:
    """How a session ended; `exception` is what nbclient raised, where papermill would let it through."""

    outcome: Outcome
    exception: BaseException | None = None


def error_output(cell: NotebookNode) -> dict[str, Any]:
    """Return the last error among a cell's outputs; an empty document where there is none."""
    errors = [output for output in cell.get("outputs") or [] if output.output_type == "error"]
    return dict(errors[-1]) if errors else {}


def shows_error(cell: NotebookNode) -> bool:
    """Return whether a cell that ended well shows an error that its tags do not allow."""
    return bool(error_output(cell)) and not clean_exit(cell) and TAG_RAISES not in cell_tags(cell)


def clean_exit(cell: NotebookNode) -> bool:
    """Return whether a cell ended by `sys.exit()` with success."""
    shown = error_output(cell)
    return shown.get("ename") == "SystemExit" and shown.get("evalue") in ("", "0")


def failure(
    cells: Sequence[NotebookNode], index: int, error: Exception, kernel: KernelProcess, limits: SessionLimits
) -> Failed:
    """Return what to tell about a cell that ended the run.

    Args:
        cells: all cells of the notebook.
        index: of the cell among them.
        error: what nbclient raised while it executed the cell.
        kernel: tells how its process ended, where the kernel died.
        limits: tells how long the cell was allowed to take.
    """
    if isinstance(error, DeadKernelError):
        cell_error = CellError(
            cell=index,
            name="DeadKernel",
            value=f"the kernel died: {kernel.exit_reason()}",
            traceback=kernel.log_tail(),
        )
        return Failed(cell_error, error, ended_by=Cause.DEAD_KERNEL)
    if isinstance(error, CellBlockedError):
        return Failed(CellError(cell=index, name="CellBlocked", value=error.seen), error, timed_out=True)
    if isinstance(error, CellTimeoutError) and _OUTPUTS_MISSING in str(error):  # of no limit of ours
        why = "the cell ended, but the end of its outputs did not come: the kernel's output thread hangs"
        return Failed(CellError(cell=index, name="OutputTimeout", value=why), error)
    if isinstance(error, CellTimeoutError):
        limit = f"{how_many(limits.cell, 'second')}" if limits.cell else "the time allowed"
        cell_error = CellError(cell=index, name="CellTimeout", value=f"the cell did not end within {limit}")
        return Failed(cell_error, error, timed_out=True)
    name = getattr(error, "ename", "") or type(error).__name__
    shown = shown_error(cells[index], index, name, getattr(error, "evalue", ""))
    return Failed(shown, ended_by=Cause.CELL_ERROR)  # the name is the notebook's own to choose


def too_long(cell: NotebookNode, limits: SessionLimits, meter: CellMeter) -> CellTimeoutError:
    """Return what is raised for a cell that was stopped because it took too long.

    Args:
        cell: the cell.
        limits: what it may take.
        meter: tells whether it was blocked.
    """
    seconds: Any = limits.cell
    if not meter.timed_out.is_set():
        return CellTimeoutError.error_from_timeout_and_cell("Cell execution timed out", seconds, cell)
    seconds = limits.blocked
    blocked = CellBlockedError.error_from_timeout_and_cell("Cell gave no sign of life", seconds, cell)
    assert isinstance(blocked, CellBlockedError)  # noqa: S101  nbclient declares the base alone
    blocked.seen = f"the cell gave {meter.silence}"
    return blocked


def stopped(reason: Stop | None, index: int | None, cells: Sequence[NotebookNode]) -> SessionEnd:
    """Return how an execution ended that was stopped.

    Args:
        reason: why; there is one.
        index: the cell that ran; None before the first.
        cells: all cells of the notebook.
    """
    assert reason is not None  # noqa: S101  nothing is stopped without one
    traceback = "" if index is None else traceback_of(cells[index])
    error = CellError(cell=index, name=reason.name, value=reason.value, traceback=traceback)
    return SessionEnd(Outcome(state=reason.state, error=error))


def shown_error(cell: NotebookNode, index: int, name: str = "", value: str = "") -> CellError:
    """Return what to tell of the error among a cell's outputs.

    Args:
        cell: the cell, with its outputs.
        index: its index in the notebook.
        name: class of the error where the outputs have none.
        value: message of the error where the outputs have none.
    """
    shown = error_output(cell)
    return CellError(
        cell=index,
        name=shown.get("ename") or name,
        value=shown.get("evalue", value),
        traceback=traceback_of(cell),
    )


def traceback_of(cell: NotebookNode) -> str:
    """Return the traceback among a cell's outputs."""
    return "\n".join(error_output(cell).get("traceback") or [])
