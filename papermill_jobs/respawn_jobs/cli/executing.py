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

from respawn_jobs.cli.connection import Connection
from respawn_jobs.errors import Unavailable
from respawn_jobs.models import CellState, RunDetail
from respawn_jobs.workspace import data_directory, write_text

if TYPE_CHECKING:
    from respawn_jobs.kernel import EarlyKernel
    from respawn_jobs.recorder import Progress

log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0


def early_kernel(notebook: Path, kernel: str | None) -> EarlyKernel | None:
    """Start the notebook's kernel before anything else is read or imported; None when it cannot be told.

    Whatever is wrong with the notebook or the kernel is found, and told better, when it is promoted.
    """
    from respawn_jobs.kernel import EarlyKernel, KernelFailed

    with suppress(OSError, ValueError, LookupError, AttributeError, TypeError, KernelFailed):
        name = kernel or json.loads(notebook.read_bytes())["metadata"]["kernelspec"]["name"]
        return EarlyKernel(name, notebook.resolve().parent)
    return None


def default_output(run: str) -> Path:
    """Return where the executed notebook of a run is written unless the caller says otherwise."""
    return data_directory() / "notebooks" / f"{run}.ipynb"


def see_through(
    connected: Connection,
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
        progress: Is told the cells, then each that changes.
        early: A kernel started ahead for it.

    Returns:
        The run in its final state, and the notebook's path if there is one.
    """
    output = output or default_output(run)
    output.parent.mkdir(parents=True, exist_ok=True)
    if connected.ledger is not None:
        detail = _execute_here(connected, run, output, progress, early)
    else:
        detail = _follow(connected, run, progress)
    try:
        return detail, save_notebook(connected, detail, output)
    except OSError as error:  # the run ended all the same, and its notebook is in the store
        log.warning("the executed notebook cannot be written to %s: %s", output, error)
        return detail, None


def save_notebook(connected: Connection, detail: RunDetail, output: Path) -> Path | None:
    """Write a run's executed notebook to a file, whole; None when the run has none."""
    from respawn_jobs.errors import NotFound

    if detail.run.notebook is None and detail.run.cells_total == 0:
        return output if output.exists() else None
    try:
        text = connected.service.notebook(detail.run.id)
    except NotFound:
        return None
    write_text(output, text)
    return output


def _execute_here(
    connected: Connection, run: str, output: Path, progress: Progress, early: EarlyKernel | None
) -> RunDetail:
    """Execute attempts in this process until the run is final."""
    from respawn_jobs.runner import execute_attempt

    assert connected.ledger is not None  # noqa: S101  told apart by the caller
    while not (detail := connected.service.show(run)).run.state.final:
        attempt, token = connected.ledger.open_attempt(run, "command")
        port = connected.ledger.runner(attempt, token)
        execute_attempt(port, output=output, progress=progress, early=early)
        early = None
        _wait_for_next_try(connected, connected.service.show(run))
    return detail


def _wait_for_next_try(connected: Connection, detail: RunDetail) -> None:
    """Wait until a run may be tried again, or is told to be; Ctrl-C cancels it."""
    from respawn_jobs.clock import utc_now

    if detail.attempts and detail.attempts[-1].note:
        click.echo(f"respawn: {detail.attempts[-1].note}", err=True)
    try:
        while not detail.run.state.final:
            due = detail.run.not_before
            left = (due - utc_now()).total_seconds() if due is not None else 0.0
            if left <= 0:
                return
            time.sleep(min(left, _POLL_SECONDS))
            detail = connected.service.show(detail.run.id)
    except KeyboardInterrupt:
        connected.service.cancel(detail.run.id)


def _follow(connected: Connection, run: str, progress: Progress) -> RunDetail:
    """Poll until the run is final; Ctrl-C asks the service to cancel it."""
    seen: dict[int, CellState] = {}
    cancelled = silent = False
    patience = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            detail = connected.service.show(run)
            patience = time.monotonic() + _PATIENCE_SECONDS
            changed = [cell for cell in detail.cells if seen.get(cell.index) is not cell.state]
            if changed:
                seen |= {cell.index: cell.state for cell in changed}
                progress(_events(changed))
            if detail.run.state.final:
                return detail
            time.sleep(_POLL_SECONDS)
            silent = False
        except Unavailable:
            if time.monotonic() > patience:
                raise
            if not silent:
                click.echo(
                    f"respawn: the service does not answer; waiting for it up to {_PATIENCE_SECONDS:.0f} s "
                    f"(the run goes on: respawn show {run})",
                    err=True,
                )
            silent = True
            time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            if cancelled:
                raise
            connected.service.cancel(run)
            cancelled = True


def _events(cells: Sequence[Any]) -> list[Any]:
    from respawn_jobs.protocol import CellEvent

    return [
        CellEvent.model_validate(
            cell.model_dump(exclude={"checkpoint", "parameters_hash", "lock", "evidence"})
        )
        for cell in cells
    ]
