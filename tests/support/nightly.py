"""A job of Ada's that every way to make runs leads to, for tests of what becomes of its owner."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from respawn_jobs.access import Actor
from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import DependencyRequest, HookRequest, NewHook, SensorRequest, TriggerRule
from respawn_jobs.ledger import Ledger
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.runners import fail_third_cell
from support.signed_calls import signed_call

FIRST, SECOND, OTHER = "2026-01-01T08:00:00.100000Z", "2026-06-01T08:00:00.200000Z", "2025-05-05T05:05:05.5Z"
"""When the hub made three users; it has no other identity for them."""
BOB = {"bob": OTHER}


SOURCE = text(notebook("a = 1", "b = a", "c = d"))


EVERY = 30.0


class Nightly:
    """A job of ada's, the first of her name, that every kind of trigger makes runs of."""

    def __init__(self, ledger: Ledger, clock: MovedClock, tmp_path: Path) -> None:
        self.ledger, self.clock = ledger, clock
        self.inbox = tmp_path / "inbox/user/ada/in"
        assert ledger.admit("ada", FIRST)
        ada = ledger.as_actor(Actor("ada", frozenset({"custom:respawn:edit!user=ada"})))
        for name in ("before", "report"):
            ada.promote(Promotion(name=name, notebook=SOURCE))
        self.failed = fail_third_cell(ledger, ada.run(RunRequest(job="report")))
        ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="UTC"))
        ada.set_dependency(
            DependencyRequest(job="report", upstream=["before"], trigger_rule=TriggerRule.ALL_DONE)
        )
        ada.add_sensor(SensorRequest(job="report", prefix="in"))
        self.hook: NewHook = ada.hook(HookRequest(job="report"))
        ada.backfill(BackfillRequest(job="report", sets=[{}, {}, {}], parallel=1))
        self.queued = ada.run(RunRequest(job="report"))
        self.upstream = ada.run(RunRequest(job="before"))

    def call(self, body: bytes = b"") -> Any:
        """Call the webhook as its sender would."""
        signed = signed_call(self.hook.secret, self.clock(), body)
        return self.ledger.call_hook(self.hook.hook.id, signed, body)

    def triggers(self) -> list[str]:
        """Let everything happen that makes or starts runs, and return the runs."""
        made: list[str] = []
        self.clock.now += timedelta(minutes=2)
        made += self.ledger.queue_due()
        made += self.ledger.fill_backfills()
        made += self.ledger.trigger_downstream()[0]
        (self.inbox / "data.csv").write_text("1")
        for _ in range(3):
            made += self.ledger.poke_sensors(EVERY)
            self.clock.now += timedelta(seconds=2 * EVERY)
        made += [taken.run for taken in self.ledger.claim_runs("local", None, 10)]
        return made
