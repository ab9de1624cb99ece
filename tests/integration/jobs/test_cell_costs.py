"""What the record of a cell says of its cost, with real kernels; and cells that give no sign of life."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from respawn_jobs.api.runner_protocol import CellEvent
from respawn_jobs.ledger.attempts import runner_port
from respawn_jobs.model.runs import CellState, RunState
from respawn_jobs.model.settings import Cause, JobSettings

pytestmark = pytest.mark.integration
BURNS = "import time\nbegan = time.process_time()\nwhile time.process_time() < began + 0.6: pass"
TAKES = "block = bytearray(200_000_000)\nblock[::4096] = b'x' * len(block[::4096])\ndel block"
FILES = """
from pathlib import Path
Path("large").write_bytes(b"x" * 20_000_000)
read = len(Path("large").read_bytes())
Path("large").unlink()
"""
CHILD = f'import subprocess, sys\nsubprocess.run([sys.executable, "-c", {BURNS!r}], check=True)'
LEFT = f"""
import os, subprocess, sys
from pathlib import Path
open("burns.py", "w").write({BURNS!r} + "\\nopen('done', 'w').close()\\ntime.sleep(5)\\n")
subprocess.run(f"{{sys.executable}} burns.py &", shell=True, check=True)
while not Path("done").exists(): pass
"""
KEEPS = "block = bytearray(200_000_000)\nblock[::4096] = b'x' * len(block[::4096])"
REWRITES = "block[::4096] = b'y' * len(block[::4096])\nimport time; time.sleep(1)"


def test_the_record_of_a_cell_says_what_it_took(bench) -> None:
    detail = bench.run("x = 1", BURNS, TAKES, FILES, CHILD, "y = 2")
    assert detail.run.state is RunState.SUCCEEDED
    quiet, burns, takes, files, child, last = (cell.cost for cell in detail.cells)
    assert quiet.cpu_seconds < 0.3
    assert 0.55 < burns.cpu_seconds < 1.5
    assert 0.55 < child.cpu_seconds < 2.0
    assert 190e6 < takes.memory_bytes - quiet.memory_bytes < 260e6
    assert abs(last.memory_bytes - quiet.memory_bytes) < 60e6
    assert files.read_bytes >= 20_000_000
    assert 20_000_000 <= files.written_bytes < 21_000_000
    assert max(quiet.written_bytes, burns.written_bytes, last.written_bytes) < 100_000
    assert {cell.cost.memory_measure for cell in detail.cells} == {"pss"}


def test_what_a_shell_leaves_in_the_background_counts(bench) -> None:
    detail = bench.run(LEFT)
    assert detail.run.state is RunState.SUCCEEDED, detail.run.error
    [cell] = detail.cells
    assert cell.cost.cpu_seconds > 0.55 + 0.5  # the loop that waits for it burns as much


@pytest.mark.long
def test_the_held_child_and_its_saving_do_not_count(bench) -> None:
    settings = JobSettings(checkpoint_share=1)  # the child saves each state
    detail = bench.run(KEEPS, REWRITES, "block = None", "1", settings=settings)
    assert detail.run.state is RunState.SUCCEEDED
    assert len(detail.checkpoints) == 3
    keeps, rewrites, drops, _ = (cell.cost for cell in detail.cells)
    # Of what it wrote anew the held child has the old pages, and those that are shared are the kernel's.
    assert abs(rewrites.memory_bytes - keeps.memory_bytes) < 60e6
    assert abs(drops.memory_bytes - keeps.memory_bytes) < 60e6
    assert rewrites.cpu_seconds < 0.6
    assert max(cell.cost.written_bytes for cell in detail.cells) < 1_000_000


@pytest.mark.long
def test_reused_cells_keep_what_they_took(bench) -> None:
    failed = bench.run(BURNS, "fail")
    resumed = bench.resume(failed.run.id)
    assert resumed.cells[0].state is CellState.REUSED
    assert resumed.cells[0].cost == failed.cells[0].cost is not None


def test_a_service_that_knows_no_costs_is_told_none(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_port, "SERVICE_CAN", ())
    told: list[CellEvent] = []
    detail = bench.execute(bench.queue("x = 1"), told.extend)
    assert detail.run.state is RunState.SUCCEEDED
    assert detail.cells[0].cost is None
    fields = {name for event in told for name in event.model_dump(mode="json")}
    assert not fields & {"cost", "blocked_since"}


# Signs of life


@pytest.fixture
def trickle() -> Iterator[int]:
    """The port of a server that sends a few bytes a second."""
    ended = threading.Event()

    def send() -> None:
        there, _ = server.accept()
        with there:
            while not ended.wait(0.3):
                with suppress(ConnectionError):  # the notebook has enough
                    there.sendall(b"x" * 10)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=send)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        thread.join()


def seen_blocked(bench, *cells: str, settings: JobSettings) -> tuple[set[int], RunState]:
    """Execute cells; return those that were blocked while they ran, and how the run ended.

    One that reads from `go` goes on when it was seen to be blocked.
    """
    blocked: set[int] = set()
    go = bench.directory / "go"
    os.mkfifo(go)

    def progress(events: Sequence[CellEvent]) -> None:
        for event in events:
            if event.blocked_since is not None:
                assert event.state is CellState.RUNNING
                assert event.started_at <= event.blocked_since
                if not blocked:
                    go.write_text("on")
                blocked.add(event.index)

    detail = bench.execute(bench.queue(*cells, settings=settings), progress)
    assert not any(cell.blocked_since for cell in detail.cells)
    return blocked, detail.run.state


@pytest.mark.long
def test_a_cell_that_waits_is_blocked_and_others_are_not(bench, trickle: int) -> None:
    cells = (
        "import time\nopen('go').read()",
        "end = time.monotonic() + 3\nwhile time.monotonic() < end: pass",
        "for _ in range(6):\n    print('so far', flush=True); time.sleep(0.5)",
        "import socket\ndown = socket.create_connection(('127.0.0.1', PORT))\ngot = 0\n"
        "while got < 100: got += len(down.recv(100))".replace("PORT", str(trickle)),
        "for _ in range(6):\n    open('log', 'a').write('x' * 5000); time.sleep(0.5)",
    )
    blocked, state = seen_blocked(bench, *cells, settings=JobSettings(blocked_after_seconds=1.5))
    assert state is RunState.SUCCEEDED
    assert blocked == {0}


@pytest.mark.long
def test_a_cell_on_a_connection_that_hangs_is_ended_by_its_blocked_timeout(bench) -> None:
    hangs = "import socket\na, b = socket.socketpair()\nprint('so far', flush=True)\na.recv(1)"
    settings = JobSettings(blocked_timeout_seconds=2)
    detail = bench.run("x = 1", hangs, "x", settings=settings)
    assert detail.run.state is RunState.TIMED_OUT
    assert detail.attempts[-1].cause is Cause.TIMEOUT
    assert (detail.run.error.name, detail.run.error.cell) == ("CellBlocked", 1)
    seen = r"the cell gave no sign of life for \d+ seconds: since 20[^a-z]+ UTC it used 0\.0\d s of CPU, "
    assert re.fullmatch(f"{seen}read and wrote nothing and put nothing out", detail.run.error.value)
    assert bench.printed(detail.run.id, 1) == "so far\n"
    assert [checkpoint.cell for checkpoint in detail.checkpoints] == [0]


@pytest.mark.long
def test_a_cell_of_a_killed_kernel_keeps_what_was_seen_of_it(bench) -> None:
    dies = f"{BURNS}\n{KEEPS}\ntime.sleep(2)\nimport os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    detail = bench.run(dies)
    assert detail.run.error.name == "DeadKernel"
    [cell] = detail.cells
    assert cell.cost.cpu_seconds > 0.55
    assert cell.cost.memory_bytes > 200e6
