"""What a run of a notebook does and keeps, with real kernels."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from respawn_jobs.api.runner_protocol import CellEvent
from respawn_jobs.model.runs import CellState, RunDetail, RunState
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.notebook.document import read_notebook
from respawn_jobs.runner.checkpoint_policy import DEFAULT_SHARE

pytestmark = pytest.mark.integration


def states(detail: RunDetail) -> list[str]:
    return [cell.state.value for cell in detail.cells]


def test_a_run_keeps_outputs_counts_and_the_executed_notebook(bench) -> None:
    detail = bench.run("md:# Report", "x = 20\nprint('hello')", "x + 1")
    assert (detail.run.state, states(detail)) == (RunState.SUCCEEDED, ["executed", "executed"])
    assert bench.printed(detail.run.id, 1) == "hello\n"
    nb = read_notebook(bench.service.notebook(detail.run.id))
    assert [cell.get("execution_count") for cell in nb.cells] == [None, 1, 2]
    assert nb.cells[2].outputs[0].data["text/plain"] == "21"
    assert nb.metadata.language_info.name == "python"
    assert nb.cells[2].metadata.papermill.status == "completed"


def test_parameters_reach_the_notebook_as_papermill_injects_them(bench) -> None:
    run = bench.queue("n: int = 1", "print(n * 2)", tags={0: ["parameters"]}, values={"n": 21})
    detail = bench.execute(run)
    assert states(detail) == ["executed"] * 3
    assert bench.printed(run, 2) == "42\n"


def test_a_failing_cell_ends_the_run_with_the_state_before_it_kept(bench) -> None:
    detail = bench.run("x = 1", "y = (i for i in 'ab')", "raise KeyError('price')", "print(x)")
    assert detail.run.state is RunState.FAILED
    assert states(detail) == ["executed", "executed", "failed", "skipped"]
    error = detail.run.error
    assert (error.cell, error.name, error.value) == (2, "KeyError", "'price'")
    assert "price" in error.traceback
    *_, kept = detail.checkpoints  # on a machine that takes seconds for it one may come before
    assert (kept.cell, [(item.name, item.type, item.cell) for item in kept.unstored]) == (
        1,
        [("y", "generator", 1)],
    )


def test_an_exception_that_a_cell_is_tagged_to_raise_does_not_end_the_run(bench) -> None:
    detail = bench.run("1/0", "print('on')", tags={0: ["raises-exception"]})
    assert (detail.run.state, states(detail)) == (RunState.SUCCEEDED, ["executed", "executed"])


def test_a_cell_that_shows_an_error_and_goes_on_fails_the_run_at_its_end(bench) -> None:
    (bench.directory / "script.py").write_text("1/0\n")
    detail = bench.run("x = 1", "%run script.py", "print('after', x)")
    assert (detail.run.state, detail.run.error.name) == (RunState.FAILED, "ZeroDivisionError")
    assert bench.printed(detail.run.id, 2) == "after 1\n"


@pytest.mark.long
def test_a_clean_exit_ends_the_run_as_a_success(bench) -> None:
    detail = bench.run("x = 1", "import sys; sys.exit(0)", "x")
    assert (detail.run.state, states(detail)) == (RunState.SUCCEEDED, ["executed", "executed", "skipped"])


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), pytest.param(signal.SIGRTMIN + 1, "SIGRTMIN+1", id="one for which Python has no name")],
)
def test_a_kernel_that_dies_fails_the_run_and_says_how(bench, number: int, name: str) -> None:
    detail = bench.run("x = 1", f"import os; os.kill(os.getpid(), {number})", "x")
    assert (detail.run.state, states(detail)) == (RunState.FAILED, ["executed", "failed", "skipped"])
    assert (detail.run.error.name, detail.run.error.cell) == ("DeadKernel", 1)
    assert f"was ended by {name}" in detail.run.error.value


def test_a_cell_that_takes_too_long_times_out(bench) -> None:
    settings = JobSettings(cell_timeout_seconds=1)
    detail = bench.run("print('before', flush=True); import time; time.sleep(60)", settings=settings)
    assert detail.run.state is RunState.TIMED_OUT
    assert (detail.run.error.name, detail.run.error.cell) == ("CellTimeout", 0)
    assert bench.printed(detail.run.id, 0) == "before\n"


@pytest.mark.long
def test_a_run_that_takes_too_long_times_out_even_when_it_ignores_interrupts(bench) -> None:
    stubborn = "import time, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    detail = bench.run("x = 1", stubborn, settings=JobSettings(timeout_seconds=2))
    assert detail.run.state is RunState.TIMED_OUT
    assert (detail.run.error.name, detail.run.error.cell) == ("RunTimeout", 1)
    assert states(detail) == ["executed", "failed"]


def test_cancelling_interrupts_the_running_cell(bench) -> None:
    run = bench.queue("import time\nprint('here', flush=True)\ntime.sleep(60)", "print('never')")
    running = threading.Event()

    def progress(events: Sequence[CellEvent]) -> None:
        if any(event.state is CellState.RUNNING for event in events):
            running.set()

    def cancel() -> None:
        running.wait(60)
        bench.service.cancel(run)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    detail = bench.execute(run, progress)
    canceller.join()
    assert (detail.run.state, states(detail)) == (RunState.CANCELLED, ["failed", "skipped"])


@pytest.mark.long
def test_outputs_of_a_running_cell_can_be_seen(bench) -> None:
    run = bench.queue("import time\nfor i in range(6):\n    print(i, flush=True); time.sleep(0.5)")
    seen: list[str] = []

    def progress(events: Sequence[CellEvent]) -> None:
        seen.extend(bench.printed(run, 0) for event in events if event.outputs and event.finished_at is None)

    bench.execute(run, progress)
    assert seen
    assert seen[0].startswith("0\n")
    assert "5" not in seen[0]


def test_a_short_run_that_succeeds_stores_nothing(bench) -> None:
    detail = bench.run("x = bytearray(b'.' * 150_000_000)", *["x[0] += 1"] * 30)
    assert detail.run.state is RunState.SUCCEEDED
    took = (detail.run.finished_at - detail.run.started_at).total_seconds()
    paid_for = took * DEFAULT_SHARE / (150e6 / 400e6)  # none, but on a machine that takes twelve seconds
    assert len(detail.checkpoints) <= int(paid_for)


def test_a_cell_may_ask_for_no_checkpoint(bench) -> None:
    detail = bench.run("x = 1", "y = 2", "1/0", tags={1: ["respawn:no-checkpoint"]})
    assert [checkpoint.cell for checkpoint in detail.checkpoints] == [0]
    assert "respawn:no-checkpoint" in detail.cells[1].note


def test_no_token_of_the_hub_reaches_the_kernel(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    hubs = (
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
        "JPY_API_TOKEN",
        "CONFIGPROXY_AUTH_TOKEN",
    )
    for name in (*hubs, "RESPAWN_TOKEN", "RESPAWN_DATA", "RESPAWN_COOKIE_SECRET"):
        monkeypatch.setenv(name, "secret-value")
    monkeypatch.setenv("MY_SETTING", "kept")
    detail = bench.run("import os\nprint('secret-value' in os.environ.values(), os.environ['MY_SETTING'])")
    assert bench.printed(detail.run.id, 0) == "False kept\n"


def test_a_person_has_their_own_keys_in_runs_of_their_own(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    detail = bench.run("import os\nprint(os.environ['AWS_ACCESS_KEY_ID'])")
    assert bench.printed(detail.run.id, 0) == "mine\n"


@pytest.mark.long
def test_an_endless_printer_is_cut_in_the_record_and_in_the_notebook(bench) -> None:
    detail = bench.run("for _ in range(30): print('x' * 1_000_000)", "print('on')")
    text = bench.printed(detail.run.id, 0)
    assert len(text) < 20_001_000
    assert text.count("output cut by Respawn") == 1
    assert len(bench.service.notebook(detail.run.id)) < 21_000_000
    assert bench.printed(detail.run.id, 1) == "on\n"


@pytest.mark.long
def test_a_huge_error_is_cut_in_the_record_and_whole_in_the_notebook(bench) -> None:
    detail = bench.run("raise ValueError('x' * 1_000_000)")
    error = detail.run.error
    assert len(error.value) < 4_200
    assert "characters cut" in error.value
    assert len(error.traceback) < 200_200
    assert "x" * 1_000_000 in bench.service.notebook(detail.run.id)


@pytest.mark.long
def test_the_spool_holds_no_more_than_the_last_checkpoint(bench) -> None:
    agent = "from respawn_kernels.agent import requests as agent"
    begin = f"import numpy as np\n{agent}\nkept = np.random.rand(100_000)"
    fill = ["a = np.random.rand(1_000_000)"] * 3
    end = "print(sum(path.stat().st_size > 500_000 for path in (agent._spool / 'blobs').iterdir()))"
    detail = bench.run(begin, *fill, end, settings=JobSettings(checkpoint_share=1))
    assert bench.printed(detail.run.id, 4) == "3\n", "`kept`, and two chunks of `a`"


def test_the_notebook_runs_where_it_lay(bench) -> None:
    (bench.directory / "input.csv").write_text("price\n3\n")
    detail = bench.run("print(open('input.csv').read())")
    assert bench.printed(detail.run.id, 0) == "price\n3\n\n"


ECHO = """
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

