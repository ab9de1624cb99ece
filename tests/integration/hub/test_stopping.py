"""A hub that stops takes all of Respawn with it, and a hub that starts again goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from support.hub import running_hub
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.mark.long
def test_a_run_that_the_hubs_stop_interrupts_is_requeued_with_what_it_has_done(tmp_path: Path) -> None:
    with running_hub(tmp_path, users=("ada",)) as hub:
        service = hub.service("ada")
        service.promote(
            Promotion(name="long", notebook=text(notebook("print(1)", "import time\ntime.sleep(600)")))
        )
        run = service.run(RunRequest(job="long"))
        wait_for(lambda: service.show(run.id).run.cells_done == 1, 60, "the first cell")
        began = time.monotonic()
    took = time.monotonic() - began

    ledger = Ledger.embedded(hub.data)
    ada = ledger.as_actor(Actor.owner("ada"))
    left, executed = ada.show(run.id), ada.notebook(run.id)
    replicas = ada.replicas()
    ledger.close()

    assert left.run.state is RunState.QUEUED
    assert left.run.waiting == "waiting for: a service: none is running"
    [attempt] = left.attempts
    assert attempt.error is not None
    assert (attempt.state, attempt.error.name) == (RunState.LOST, "Preempted")
    assert attempt.error.value == "the runner was asked to end"
    assert '"1\\n"' in executed
    assert replicas == []
    assert took < 15
