"""Runner processes of the local executor, against the service over HTTP."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import PREEMPTED
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import ForeseenRun, KernelStart, WantedKernel
from respawn_jobs.model.runs import CellState, RunDetail, RunState
from respawn_jobs.model.settings import JobSettings
from support.notebooks import notebook, text
from support.processes import command_of
from support.service import served
from support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(tmp_path / "data")
    yield ledger
    ledger.close()


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    return ledger.as_actor(Actor.owner("ada"))


@pytest.fixture
def executor(ledger: Ledger, tmp_path: Path) -> Iterator[LocalExecutor]:
    with served(ledger, tmp_path / "data") as url:
        executor = LocalExecutor(url, max_running=2)
        yield executor
        executor.close()


def submit(ledger: Ledger, ada: Service, executor: LocalExecutor, *cells: str) -> tuple[str, str]:
    version = ada.promote(
        Promotion(
            name="report",
            notebook=text(notebook(*cells)),
            settings=JobSettings(checkpoint_share=1),
        )
    )
    run = ada.run(RunRequest(job=version.job)).id
    attempt, token = ledger.open_attempt(run, "local")
    executor.submit(attempt, token)
    return run, attempt


def runners() -> list[psutil.Process]:
    """The executor's processes; servers that the session shares are children of this one too."""
    return [p for p in psutil.Process().children() if "respawn_jobs.runner.worker" in command_of(p)]


def test_as_many_runners_wait_as_runs_are_foreseen_and_have_places(executor: LocalExecutor) -> None:
    executor.expect([ForeseenRun("user/ada", WantedKernel("python3"))] * 5)
    executor.probe()
    assert len(runners()) == 2


