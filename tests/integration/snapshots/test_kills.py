"""Processes killed with -9 at random instants: what is left restores as the state after one cell."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.checkpoint.manifest import Manifest
from support.holding import HELD, problems
from support.namespaces import restore
from support.processes import held_and_writers, runs
from support.waiting import moment, wait_for

pytestmark = pytest.mark.integration

KILLS = {"kernel": 4, "held child": 3, "writer": 3, "runner": 3}
LONG_KILLS = {"kernel": 90, "held child": 40, "writer": 30, "runner": 40}
_CELLS = 60
_LATEST = 12
"""The last boundary that is waited for before a process is killed; the first kills may come before any."""


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Give this process its signal handlers back: restored states ignore most signals."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process with everything imported, that forks runners and kernels."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "support.holding"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


class Scene:
    """One runner with its kernel, and what becomes of them."""

    def __init__(self, nursery: subprocess.Popen[str], spool: Path, seed: int) -> None:
        self.spool = spool
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        nursery.stdin.write(json.dumps({"spool": str(spool), "seed": seed, "cells": _CELLS}) + "\n")
        nursery.stdin.flush()
        assert nursery.stdout.readline() == "started\n"
        self.runner, self.kernel = (wait_for(lambda f=file: self._pid(f)) for file in ("runner", "kernel"))

    def _pid(self, file: str) -> int:
        with suppress(OSError, ValueError):
            return int((self.spool / file).read_text())
        return 0

    def reach(self, boundary: int) -> None:
        """Wait until the kernel was at a boundary, however slow the machine is."""
        wait_for(lambda: self.witness()[0] >= boundary, 60, f"boundary {boundary}", interval=0.001)

    def complete(self) -> list[int]:
        """Return the cells whose checkpoints are there."""
        return sorted(int(file.stem) for file in (self.spool / "manifests").glob("*.json"))

    def kill(self, whom: str, chance: random.Random) -> None:
        """Kill one process; when it is a child of the kernel, the kernel afterwards, as a cell may."""
        if whom in ("kernel", "runner"):
            os.kill(self.kernel if whom == "kernel" else self.runner, signal.SIGKILL)
            return
        with suppress(AssertionError, ProcessLookupError):
            found = wait_for(
                lambda: held_and_writers(self.spool)[whom == "writer"], 0.3, whom, interval=0.001
            )
            os.kill(chance.choice(found), signal.SIGKILL)
        moment(chance, 0.02)
        os.kill(self.kernel, signal.SIGKILL)

    def over(self) -> bool:
        """Whether nothing runs any more."""
        return held_and_writers(self.spool) == ([], []) and not runs(self.runner) and not runs(self.kernel)

    def witness(self) -> tuple[int, int]:
        """The last boundary reached, and the last that a child was there for."""
        reached, held = HELD.unpack((self.spool / "witness").read_bytes())
        return reached, held

    def restorable(self) -> list[int]:
        """Return the cells whose checkpoints are there, having restored the last two and looked at them."""
        cells = self.complete()
        for cell in cells[-2:]:
            manifest = Manifest.from_json((self.spool / "manifests" / f"{cell}.json").read_bytes())
            assert (manifest.cell, manifest.mode) == (cell, "fork")
            namespace, report = restore(manifest, self.spool)
            assert (manifest.unstored, report.failed) == ([], [])
            assert problems(namespace, cell) == [], f"the checkpoint after cell {cell} is not its state"
        return cells


@pytest.mark.parametrize(
    ("whom", "kills"),
    [*KILLS.items(), *(pytest.param(*one, marks=pytest.mark.slow) for one in LONG_KILLS.items())],
)
def test_what_a_kill_leaves_restores_as_the_state_after_one_cell(
    whom: str, kills: int, nursery, tmp_path: Path
) -> None:
    seed = int(os.environ.get("RESPAWN_SEED") or random.SystemRandom().randrange(10**6))
    print(f"RESPAWN_SEED={seed}")
    chance = random.Random(seed)
    fresh = complete = 0
    with adopting():
        for number in range(kills):
            spool = tmp_path / str(number)
            scene = Scene(nursery, spool, chance.randrange(10**6))
            if number == kills - 1:  # which cells are stored is chance, and a killed runner leaves no others
                wait_for(scene.complete, 60, "a complete checkpoint", interval=0.001)
            scene.reach(chance.randrange(-1, _LATEST))
            moment(chance, 0.01)
            with suppress(ProcessLookupError):  # all cells were run
                scene.kill(whom, chance)
            wait_for(scene.over, 20, f"the end of everything after the kill of a {whom}, number {number}")
            end_all(spool)
            reached, held = scene.witness()
            cells = scene.restorable()
            assert not cells or cells[-1] <= reached, "nothing is from the future"
            if whom == "kernel" and held >= 0:
                assert cells
                assert cells[-1] in (held, reached), "the state before the cell that was killed"
            fresh += bool(cells) and cells[-1] in (held, reached)
            complete += bool(cells)
    print(f"{whom}: of {kills} kills {fresh} left the last state, {complete} a checkpoint")
    assert complete > 0
