"""A hub that stops takes all of Respawn with it, and a hub that starts again goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.models import RunState
from respawn_jobs.service import Promotion, RunRequest
from support.hub import running_hub
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = pytest.mark.integration


def test_a_run_that_the_hubs_stop_interrupts_records_its_own_end_and_notebook(tmp_path: Path) -> None:
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
    left, executed = ada.show(run.id).run, ada.notebook(run.id)
    ledger.close()

    assert left.state is RunState.LOST
    assert left.error is not None
    assert left.error.value == "the runner was told to end"
    assert left.notebook is not None
    assert '"1\\n"' in executed
    assert took < 10
