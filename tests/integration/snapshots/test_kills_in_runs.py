"""Whole runs whose kernel or held child is killed: the run says so, and a resume ends in the true result."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from respawn_jobs.host.process_tree import children_of
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from support.lengths import quick
from support.processes import look
from support.waiting import moment, wait_for

pytestmark = pytest.mark.integration

BEGIN = "import numpy as np, time\ncount, log = 0, []\narray = np.zeros(200_000)"
STEP = "count += 1\nlog.append(count)\ntime.sleep(0.05)\narray += 1"
END = "print(count, log, array.min() == array.max() == count)"
STEPS = 8


def killer(seed: int, name: str) -> Callable[[], None]:
    """Return what kills a process of the run to come whose name begins so, at a random instant."""
    chance = random.Random(seed)
    # Servers that the session shares, and what earlier tests left to be reaped.
    others = set(children_of(os.getpid()))

    def found(name: str) -> list[int]:
        seen = [look(pid) for pid in children_of(os.getpid()) if pid not in others]
        return [one.pid for one in seen if one is not None and one.runs and one.name.startswith(name)]

    def kill() -> None:
        with suppress(AssertionError, ProcessLookupError):
            wait_for(lambda: found("held-"))
            moment(chance, 0.5)
            os.kill(chance.choice(wait_for(lambda: found(name), 2, interval=0.001)), signal.SIGKILL)

    return kill


def run(bench, kill: Callable[[], None], share: float) -> tuple[str, RunState]:
    queued = bench.queue(BEGIN, *[STEP] * STEPS, END, settings=JobSettings(checkpoint_share=share))
    thread = threading.Thread(target=kill)
    thread.start()
    detail = bench.execute(queued)
    thread.join()
    return queued, detail.run.state


def seed(number: int) -> int:
    """Return a seed, and say it: RESPAWN_SEED brings it back."""
    given = int(os.environ.get("RESPAWN_SEED") or random.SystemRandom().randrange(10**6))
    print(f"RESPAWN_SEED={given}")
    return given + number


@pytest.mark.long
@pytest.mark.parametrize("share", [0.03, 0.5])
@pytest.mark.parametrize("number", quick({0}, range(3)))
def test_a_killed_kernel_costs_the_cell_that_ran(bench, number: int, share: float) -> None:
    queued, state = run(bench, killer(seed(number), "python"), share)
    if state is RunState.SUCCEEDED:
        return  # the kill came when all was done
    detail = bench.service.show(queued)
    assert (state, detail.run.error.name) == (RunState.FAILED, "DeadKernel")
    failed = detail.run.error.cell
    cells = [checkpoint.cell for checkpoint in detail.checkpoints]
    print(failed, cells, [cell.note for cell in detail.cells])
    # A kernel that is killed while it forks leaves the state before: one cell more runs again.
    assert (cells[-1] if cells else -1) in (failed - 1, failed - 2)
    resumed = bench.resume(queued)
    assert resumed.run.state is RunState.SUCCEEDED
    assert [cell.state.value for cell in resumed.cells[: failed - 1]] == ["reused"] * max(0, failed - 1)
    assert bench.printed(resumed.run.id, STEPS + 1) == f"{STEPS} {list(range(1, STEPS + 1))} True\n"


@pytest.mark.long
@pytest.mark.parametrize("number", quick({0}, range(3)))
def test_a_killed_held_child_changes_nothing_of_the_result(bench, number: int) -> None:
    queued, state = run(bench, killer(seed(number), "held-"), 1)
    assert state is RunState.SUCCEEDED
    assert bench.printed(queued, STEPS + 1) == f"{STEPS} {list(range(1, STEPS + 1))} True\n"