def test_jobs_see_no_keys_of_the_service_but_those_it_passes_on(
    ledger, ada, executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ("RESPAWN_COOKIE_SECRET", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "FSSPEC_S3_SECRET")
    for name in (
        *ours,
        "AZURE_CLIENT_SECRET",
        "GOOGLE_API_KEY",
        "SMTP_PASSWORD",
        "DATABASE_URL",
        "UNHEARD_OF",
    ):
        monkeypatch.setenv(name, "secret-value")
    monkeypatch.setenv("AWS_REGION", "eu-1")
    monkeypatch.setenv("RESPAWN_PASS_TO_JOBS", "AWS_REGION")
    shows = "import os\nprint('secret-value' in os.environ.values(), os.environ['AWS_REGION'])"
    parents = "print(b'secret-value' in open(f'/proc/{os.getppid()}/environ', 'rb').read())"
    run, _ = submit(ledger, ada, executor, f"{shows}\n{parents}")
    wait_for(lambda: ada.show(run).run.state.final, 60, "the end of the run")
    assert ada.outputs(run, 0)[0]["text"] == "False eu-1\nFalse\n"


def test_a_submitted_attempt_is_executed_over_http(ledger, ada, executor) -> None:
    run, attempt = submit(ledger, ada, executor, "x = 20", "print(x + 1)")
    assert executor.living() == {attempt}
    wait_for(lambda: ada.show(run).run.state.final, 60, "the end of the run")
    detail = ada.show(run)
    assert detail.run.state is RunState.SUCCEEDED
    assert [checkpoint.cell for checkpoint in detail.checkpoints] == [0]
    assert ada.outputs(run, 1)[0]["text"] == "21\n"
    wait_for(lambda: not executor.living(), 30, "the runner to be through")
    assert executor.probe() == []


@pytest.mark.long
def test_a_runner_takes_the_next_attempt_and_knows_nothing_of_the_one_before(ledger, ada, executor) -> None:
    shows = "import os\nprint(os.getppid(), 'left' in globals(), os.getcwd().endswith('elsewhere'))"
    leaves = "left = 1; os.makedirs('elsewhere'); os.chdir('elsewhere')"
    first, _ = submit(ledger, ada, executor, shows, leaves)
    wait_for(lambda: ada.show(first).run.state.final and not executor.living(), 60, "the end of the first")
    second, _ = submit(ledger, ada, executor, shows)
    wait_for(lambda: ada.show(second).run.state.final and not executor.living(), 60, "the end of the second")
    assert ada.outputs(first, 0)[0]["text"] == ada.outputs(second, 0)[0]["text"]
    assert ada.outputs(second, 0)[0]["text"].split()[1:] == ["False", "False"]


@pytest.mark.long
def test_later_kernels_come_from_a_zygote_and_keep_their_state(ledger, ada, executor) -> None:
    shows = "import os\nprint(open('/proc/self/cmdline').read().split(chr(0))[2])"
    cells = (shows, "import random\nrandom.seed(7)\nx = [random.random()]", "1 / 0")

    def failed() -> RunDetail:
        run, _ = submit(ledger, ada, executor, *cells)
        wait_for(lambda: ada.show(run).run.state.final and not executor.living(), 60, "the end of the run")
        return ada.show(run)

    def came_from(detail: RunDetail) -> str:
        return str(ada.outputs(detail.run.id, 0)[0]["text"]).strip()

    def warm() -> RunDetail | None:
        detail = failed()
        return detail if came_from(detail) == "respawn_environments.warm.zygote" else None

    first = failed()
    assert came_from(first) == "ipykernel_launcher"
    later = wait_for(warm, 120, "a run whose kernel a zygote forked")
    assert first.attempts[-1].kernel_start == KernelStart.plain("no kernel like it was used here before")
    assert later.attempts[-1].kernel_start == KernelStart(warm=True)
    assert later.run.state is RunState.FAILED
    assert [one.cell for one in later.checkpoints] == [one.cell for one in first.checkpoints] == [0, 1]
    kept = [(one.variables, one.unstored) for one in (first.checkpoints[-1], later.checkpoints[-1])]
    assert kept[0] == kept[1]


@pytest.mark.long
def test_whoever_waits_for_a_place_is_told_when_one_is_free(ledger, ada, tmp_path: Path) -> None:
    freed = threading.Event()
    with served(ledger, tmp_path / "data") as url:
        executor = LocalExecutor(url, max_running=1, freed=freed.set)
        try:
            submit(ledger, ada, executor, "1")
            assert freed.wait(60)
            assert executor.living() == set()
        finally:
            executor.close()


@pytest.mark.long
def test_an_attempt_has_its_runner_although_none_can_be_made_ready_for_the_next(
    ledger, ada, executor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = subprocess.Popen

    def once(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(subprocess, "Popen", refuse)
        return start(*arguments, **options)

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", once)
    run, _ = submit(ledger, ada, executor, "x = 1")
    monkeypatch.setattr(subprocess, "Popen", start)
    assert "no runner could be made ready for the next attempt" in caplog.text
    wait_for(lambda: ada.show(run).run.state.final, 60, "the end of the run")
    assert ada.show(run).run.state is RunState.SUCCEEDED


@pytest.mark.long
def test_a_runner_that_is_cancelled_is_killed_even_when_it_was_stopped(ledger, ada, executor) -> None:
    _, attempt = submit(ledger, ada, executor, "import time; time.sleep(100)")
    wait_for(lambda: [p for p in runners() if p.children()], 60, "the kernel")
    (runner,) = [p for p in runners() if p.children()]
    runner.suspend()
    executor.cancel(attempt)
    assert wait_for(executor.probe, 10, "the dead runner") == [(attempt, "the runner was ended by SIGKILL")]
    assert executor.living() == set()


def test_a_killed_runner_is_found_and_takes_its_kernel_along(ledger, ada, executor) -> None:
    run, attempt = submit(ledger, ada, executor, "x = 1", "import time; time.sleep(100)")
    wait_for(lambda: CellState.RUNNING in [cell.state for cell in ada.show(run).cells[1:]], 60, "the cell")
    (runner,) = [p for p in runners() if p.children()]
    (kernel,) = runner.children()
    runner.send_signal(signal.SIGKILL)
    (found,) = wait_for(executor.probe, 10, "the dead runner")
    assert found == (attempt, "the runner was ended by SIGKILL")
    assert executor.probe() == []
    wait_for(
        lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE, 5, "the kernel's end"
    )


@pytest.mark.long
def test_close_ends_every_runner_and_hands_its_run_on(ledger, ada, executor) -> None:
    run, _ = submit(ledger, ada, executor, "import time; time.sleep(100)")
    wait_for(lambda: CellState.RUNNING in [cell.state for cell in ada.show(run).cells], 60, "the cell")
    processes = [p for runner in runners() for p in (runner, *runner.children(recursive=True))]
    executor.close()
    assert executor.living() == set()
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    requeued = ada.show(run)
    assert (requeued.run.state, requeued.attempts[0].error.name) == (RunState.QUEUED, PREEMPTED)
