"""Taking turns on a target of backups: what is being made there is not pruned meanwhile.

Each puts a file of its own into the target and then looks for the other's, so at least one of two that begin
together sees the other, and gives way. The file is written anew every twenty seconds; one that is two minutes
old was left by a process that died. The clocks of both machines and of the target must agree within half a
minute.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

from respawn_jobs.backup.target import BackupTarget
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Conflict, RespawnError
from respawn_jobs.ids import new_id

logger = logging.getLogger(__name__)
Act = Literal["making", "pruning"]
_LIVES = timedelta(seconds=120)
_EVERY_SECONDS = 20.0
_ACTS = {"making": "a backup is being made", "pruning": "backups are being removed"}


@contextmanager
def turn(
    place: BackupTarget, act: Act, *, clock: Clock = utc_now, every_seconds: float = _EVERY_SECONDS
) -> Iterator[None]:
    """Say for the length of the block that a target is written to.

    Any number of backups are made at once; whoever prunes is alone.

    Args:
        place: the target.
        act: what is done there.
        clock: returns the time now, in UTC.
        every_seconds: after how many seconds the mark is renewed; others count it as left behind after 120.

    Raises:
        Conflict: somebody else is at work there.
    """
    name = f".{act}-{new_id('bak').removeprefix('bak-')}"
    place.mark(name)
    over = threading.Event()
    thread = threading.Thread(
        target=_renew, args=(place, name, over, every_seconds), name="respawn-backup-turn", daemon=True
    )
    try:
        _check(place, name, act, clock)
        thread.start()
        yield
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
        place.unmark(name)


def _check(place: BackupTarget, own: str, act: Act, clock: Clock) -> None:
    for mark in place.marks():
        other = mark.name.removeprefix(".").partition("-")[0]
        if mark.name == own or other not in _ACTS or (act == other == "making"):
            continue
        if mark.modified > clock() - _LIVES:
            raise Conflict(
                f"{_ACTS[other]} in {place.url} at this moment (or broke off within the last two minutes): "
                "try again later",
                target=place.url,
            )
        if act == "pruning":
            place.unmark(mark.name)


def _renew(place: BackupTarget, name: str, over: threading.Event, every_seconds: float) -> None:
    while not over.wait(every_seconds):
        try:
            place.mark(name)
        except RespawnError as error:
            logger.warning("%s could not be marked as written to: %s", place.url, error)
