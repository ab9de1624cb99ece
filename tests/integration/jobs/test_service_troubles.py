"""A run while its service, its store or its output file gives trouble, with real kernels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respawn_jobs.api.runner_protocol import RunnerPort
from respawn_jobs.errors import Corrupt, Unavailable
from respawn_jobs.model.runs import RunDetail, RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.runner.attempt import execute_attempt
from support.lengths import quick
from support.waiting import meanwhile

pytestmark = pytest.mark.integration


class Troubled:
    """A port whose calls of one name are answered by something else."""

    def __init__(self, port: RunnerPort, **instead: Callable[..., Any]) -> None:
        self._port = port
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead.get(name) or getattr(self._port, name)


def refuse(error: Exception) -> Callable[..., Any]:
    def call(*_: Any) -> None:
        raise error

    return call


def execute(bench, run: str, *, output: Path | None = None, **instead: Callable[..., Any]) -> RunDetail:
    port = bench.ledger.runner(*bench.ledger.open_attempt(run, "test"))
    execute_attempt(Troubled(port, **instead), output=output)
    return bench.service.show(run)


@pytest.mark.parametrize("error", quick({0}, [Unavailable("the store is away"), Corrupt("not what it says")]))
def test_a_checkpoint_that_cannot_be_stored_is_noted_and_the_run_goes_on(bench, error: Exception) -> None:
    run = bench.queue("x = 1", "print(x)", settings=JobSettings(checkpoint_share=1))
    detail = execute(bench, run, missing=refuse(error))
    assert detail.run.state is RunState.SUCCEEDED
    assert detail.cells[0].note == f"no checkpoint: {error}"


def test_the_end_is_told_when_the_notebook_cannot_be_stored(bench) -> None:
    run = bench.queue("x = 1", "print(x)")
    port = bench.ledger.runner(*bench.ledger.open_attempt(run, "test"))

    def put_blob(digest: str, source: bytes | Path) -> None:
        if isinstance(source, bytes) and b'"end_time": "' in source:
            raise Unavailable("the store is away")
        port.put_blob(digest, source)

    execute_attempt(Troubled(port, put_blob=put_blob))
    detail = bench.service.show(run)
    assert detail.run.state is RunState.SUCCEEDED
    assert "print(x)" in bench.service.notebook(run)


def test_the_end_is_told_when_the_output_file_cannot_be_written(bench, tmp_path: Path, caplog) -> None:
    output = tmp_path / "out" / "x.ipynb"
    output.parent.mkdir()
    run = bench.queue(f"import shutil; shutil.rmtree({str(output.parent)!r})", "print(2)")
    detail = execute(bench, run, output=output)
    assert (detail.run.state, bench.printed(run, 1)) == (RunState.SUCCEEDED, "2\n")
    assert caplog.text.count("cannot be written") == 1


SURROGATE = """
import json
from IPython.display import display
get_ipython().kernel.session.pack = lambda document: json.dumps(document, default=str).encode()
display({"text/plain": "x\\ud800"}, raw=True)
raise ValueError("y\\ud800")
"""


def test_the_end_is_told_when_outputs_hold_what_utf_8_cannot_write(bench, tmp_path: Path) -> None:
    run = bench.queue(SURROGATE)
    detail = execute(bench, run, output=tmp_path / "x.ipynb")
    assert (detail.run.state, detail.run.error.value) == (RunState.FAILED, "y?")
    assert "x?" in bench.service.notebook(run)


@pytest.mark.long
def test_a_stalled_upload_does_not_delay_the_time_limit(bench) -> None:
    source = (
        "import time\nfor i in range(120):\n    open('ticks', 'a').write('x'); print(i); time.sleep(0.25)"
    )
    run = bench.queue(source, settings=JobSettings(timeout_seconds=4))
    port = bench.ledger.runner(*bench.ledger.open_attempt(run, "test"))
    stalled, go_on = threading.Event(), threading.Event()

    def put_blob(digest: str, data: bytes | Path) -> None:
        if isinstance(data, bytes) and b'"stdout"' in data and not stalled.is_set():
            stalled.set()
            go_on.wait(15)
        port.put_blob(digest, data)

    def let_go() -> None:
        # The stall ends once the kernel was interrupted, which shows in that it counts no further.
        ticks = bench.directory / "ticks"
        before = -1
        stalled.wait(30)
        for _ in meanwhile(14, 1.0):
            size = ticks.stat().st_size if ticks.exists() else 0
            if size == before:
                break
            before = size
        interrupted.append(before)
        go_on.set()

    interrupted: list[int] = []
    watcher = threading.Thread(target=let_go)
    watcher.start()
    execute_attempt(Troubled(port, put_blob=put_blob))
    watcher.join()
    detail = bench.service.show(run)
    assert (detail.run.state, detail.run.error.name) == (RunState.TIMED_OUT, "RunTimeout")
    assert interrupted[0] <= 4 / 0.25 + 8


@pytest.mark.long
def test_outputs_that_could_not_be_sent_once_are_sent_later(bench) -> None:
    run = bench.queue("import time\nfor i in range(5):\n    print(i, flush=True); time.sleep(0.6)")
    port = bench.ledger.runner(*bench.ledger.open_attempt(run, "test"))
    refused: list[int] = []

    def put_blob(digest: str, data: bytes | Path) -> None:
        if isinstance(data, bytes) and b'"stdout"' in data and not refused:
            refused.append(1)
            raise Unavailable("away")
        port.put_blob(digest, data)

    execute_attempt(Troubled(port, put_blob=put_blob))
    assert bench.service.show(run).run.state is RunState.SUCCEEDED
    assert (refused, bench.printed(run, 0)) == ([1], "0\n1\n2\n3\n4\n")


@pytest.mark.long
def test_being_fenced_ends_the_kernel_while_an_upload_is_stalled(bench) -> None:
    run = bench.queue("import os\nopen('pid', 'w').write(str(os.getpid()))\nprint(1)", "x = 2", "print(3)")
    attempt, token = bench.ledger.open_attempt(run, "test")
    port = bench.ledger.runner(attempt, token)
    go_on = threading.Event()

    def put_blob(digest: str, data: bytes | Path) -> None:
        if isinstance(data, bytes) and b'"stdout"' in data:
            bench.ledger.lose(attempt, "its machine is gone")
            go_on.wait(60)
        port.put_blob(digest, data)

    outcome = execute_attempt(Troubled(port, put_blob=put_blob))
    go_on.set()
    assert (outcome.state, bench.service.show(run).run.state) == ("lost", RunState.LOST)
    assert not Path("/proc", (bench.directory / "pid").read_text()).exists()
