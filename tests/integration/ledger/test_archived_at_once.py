"""A job is archived at the instant at which a schedule, a webhook and a person make runs of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import HookRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.triggers import webhooks
from support.notebooks import notebook, text
from support.signed_calls import signed_call

pytestmark = pytest.mark.integration
BOTH_DATABASES = True
ROUNDS = 8


@pytest.fixture
def replica(ledger, store_url, tmp_path, clock):
    """Another replica on the same store."""
    other = Ledger.embedded(tmp_path / "data", db_url=store_url, clock=clock)
    yield other
    other.close()


def test_a_run_is_made_before_the_archive_or_not_at_all(ledger, replica, ada, clock):
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    ada.schedule(ScheduleRequest(job="report", cron="0 * * * *", tz="UTC"))
    hook = ada.hook(HookRequest(job="report"))
    for _ in range(ROUNDS):
        clock.forward(hours=1)
        signed = signed_call(hook.secret, clock())
        acts = [
            lambda: ada.change_job("report", JobChange(archived=True)),
            replica.queue_due,
            lambda signed=signed: webhooks.call(replica.context, hook.hook.id, signed, b""),
            lambda: ada.run(RunRequest(job="report")),
        ]
        together = threading.Barrier(len(acts))

        def made(act, together=together):
            together.wait(30)
            try:
                return act()
            except Conflict as refused:
                return refused

        with ThreadPoolExecutor(len(acts)) as pool:
            told = list(pool.map(made, acts))

        job = ada.job("report")
        still_open = [run for run in ada.runs() if not run.state.final]
        if job.archived_at is None:
            assert "have not ended" in str(told[0]) or "has not ended" in str(told[0])
            assert still_open
        else:
            assert still_open == [], "an archived job has an open run"
            assert all(isinstance(one, Conflict) for one in (told[2], told[3])), told
            assert ledger.queue_due() == []
            ada.change_job("report", JobChange(archived=False))
            assert ledger.next_due() == clock() + timedelta(hours=1)
        for run in still_open:
            ada.cancel(run.id)
