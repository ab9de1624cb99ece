"""Whatever ends attempts, and whoever tries again: a cell tagged `respawn:once` begins once."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from respawn_jobs.api.runner_protocol import PREEMPTED, Outcome
from respawn_jobs.errors import Conflict
from respawn_jobs.model.runs import CellError, RunState
from respawn_jobs.model.settings import RETRIED, RetryPolicy
from support.runners import PlayedRunner

CELLS = 5
ENDINGS = (
    "KeyError",
    "DeadKernel",
    "CellTimeout",
    "RestoreFailed",
    PREEMPTED,
    "requeued",
    "killed",
    "unclaimed",
)
SEEDS = range(10)


class Life:
    """A run, and those that go on from it, through attempts that end by chance."""

    def __init__(self, seed: int, queue: Any, ledger: Any, ada: Any) -> None:
        self.chance = random.Random(seed)
        self.ledger, self.ada = ledger, ada
        self.begun: Counter[int] = Counter()
        self.once = set(self.chance.sample(range(CELLS), 2))
        self.always = {cell for cell in range(CELLS) if self.chance.random() < 0.15}
        tags = {
            cell: [
                tag
                for tag, cells in (("respawn:once", self.once), ("respawn:always", self.always))
                if cell in cells
            ]
            for cell in range(CELLS)
        }
        retries = {
            cause: RetryPolicy(
                attempts=self.chance.randint(1, 4), delay_seconds=0, resume=self.chance.random() < 0.7
            )
            for cause in RETRIED
        }
        cells = ["v0 = 1", *(f"v{cell} = v{cell - 1}" for cell in range(1, CELLS))]
        self.run = queue(*cells, tags=tags, retries=retries).id

    def play(self) -> None:
        """Live to the end, then press Retry until that is refused."""
        for _ in range(60):
            run = self.ada.show(self.run).run
            if run.state is RunState.SUCCEEDED:
                return
            if run.state.final:
                try:
                    self.run = self.ada.retry(self.run).id
                except Conflict:
                    return
            self.attempt()

    def attempt(self) -> None:
        """Play one attempt: its cells, up to one at which it ends by chance."""
        how = self.chance.choice(ENDINGS)
        runner = PlayedRunner(self.ledger, self.run, claim=how != "unclaimed")
        if how == "unclaimed":
            self.ledger.lose(runner.attempt, "no runner claimed it")
            return
        if self.chance.random() < 0.1:
            self.end(runner, how, None)
            return
        runner.begin()
        start = runner.assignment.resume
        restored = start.first if start else 0
        again = [cell for cell in range(restored) if cell in self.always]
        for cell in [*again, *(start.rerun if start else []), *range(restored, CELLS)]:
            if self.chance.random() < 0.15:
                self.end(runner, how, cell)
                return
            self.begun[cell] += 1
            if cell in again:  # made again on a restore, without a trace in the records
                continue
            runner.start(cell)
            if self.chance.random() < 0.3:
                self.end(runner, how, cell)
                return
            runner.execute(cell, checkpoint=self.chance.random() < 0.6)
        runner.succeed()

    def end(self, runner: PlayedRunner, how: str, cell: int | None) -> None:
        """End an attempt."""
        if how == "requeued":
            self.ledger.requeue(runner.attempt, "the service stopped")
        elif how == "killed":
            self.ledger.lose(runner.attempt, "killed by signal 9")
        else:
            state: Any = {PREEMPTED: "lost", "CellTimeout": "timed_out"}.get(how, "failed")
            runner.port.finish(Outcome(state=state, error=CellError(cell=cell, name=how, value="by chance")))


def test_a_once_cell_never_begins_twice(queue, ledger, ada):
    for seed in SEEDS:
        life = Life(seed, queue, ledger, ada)
        life.play()
        assert all(life.begun[cell] <= 1 for cell in life.once), f"seed {seed}: {life.begun} of {life.once}"
        assert ada.show(life.run).run.state.final, f"seed {seed}"
