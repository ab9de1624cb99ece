"""Several processes on one store, some of them killed: nothing is doubled, nothing is half there."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.ledger import Ledger
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

SCHEDULER = """
import sys
from pathlib import Path
from respawn_jobs.ledger import Ledger
ledger = Ledger.embedded(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for run in ledger.queue_due():
    print(run, flush=True)
"""

WRITER = """
import sys
from pathlib import Path
from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.api.service import RunRequest
ada = Ledger.embedded(Path(sys.argv[1])).as_actor(Actor.owner("ada"))
while True:
    print(ada.run(RunRequest(job="report")).id, flush=True)
"""


def start(code: str, data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, str(data)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with one job."""
    ledger = Ledger.embedded(tmp_path / "data")
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    ledger.close()
    return tmp_path / "data"


@pytest.mark.long
def test_schedulers_in_many_processes_make_one_run_per_due_time_although_one_is_killed(data):
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1, minutes=1)
    ledger = Ledger.embedded(data, clock=lambda: an_hour_ago)
    ada = ledger.as_actor(Actor.owner("ada"))
    cron, schedules = f"{an_hour_ago.minute} * * * *", set()
    for number in range(15):
        version = ada.promote(Promotion(name=f"report-{number}", notebook=text(notebook("a = 1"))))
        schedules.add(ada.schedule(ScheduleRequest(job=version.job, cron=cron, tz="UTC")).id)

    started = [start(SCHEDULER, data) for _ in range(3)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    started[0].kill()
    for process in started:
        process.communicate(timeout=60)
    last = Ledger.embedded(data)
    last.queue_due()
    last.close()

    runs = [run for run in ada.runs(limit=500) if run.schedule in schedules]
    assert len(runs) == 15
    assert {run.schedule for run in runs} == schedules
    ledger.close()


def test_a_killed_writer_leaves_every_run_with_its_audit_record(data):
    process = start(WRITER, data)
    told = [process.stdout.readline().strip() for _ in range(5)]
    process.kill()
    rest, _ = process.communicate(timeout=60)
    told += [line for line in rest.split("\n")[:-1] if line]

    ledger = Ledger.embedded(data)
    ada = ledger.as_actor(Actor.owner("ada"))
    runs = {run.id for run in ada.runs(limit=10000)}
    assert set(told) <= runs
    assert ledger.verify_audit() == 1 + len(runs)
    assert {record.subject for record in ada.audit(10000)} == {"user/ada/report", *runs}
    ledger.close()
