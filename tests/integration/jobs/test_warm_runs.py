"""Runs whose kernels are forked with their libraries imported: their state, and what a resume gives."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import KernelStart
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.processes import command_of, runs
from support.service import served
from support.waiting import wait_for
from support.warm import with_path

pytestmark = pytest.mark.integration

KERNEL = "preloaded"
CELLS = [
    "import numpy as np\nnp.random.seed(3)\nnp.set_printoptions(precision=4)\n"
    "way = open('/proc/self/cmdline').read().split(chr(0))[2]",
    "import pandas as pd\npd.options.display.precision = 3\n"
    "table = pd.DataFrame({'kind': list('abab'), 'value': np.random.random(4)})\n"
    "view = table['value'].to_numpy()",
    "1 / 0",
]
FIX = (
    "print(table.groupby('kind').value.sum(), view, np.random.random(2))\n"
    "print(np.shares_memory(view, table['value']))"
)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernelspec of an environment that lists NumPy and pandas to be preloaded."""
    directory = tmp_path / "jupyter" / "kernels" / KERNEL
    directory.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Preloaded",
        "language": "python",
        "metadata": {"respawn": {"environment": "test", "lock": "0" * 64, "preload": ["numpy", "pandas"]}},
    }
    (directory / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    yield ledger
    ledger.close()


@pytest.fixture
def execute(kernel: None, ledger: Ledger, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Execute a queued run to its end, by the one runner that has executed those before it."""
    with served(ledger, tmp_path / "data") as url:
        executor = LocalExecutor(url, max_running=1)

        def execute(run: str) -> None:
            executor.submit(*ledger.open_attempt(run, "local"))
            wait_for(lambda: not executor.living(), 120, "the end of the attempt")

        yield execute
        executor.close()


def papermills(tmp_path: Path) -> str:
    """Return what the fixed notebook prints from the top."""
    given, executed = tmp_path / "given.ipynb", tmp_path / "executed.ipynb"
    given.write_text(text(notebook(*CELLS[:2], FIX, kernel="python3")))
    papermill.execute_notebook(str(given), str(executed), progress_bar=False)
    return "".join(output["text"] for output in nbformat.read(executed, 4).cells[2].outputs)


@pytest.mark.long
def test_a_resume_into_a_warm_kernel_gives_what_papermill_gives_from_the_top(
    ledger: Ledger, execute: Callable[[str], None], tmp_path: Path
) -> None:
    ada: Service = ledger.as_actor(Actor.owner("ada"))
    settings = JobSettings(checkpoint_share=1)
    ada.promote(Promotion(name="sums", notebook=text(notebook(*CELLS, kernel=KERNEL)), settings=settings))
    for _ in range(3):  # from the third on, the zygote has long imported
        failed = ada.run(RunRequest(job="sums")).id
        execute(failed)
        detail = ada.show(failed)
        assert detail.run.error is not None
        assert (detail.run.state, detail.run.error.name) == (RunState.FAILED, "ZeroDivisionError")
        assert [(one.cell, one.unstored) for one in detail.checkpoints] == [(0, []), (1, [])]

    fixed = text(notebook(*CELLS[:2], f"{FIX}\nprint('from', way)", kernel=KERNEL))
    resumed = ada.resume(failed, ResumeRequest(notebook=fixed)).id
    execute(resumed)
    assert ada.show(resumed).run.state is RunState.SUCCEEDED
    printed = "".join(output["text"] for output in ada.outputs(resumed, 2))
    assert printed == papermills(tmp_path) + "from respawn_environments.warm.zygote\n"


@pytest.mark.long
def test_a_run_takes_the_kernel_that_has_come_up_and_an_unused_one_ends_with_its_runner(
    kernel: None, ledger: Ledger, tmp_path: Path
) -> None:
    ada: Service = ledger.as_actor(Actor.owner("ada"))
    source = "import os\nprint(os.getpid(), os.getcwd(), 'numpy' in __import__('sys').modules)"
    ada.promote(Promotion(name="where", notebook=text(notebook(source, kernel=KERNEL))))

    def printed() -> list[str]:
        run = ada.run(RunRequest(job="where")).id
        executor.submit(*ledger.open_attempt(run, "local"))
        wait_for(lambda: not executor.living(), 120, "the end of the attempt")
        return str(ada.outputs(run, 0)[0]["text"]).split()

    with served(ledger, tmp_path / "data") as url:
        executor = LocalExecutor(url, max_running=1)
        printed()
        zygote, ready = wait_for(forked, 60, "a kernel that is ready")
        pid, directory, preloaded = printed()
        assert int(pid) == ready
        assert (Path(directory).name, preloaded) == ("work", "False")
        left = [zygote, *wait_for(forked, 60, "another kernel that is ready")]
        executor.close()
    wait_for(lambda: not any(runs(pid) for pid in left), 30, "the end of zygote and kernel")


@pytest.mark.long
def test_each_run_that_is_foreseen_has_its_kernel_ready(kernel: None, ledger: Ledger, tmp_path: Path) -> None:
    ada: Service = ledger.as_actor(Actor.owner("ada"))
    ada.promote(
        Promotion(name="which", notebook=text(notebook("import os\nprint(os.getpid())", kernel=KERNEL)))
    )

    def execute(run: str) -> int:
        executor.submit(*ledger.open_attempt(run, "local"))
        wait_for(lambda: not executor.living(), 120, "the end of the attempt")
        assert ada.show(run).run.state is RunState.SUCCEEDED
        return int(str(ada.outputs(run, 0)[0]["text"]))

    with served(ledger, tmp_path / "data") as url:
        executor = LocalExecutor(url, max_running=1)
        execute(ada.run(RunRequest(job="which")).id)
        wait_for(forked, 60, "the zygote, and a kernel of the kind that was used last")
        waiting = [ada.run(RunRequest(job="which")).id for _ in range(3)]
        executor.expect(ledger.foreseen(datetime.now(UTC)))
        ready = wait_for(lambda: found if len(found := of_zygotes()) == 4 else None, 60, "three kernels")
        used = {execute(run) for run in waiting}
        assert len(used) == 3
        assert used < set(ready)
        executor.close()


@pytest.mark.long
def test_a_zygote_that_is_killed_takes_no_run_along(
    ledger: Ledger, execute: Callable[[str], None], tmp_path: Path
) -> None:
    ada: Service = ledger.as_actor(Actor.owner("ada"))
    begun, go = tmp_path / "begun", tmp_path / "go"
    waits = f"import os, time\nopen({str(begun)!r}, 'w').close()\n"
    waits += f"while not os.path.exists({str(go)!r}): time.sleep(0.05)"
    ada.promote(Promotion(name="waits", notebook=text(notebook("x = [1]", waits, "print(x)", kernel=KERNEL))))

    def started(run: str) -> KernelStart | None:
        return ada.show(run).attempts[-1].kernel_start

    def ended() -> str:
        run = ada.run(RunRequest(job="waits")).id
        execute(run)
        assert ada.show(run).run.state is RunState.SUCCEEDED
        return run

    go.touch()
    wait_for(lambda: started(ended()) == KernelStart(warm=True), 200, "a warm kernel")
    go.unlink()
    begun.unlink()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ended)
        wait_for(begun.exists, 60, "the cell")
        # The kernel and its held children came from it, and so began later.
        zygote = min(of_zygotes(), key=lambda pid: psutil.Process(pid).create_time())
        os.kill(zygote, signal.SIGKILL)
        wait_for(lambda: not runs(zygote), 30, "the end of the zygote")
        go.touch()
        run = running.result()
    assert started(run) == KernelStart(warm=True)
    assert ada.outputs(run, 2)[0]["text"] == "[1]\n"
    after = started(ended())
    assert after is not None
    # An idle runner may have found it meanwhile, as it wanted a kernel for the next attempt.
    assert after.reason in (
        "the zygote is gone",
        "no kernel like it was used here before",
        "the zygote still imports",
    )
    wait_for(lambda: started(ended()) == KernelStart(warm=True), 200, "a warm kernel of another zygote")


@pytest.mark.long
def test_runs_start_plainly_and_say_which_module_cannot_be_preloaded(
    ledger: Ledger, execute: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashes.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setenv("PYTHONPATH", with_path(tmp_path)["PYTHONPATH"])
    kernel = tmp_path / "jupyter" / "kernels" / KERNEL / "kernel.json"
    kernel.write_text(kernel.read_text().replace('"pandas"', '"crashes"'))
    ada: Service = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="adds", notebook=text(notebook("print(1 + 1)", kernel=KERNEL))))

    def started() -> str:
        run = ada.run(RunRequest(job="adds")).id
        execute(run)
        assert ada.show(run).run.state is RunState.SUCCEEDED
        assert ada.outputs(run, 0)[0]["text"] == "2\n"
        return str(ada.show(run).attempts[-1].kernel_start)

    wait_for(lambda: "the import of crashes ends the process by SIGSEGV" in started(), 200, "the reason")
    assert "the import of crashes ends the process by SIGSEGV" in started(), "it is said each time"


def of_zygotes() -> list[int]:
    """Return the zygotes of this process's runners, and the kernels that came from them."""
    return [
        child.pid
        for runner in psutil.Process().children()
        if "respawn_jobs.runner.worker" in command_of(runner)
        for child in runner.children()
        if "respawn_environments.warm.zygote" in command_of(child)
    ]


def forked() -> list[int] | None:
    """Return the zygote and the kernel that wait in a runner; None while there are not both."""
    found = of_zygotes()
    return sorted(found) if len(found) == 2 else None
