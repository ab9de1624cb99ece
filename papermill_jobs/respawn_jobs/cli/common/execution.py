"""Seeing a run through to its end: executed here, or followed on a hub."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.common.service_connection import ServiceConnection
from respawn_jobs.embedded.local_store import data_directory
from respawn_jobs.errors import Unavailable
from respawn_jobs.host.atomic_write import write_text
from respawn_jobs.model.runs import CellState, Run, RunDetail, RunState

if TYPE_CHECKING:
    from respawn_jobs.runner.kernel.early_kernel import EarlyKernel
    from respawn_jobs.runner.recorder import Progress

log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_TIME_LIMIT_SECONDS = 60.0


def early_kernel(notebook: Path, kernel: str | None) -> EarlyKernel | None:
    """Start the notebook's kernel before anything else is read or imported; None when that is unknown.

    Whatever is wrong with the notebook or the kernel is found, and reported better, when it is promoted.
    """
    from respawn_jobs.runner.kernel.early_kernel import EarlyKernel
    from respawn_jobs.runner.kernel.kernel_process import KernelFailed

    with suppress(OSError, ValueError, LookupError, AttributeError, TypeError, KernelFailed):
        name = kernel or json.loads(notebook.read_bytes())["metadata"]["kernelspec"]["name"]
        return EarlyKernel(name, notebook.resolve().parent)
    return None


def default_output(run: str) -> Path:
    """Return where the executed notebook of a run is written unless the caller says otherwise."""
    return data_directory() / "notebooks" / f"{run}.ipynb"


def see_through(
    connected: ServiceConnection,
    run: str,
    output: Path | None,
    progress: Progress,
    early: EarlyKernel | None = None,
) -> tuple[RunDetail, Path | None]:
    """Bring a queued run to its end and its notebook to a file.

    Args:
        connected: The service that queued it.
        run: The run.
        output: Where the executed notebook goes; None for the default place.
        progress: Called with the cells, then with each that changes.
        early: A kernel started ahead for it.

    Returns:
        The run in its final state, and the notebook's path if there is one.
    """
    output = output or default_output(run)
    output.parent.mkdir(parents=True, exist_ok=True)
    before = _mark(output)
    if connected.ledger is not None:
        detail = _execute_here(connected, run, output, progress, early)
    else:
        detail = _follow(connected, run, progress)
    try:
        return detail, save_notebook(connected, detail, output, before)
    except OSError as error:  # the run ended all the same, and its notebook is in the store
        log.warning("the executed notebook cannot be written to %s: %s", output, error)
        return detail, None


def save_notebook(
    connected: ServiceConnection, detail: RunDetail, output: Path, before: tuple[int, int] | None
) -> Path | None:
    """Write a run's executed notebook to a file, whole.

    Args:
        connected: the service that has the notebook.
        detail: the run, as the service returned it last.
        output: the file. One that was there stays as it is where the run has no notebook.
        before: what `_mark` said of the file before the run; None when there was none.

    Returns:
        The file; None when the run has no notebook. Where no cell of the run is known either, the file is
        the run's when it was written since.
    """
    from respawn_jobs.errors import NotFound

    if detail.run.notebook is None and detail.run.cells_total == 0:
        written = _mark(output)
        return output if written not in (None, before) else None
    try:
        text = connected.service.notebook(detail.run.id)
    except NotFound:
        return None
    write_text(output, text)
    return output


def _mark(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another that takes its place; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _execute_here(
    connected: ServiceConnection, run: str, output: Path, progress: Progress, early: EarlyKernel | None
) -> RunDetail:
    """Execute attempts in this process until the run is final."""
    from respawn_jobs.runner.attempt import execute_attempt

    assert connected.ledger is not None  # noqa: S101  checked by the caller
    while not (detail := connected.service.show(run)).run.state.final:
        attempt, token = connected.ledger.open_attempt(run, "command")
        port = connected.ledger.runner(attempt, token)
        execute_attempt(port, output=output, progress=progress, early=early)
        early = None
        _wait_for_next_try(connected, connected.service.show(run))
    return detail


def _wait_for_next_try(connected: ServiceConnection, detail: RunDetail) -> None:
    """Wait until a run may be retried, a person retries it, or it is released; Ctrl-C cancels it."""
    from respawn_jobs.clock import utc_now

    if detail.attempts and detail.attempts[-1].note:
        click.echo(f"respawn: {detail.attempts[-1].note}", err=True)
    try:
        while not detail.run.state.final:
            due = detail.run.not_before
            left = (due - utc_now()).total_seconds() if due is not None else 0.0
            if detail.run.state is RunState.SUSPENDED:
                left = _POLL_SECONDS  # until somebody releases or cancels it
            if left <= 0:
                return
            time.sleep(min(left, _POLL_SECONDS))
            detail = connected.service.show(detail.run.id)
    except KeyboardInterrupt:
        connected.service.cancel(detail.run.id)


def _follow(connected: ServiceConnection, run: str, progress: Progress) -> RunDetail:
    """Poll until the run is final; Ctrl-C asks the service to cancel it."""
    seen: dict[int, CellState] = {}
    shown: str | None = None
    cancelled = silent = False
    deadline = time.monotonic() + _TIME_LIMIT_SECONDS
    while True:
        try:
            detail = connected.service.show(run)
            deadline = time.monotonic() + _TIME_LIMIT_SECONDS
            changed = [cell for cell in detail.cells if seen.get(cell.index) is not cell.state]
            if changed:
                seen |= {cell.index: cell.state for cell in changed}
                progress(_events(changed))
            if detail.run.over:
                return detail
            waits = _waits_for(detail.run)
            if waits != shown and waits is not None:
                click.echo(f"respawn: {waits}", err=True)
            shown = waits
            time.sleep(_POLL_SECONDS)
            silent = False
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            if not silent:
                click.echo(
                    f"respawn: the service does not answer; waiting for it up to {_TIME_LIMIT_SECONDS:.0f} s "
                    f"(the run continues: respawn show {run})",
                    err=True,
                )
            silent = True
            time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            if cancelled:
                raise
            connected.service.cancel(run)
            cancelled = True


def _waits_for(run: Run) -> str | None:
    """Return the message about a run that may not end for long; None of one that waits or executes."""
    if run.state is RunState.SUSPENDED:
        return run.waiting or "it is suspended"
    if not run.state.known:
        return f"{run.id} is in a state that is unknown here, and is waited for: update Respawn here"
    return None


def _events(cells: Sequence[Any]) -> list[Any]:
    from respawn_jobs.api.runner_protocol import CellEvent

    return [
        CellEvent.model_validate(
            cell.model_dump(exclude={"checkpoint", "parameters_hash", "lock", "evidence"})
        )
        for cell in cells
    ]
