"""Looks after the service's health in the background, so that asking for it costs nothing and never waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel

from respawn_jobs.errors import RespawnError, Unavailable
from respawn_jobs.ledger.figures import SILENT, Figures
from respawn_jobs.ledger.operations import Operations

Status = Literal["ok", "degraded", "down"]
_REST, _REST_IN_TROUBLE = 5.0, 1.0
_BLOBS_SECONDS = 30.0
"""How long an answer of the blob store holds."""
_STALE_SECONDS = 30.0
"""How old an answer of the database may be; older ones say that it hangs."""


class Part(BaseModel):
    """One part of the service."""

    status: Status
    said: str = ""
    """What is wrong, in words; empty when nothing is."""


class Health(BaseModel):
    """Whether the service can work, and what of it is degraded."""

    status: Status
    parts: dict[str, Part]


class Probe:
    """Asks database and blob store every few seconds, and tells what it knows."""

    def __init__(
        self,
        ledger: Operations,
        *,
        queue_alarm_seconds: float,
        more: Callable[[], dict[str, Part]] = dict,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._queue_alarm = queue_alarm_seconds
        self._now = monotonic
        self._more = more
        self._asked: float | None = None
        self._figures: Figures | None = None
        self._database = Part(status="down", said="not asked yet")
        self._blobs = Part(status="ok")
        self._blobs_asked = float("-inf")

    def tick(self) -> float:
        """Look once. Returns the seconds to rest; never fails because a store does."""
        try:
            self._figures = self._ledger.figures()
        except RespawnError as error:
            self._figures, self._database = None, Part(status="down", said=_words(error))
        else:
            self._database = Part(status="ok")
        self._asked = self._now()
        trouble = self._database.status != "ok" or self._blobs.status != "ok"
        if self._now() - self._blobs_asked >= (_REST if trouble else _BLOBS_SECONDS):
            self._blobs = self._asked_blobs()
            self._blobs_asked = self._now()
        return _REST_IN_TROUBLE if trouble else _REST

    @property
    def asked(self) -> bool:
        """Whether anything is known yet."""
        return self._asked is not None

    def health(self, loops: dict[str, str]) -> Health:
        """Return what is known; `loops` is what the supervisor says of its loops."""
        database = self._database
        if self._asked is not None and self._now() - self._asked > _STALE_SECONDS:
            database = Part(status="down", said=f"has not answered for {self._now() - self._asked:.0f} s")
        parts = {"database": database, "blobs": self._blobs, **self._more()}
        parts |= {f"loop {name}": _loop(said) for name, said in sorted(loops.items())}
        if self._figures is not None and database.status == "ok":
            parts |= self._of_figures(self._figures)
        status: Status = "ok" if all(part.status == "ok" for part in parts.values()) else "degraded"
        return Health(status="down" if database.status == "down" else status, parts=parts)

    def _of_figures(self, figures: Figures) -> dict[str, Part]:
        parts = {"channels": Part(status="ok"), "replicas": Part(status="ok"), "queue": Part(status="ok")}
        if figures.failing_channels:
            names = ", ".join(sorted(figures.failing_channels))
            parts["channels"] = Part(status="degraded", said=f"messages are refused by: {names}")
        silent = figures.replicas.get("silent", 0)
        if silent:
            said = f"{silent} said nothing for {SILENT.total_seconds():.0f} s or longer"
            parts["replicas"] = Part(status="degraded", said=said)
        oldest = max((queue.oldest_seconds for queue in figures.queues.values()), default=0.0)
        if oldest > self._queue_alarm:
            waiting = sum(queue.runs for queue in figures.queues.values())
            said = f"the oldest of {waiting} runs that may start waits for {oldest:.0f} s"
            parts["queue"] = Part(status="degraded", said=said)
        return parts

    def _asked_blobs(self) -> Part:
        try:
            self._ledger.probe_blobs()
        except (RespawnError, OSError) as error:
            return Part(status="degraded", said=_words(error))
        return Part(status="ok")


def _loop(said: str) -> Part:
    if said == "ok":
        return Part(status="ok")
    # Not what it says: that may name jobs and addresses, and this is told without a token.
    return Part(status="degraded", said=said if said == "not started" else "failing: see the service's log")


def _words(error: Exception) -> str:
    """Return what is wrong with a store, without its address: this is told without a token."""
    return "does not answer" if isinstance(error, Unavailable) else f"fails: {type(error).__name__}"
