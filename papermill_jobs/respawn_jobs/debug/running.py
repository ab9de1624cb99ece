"""A look into a run that goes on: its state before the cell that runs, stored for this."""

from __future__ import annotations

import time
from collections.abc import Callable

from respawn_jobs.api.service import Service
from respawn_jobs.errors import Conflict, Forbidden
from respawn_jobs.model.runs import CellState, RunDetail, RunState

WAIT_SECONDS = 60.0
"""How long the state may take to be stored: a heartbeat, the writing, and the way to the store."""
_PAUSE_SECONDS = 0.4
_FINISHED = (CellState.EXECUTED, CellState.REUSED)


def await_state(
    service: Service,
    run: str,
    *,
    pause: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> RunDetail:
    """Have the state before the cell that runs stored, and wait for it, for a minute at most.

    Args:
        service: the service.
        run: id of a run that goes on.
        pause: waits for so many seconds.
        monotonic: a clock of seconds.

    Returns:
        The run, with the state where one came; a run that has ended meanwhile is returned as it is.

    Raises:
        RespawnError: what the service raises.
    """
    before = service.show(run)
    if not service.job(before.run.job).settings.snapshot_fork:  # nothing is held that could be stored
        return before
    try:
        service.request_state(run)
    except (Conflict, Forbidden):  # it has just ended; or what is stored must do, for whoever only reads
        return service.show(run)
    had, give_up = _last(before), monotonic() + WAIT_SECONDS
    while True:
        detail = service.show(run)
        stored = _last(detail)
        current = stored == _last_finished(detail) or stored > max(had, _last_finished(before))
        if detail.run.state is not RunState.RUNNING or current or monotonic() > give_up:
            return detail
        pause(_PAUSE_SECONDS)


def _last(detail: RunDetail) -> int:
    """Return the cell after which the last state was stored; -1 for none."""
    return max((checkpoint.cell for checkpoint in detail.checkpoints), default=-1)


def _last_finished(detail: RunDetail) -> int:
    return max((cell.index for cell in detail.cells if cell.state in _FINISHED), default=-1)
