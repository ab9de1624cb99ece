"""Looks after the service's health in the background, so that asking for it costs nothing and never waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel

from respawn_jobs.errors import RespawnError, Unavailable
from respawn_jobs.ledger.operations.notice_ops import Operations
from respawn_jobs.ledger.operations.stats import SILENT, ServiceFigures
from respawn_jobs.store.schema import SchemaStanding
from respawn_kernels.counting import how_many

Status = Literal["ok", "degraded", "down"]
_REST, _REST_IN_TROUBLE = 5.0, 1.0
_BLOBS_SECONDS = 30.0
"""How long an answer of the blob store holds."""
_STALE_SECONDS = 30.0
"""How old an answer of the database may be; older ones say that it hangs."""


class HealthPart(BaseModel):
    """One part of the service."""

    status: Status
    detail: str = ""
    """What is wrong, in words; or what is worth knowing of a part that is not."""


class Health(BaseModel):
    """Whether the service can work, and what of it is degraded."""

    status: Status
    parts: dict[str, HealthPart]


class HealthProbe:
    """Asks database and blob store every few seconds, and reports what it knows.

    Args:
        ledger: asks the store for its figures.
        queue_alarm_seconds: how long a run that may start may wait before the part `queue` is degraded.
        more: returns parts that others watch, by name; called at each question for the health.
        monotonic: a clock of seconds that is never set back.
    """

    def __init__(
        self,
        ledger: Operations,
        *,
        queue_alarm_seconds: float,
        more: Callable[[], dict[str, HealthPart]] = dict,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._queue_alarm = queue_alarm_seconds
        self._now = monotonic
        self._more = more
        self._asked: float | None = None
        self._figures: ServiceFigures | None = None
        self._database = HealthPart(status="down", detail="not asked yet")
        self._blobs = HealthPart(status="ok")
        self._blobs_asked = float("-inf")

    def tick(self) -> float:
        """Look once. Returns the seconds to rest; never fails because a store does."""
        try:
            self._figures = self._ledger.figures()
            self._database = _of_schema(self._ledger.schema())
        except RespawnError as error:
            self._figures, self._database = None, HealthPart(status="down", detail=_words(error))
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
            database = HealthPart(
                status="down", detail=f"has not answered for {self._now() - self._asked:.0f} s"
            )
        parts = {"database": database, "blobs": self._blobs, **self._more()}
        parts |= {f"loop {name}": _loop(state) for name, state in sorted(loops.items())}
        if self._figures is not None and database.status == "ok":
            parts |= self._of_figures(self._figures)
        status: Status = "ok" if all(part.status == "ok" for part in parts.values()) else "degraded"
        return Health(status="down" if database.status == "down" else status, parts=parts)

    def _of_figures(self, figures: ServiceFigures) -> dict[str, HealthPart]:
        parts = {
            "channels": HealthPart(status="ok"),
            "replicas": HealthPart(status="ok"),
            "queue": HealthPart(status="ok"),
        }
        if figures.failing_channels:
            names = ", ".join(sorted(figures.failing_channels))
            parts["channels"] = HealthPart(status="degraded", detail=f"messages are refused by: {names}")
        silent = figures.replicas.get("silent", 0)
        if silent:
            detail = f"{silent} said nothing for {SILENT.total_seconds():.0f} s or longer"
            parts["replicas"] = HealthPart(status="degraded", detail=detail)
        oldest = max((queue.oldest_seconds for queue in figures.queues.values()), default=0.0)
        if oldest > self._queue_alarm:
            waiting = sum(queue.runs for queue in figures.queues.values())
            detail = f"the oldest of {how_many(waiting, 'run')} that may start waits for {oldest:.0f} s"
            parts["queue"] = HealthPart(status="degraded", detail=detail)
        return parts

    def _asked_blobs(self) -> HealthPart:
        try:
            self._ledger.probe_blobs()
        except (RespawnError, OSError) as error:
            return HealthPart(status="degraded", detail=_words(error))
        return HealthPart(status="ok")


def _loop(state: str) -> HealthPart:
    if state == "ok":
        return HealthPart(status="ok")
    # Not what it says: that may name jobs and addresses, and this needs no token.
    return HealthPart(
        status="degraded", detail=state if state == "not started" else "failing: see the service's log"
    )


def _of_schema(schema: SchemaStanding) -> HealthPart:
    """Return whether this replica can work on what another one may have made of the database since."""
    return HealthPart(status="ok" if schema.usable else "down", detail=schema.message)


def _words(error: Exception) -> str:
    """Return what is wrong with a store, without its address: nobody needs a token to read it."""
    return "does not answer" if isinstance(error, Unavailable) else f"fails: {type(error).__name__}"
