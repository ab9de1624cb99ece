"""A run over its limit ends alone: its neighbour, the service and its own record are unharmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import CellState, RunDetail, RunState
from respawn_jobs.model.settings import Cause, JobSettings
from support.notebooks import notebook, printed_by, text
from support.postgres import Postgres, postgres
from support.processes import command_of
from support.service import served
from support.waiting import wait_for

__all__ = ["postgres"]
pytestmark = [pytest.mark.integration, pytest.mark.long]

MIB = 1 << 20
STATE = (
    "import random\nrandom.seed(7)\nnumbers = [random.random() for _ in range(100_000)]\ntotal = sum(numbers)"
)
AFTER = "print(done, len(numbers), sum(numbers) == total)"
OFFENDERS = {
    "memory": (
        "taken = []\nfor _ in range(60):\n    taken.append(bytearray(b'x' * (8 << 20)))\ndone = len(taken)",
        JobSettings(memory_limit_bytes=300 * MIB),
        ("OutOfMemory", Cause.OUT_OF_MEMORY),
    ),
    "processes": (
        "import os, time\nfor _ in range(1000):\n    if os.fork() == 0:\n        os.setsid()\n"
        "        time.sleep(3600)\n        os._exit(0)\ndone = 1000",
        JobSettings(process_limit=40),
        ("ProcessLimitExceeded", Cause.PROCESS_LIMIT),
    ),
    "disk": (
        "import time\nfor number in range(100):\n    with open(f'part-{number}', 'wb') as file:\n"
        "        file.write(b'x' * (4 << 20))\n    time.sleep(0.05)\ndone = 100",
        JobSettings(disk_limit_bytes=60 * MIB),
        ("DiskLimitExceeded", Cause.DISK_LIMIT),
    ),
}
"""What a cell does without end (bounded, so that a limit that does not hold harms nobody), and its limit."""


@pytest.fixture
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger on the kind of database that the test is called with."""
    cluster: Postgres | None = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
    url = cluster.prepared() if cluster else None
    ledger = Ledger.embedded(tmp_path / "data", db_url=url)
    yield ledger
    ledger.close()
    if cluster is not None and url is not None:
        cluster.drop(url)


@pytest.fixture
def execute(ledger: Ledger, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Give a queued run to the executor of two places."""
    with served(ledger, tmp_path / "data") as url:
        executor = LocalExecutor(url, max_running=2)
        yield lambda run: executor.submit(*ledger.open_attempt(run, "local"))
        assert executor.probe() == [], "no runner has died"
        executor.close()


@pytest.mark.parametrize(
    ("what", "ledger"),
    [
        *((what, "sqlite") for what in OFFENDERS),
        *(pytest.param(what, "postgresql", marks=pytest.mark.slow) for what in OFFENDERS),
    ],
    indirect=["ledger"],
)
def test_a_run_over_its_limit_harms_nobody(
    what: str, ledger: Ledger, execute: Callable[[str], None], tmp_path: Path
) -> None:
    ada: Service = ledger.as_actor(Actor.owner("ada"))
    source, settings, (name, cause) = OFFENDERS[what]
    go = tmp_path / "go"
    waits = f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.05)\ndone = 'waited'"

    def begun(job: str, *cells: str, settings: JobSettings | None = None) -> str:
        ada.promote(Promotion(name=job, notebook=text(notebook(*cells)), settings=settings))
        run = ada.run(RunRequest(job=job)).id
        execute(run)
        return run

    def ended(run: str) -> RunDetail:
        wait_for(lambda: ada.show(run).run.state.final, 200, f"the end of {run}")
        return ada.show(run)

    neighbour = begun("neighbour", STATE, waits, AFTER)
    wait_for(
        lambda: CellState.RUNNING in [cell.state for cell in ada.show(neighbour).cells[1:]],
        100,
        "the neighbour",
    )
    offender = begun("offender", STATE, "kept = {'same': numbers}", source, AFTER, settings=settings)

    failed = ended(offender)
    assert failed.run.error is not None
    assert (failed.run.state, failed.run.error.name, failed.run.error.cell) == (RunState.FAILED, name, 2)
    assert failed.attempts[-1].cause is cause
    states = [cell.state for cell in failed.cells]
    assert states == [CellState.EXECUTED, CellState.EXECUTED, CellState.FAILED, CellState.SKIPPED]
    assert failed.cells[1].checkpoint is not None, "its state before the cell is kept"
    assert source.partition("\n")[0] in ada.notebook(offender)
    assert not [one for one in psutil.process_iter() if offender in command_of(one)]

    assert ada.show(neighbour).run.state is RunState.RUNNING
    go.touch()
    assert ended(neighbour).run.state is RunState.SUCCEEDED
    assert printed_by({"outputs": ada.outputs(neighbour, 2)}) == "waited 100000 True\n"

    if what == "memory":
        resumed = ada.resume(offender, ResumeRequest(memory_bytes=1200 * MIB)).id
        execute(resumed)
        assert ended(resumed).run.state is RunState.SUCCEEDED
        assert [cell.state for cell in ada.show(resumed).cells[:2]] == [CellState.REUSED] * 2
        assert printed_by({"outputs": ada.outputs(resumed, 3)}) == "60 100000 True\n"
    assert ended(begun("next", "x = 1")).run.state is RunState.SUCCEEDED