class Echo(Kernel):
    implementation = "echo"
    implementation_version = language_version = "1"
    language = "echo"
    language_info = {"name": "echo", "mimetype": "text/plain", "file_extension": ".txt"}
    banner = "Echo"

    async def do_execute(self, code, silent, *args, **kwargs):
        if not silent:
            self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": code})
        return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}

IPKernelApp.launch_instance(kernel_class=Echo)
"""


PORT_TAKEN_AT_FIRST = """
import json, pathlib, socket, sys
from ipykernel.kernelapp import launch_new_instance

started = pathlib.Path(__file__).with_name("started")
if not started.exists():
    started.touch()
    port = json.loads(pathlib.Path(sys.argv[2]).read_text())["stdin_port"]
    taken = socket.create_server(("127.0.0.1", port))
launch_new_instance()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Make a kernel of a name, a language and the source of its program known to Jupyter."""

    def install(name: str, language: str, source: str) -> None:
        spec = tmp_path / "jupyter" / "kernels" / name
        spec.mkdir(parents=True)
        (spec / "program.py").write_text(source)
        argv = [sys.executable, str(spec / "program.py"), "-f", "{connection_file}"]
        document = {"argv": argv, "display_name": name, "language": language}
        (spec / "kernel.json").write_text(json.dumps(document))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    return install


@pytest.mark.long
def test_a_kernel_of_another_language_runs_without_snapshots_and_says_so(bench, installed) -> None:
    installed("echo", "echo", ECHO)
    detail = bench.run("one", "two", kernel="echo")
    assert (detail.run.state, bench.printed(detail.run.id, 1)) == (RunState.SUCCEEDED, "two")
    assert detail.checkpoints == []
    assert "no snapshots" in detail.cells[0].note


@pytest.mark.long
def test_a_port_that_another_process_took_meanwhile_costs_no_run(bench, installed) -> None:
    installed("unlucky", "python", PORT_TAKEN_AT_FIRST)
    detail = bench.run("print('ran')", kernel="unlucky")
    assert (detail.run.state, bench.printed(detail.run.id, 0)) == (RunState.SUCCEEDED, "ran\n")
