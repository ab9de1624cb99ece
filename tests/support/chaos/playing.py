"""A runner without a kernel, in a process of its own: it plays one attempt over HTTP, and may be killed.

It claims, begins, and records cell by cell with small pauses; it keeps checkpoints and an artifact, beats and
stops as a runner does. Cells do what their comment says: `# flaky 0.2` fails with that chance, `# slow` takes
longer, `# keeps` saves an artifact. What chance decides follows from the seed, the run, the try and the cell.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from respawn_jobs.api.runner_protocol import (
    ArtifactCommit,
    Assignment,
    CellEvent,
    CheckpointCommit,
    Outcome,
    ResumeFrom,
)
from respawn_jobs.blobs.artifact_parts import sealed
from respawn_jobs.clock import lease_clock
from respawn_jobs.errors import Fenced, RespawnError
from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellError, CellState
from respawn_jobs.notebook.document import (
    TAG_ONCE,
    cell_tags,
    code_cells,
    read_notebook,
    source_hash,
    without_outputs,
    write_notebook,
)
from respawn_jobs.notebook.parameterization import parameterize
from respawn_jobs.remote.client import RemoteRunner
from respawn_jobs.runner.cancellation import Heartbeat, Stop, Stopper
from respawn_kernels.digest import digest_of
from support.chaos.journal import Journal
from support.chaos.simulated import SimulatedClock

_FLAKY = re.compile(r"# flaky ([0-9.]+)")
_DEATHS = ("ValueError", "ValueError", "DeadKernel", "RunTimeout")
_CONSTANT = b"the same for every run"


@dataclass(frozen=True)
class Orders:
    """What a runner gets at its start."""

    url: str
    attempt: str
    token: str
    journal: Path
    clock: SimulatedClock
    seed: int


def play(orders: Orders) -> int:
    """Play an attempt; return the exit status: 0 when its end was reported, or it was fenced."""
    rate = orders.clock.rate
    port = RemoteRunner(
        orders.url, orders.attempt, orders.token, timeout=10.0, monotonic=lambda: lease_clock() * rate
    )
    journal = Journal(orders.journal)
    stopper = Stopper()
    signal.signal(
        signal.SIGTERM, lambda *_: stopper.request(Stop("lost", "RunnerLost", "the runner was asked to end"))
    )
    try:
        given = port.claim()
    except RespawnError as error:
        journal.note("unclaimed", attempt=orders.attempt, why=error.message)
        return 1
    journal.note("start", attempt=given.attempt, run=given.run, job=given.job, pid=os.getpid())
    heartbeat = Heartbeat(port, given.lease_seconds / rate, stopper)
    heartbeat.start()
    try:
        return _Play(orders, port, journal, stopper, given).run()
    except Fenced as error:
        journal.note("fenced", attempt=given.attempt, run=given.run, why=error.message)
        return 0
    except RespawnError as error:
        journal.note("gave up", attempt=given.attempt, run=given.run, why=error.message)
        return 1
    finally:
        # Not `close`, which would wait for a beat that is under way: the process ends now.
        heartbeat._ended.set()


class _Broke(Exception):
    """A cell raised, or the kernel died of it."""

    def __init__(self, index: int, name: str) -> None:
        super().__init__(name)
        self.index, self.name = index, name


class _Stopped(Exception):
    """There is a reason to stop."""


class _Play:
    """One attempt."""

    def __init__(
        self, orders: Orders, port: RemoteRunner, journal: Journal, stopper: Stopper, given: Assignment
    ) -> None:
        self.orders, self.port, self.journal, self.stopper, self.given = orders, port, journal, stopper, given
        source = read_notebook(self.get(given.notebook).decode())
        self.notebook = parameterize(source, given.parameters, given.kernel, given.language)
        self.saves = max((artifact.number for artifact in given.artifacts), default=0)

    def run(self) -> int:
        """Play all cells and say how it ended."""
        [skeleton] = self.put(write_notebook(without_outputs(self.notebook)).encode())
        cells = code_cells(self.notebook)
        self.port.begin(skeleton, [self.event(index, CellState.PENDING) for index, _ in cells])
        if self.given.resume:
            self.take_up(self.given.resume)
        outcome = Outcome(state="succeeded")
        try:
            for index in self.todo():
                self.execute(index)
        except _Broke as broke:
            self.port.record([self.event(broke.index, CellState.FAILED, execution_count=1, seconds=0.1)])
            error = CellError(cell=broke.index, name=broke.name, value="by chance", traceback="Traceback")
            outcome = Outcome(state="timed_out" if broke.name == "RunTimeout" else "failed", error=error)
        except _Stopped:
            reason = self.stopper.reason
            assert reason is not None
            if reason.fenced:
                raise Fenced(reason.value) from None
            outcome = Outcome(
                state=reason.state, error=CellError(cell=None, name=reason.name, value=reason.value)
            )
        sends_notebook = random.Random(f"{self.orders.seed} {self.given.attempt}").random() < 0.5
        if outcome.state == "succeeded" and sends_notebook:  # else the service puts the notebook together
            text = write_notebook(self.notebook).encode()
            outcome = outcome.model_copy(update={"notebook": self.put(text)[0]})
        mine = {"attempt": self.given.attempt, "run": self.given.run}
        self.journal.note("end", **mine)
        self.port.finish(outcome)
        self.journal.note("committed", state=outcome.state, **mine)
        return 0

    def todo(self) -> list[int]:
        """Return the cells that execute."""
        first, rerun = (self.given.resume.first, self.given.resume.rerun) if self.given.resume else (0, [])
        return [*rerun, *(index for index, _ in code_cells(self.notebook) if index >= first)]

    def take_up(self, resume: ResumeFrom) -> None:
        """Fetch the state that is gone on from, verified, and take over what was put out."""
        for digest in filter(None, [resume.manifest, *resume.blobs]):
            self.get(digest)
        events = [
            self.event(
                cell.index, CellState.REUSED, outputs=cell.outputs,
                execution_count=cell.execution_count, seconds=cell.seconds,
            )
            for cell in resume.reused
        ]  # fmt: skip
        if events:
            self.port.record(events)

    def execute(self, index: int) -> None:
        """Play a cell: what a `respawn:once` cell does to the world is a line in the journal."""
        cell = self.notebook.cells[index]
        self.stop_if_asked()
        self.port.record([self.event(index, CellState.RUNNING)])
        chance = random.Random(f"{self.orders.seed} {self.given.run} {self.given.number} {index}")
        self.work(chance.uniform(0.3, 0.6) if "# slow" in cell.source else chance.uniform(0.0, 0.06))
        once = TAG_ONCE in cell_tags(cell)
        effect = {"run": self.given.run, "cell": index, "attempt": self.given.attempt}
        if once:
            self.stop_if_asked()
            self.journal.note("effect", **effect)
        flaky = _FLAKY.search(cell.source)
        if flaky and chance.random() < float(flaky[1]):
            raise _Broke(index, chance.choice(_DEATHS))
        if "# keeps" in cell.source:
            self.keep(index)
        [outputs] = self.put(
            json.dumps([{"output_type": "stream", "name": "stdout", "text": f"cell {index}\n"}]).encode()
        )
        done = self.event(index, CellState.EXECUTED, execution_count=1, seconds=0.5, outputs=outputs)
        self.port.record([done])
        if once:
            self.journal.note("effect recorded", **effect)
        if once or chance.random() < 0.4:
            self.checkpoint(index)

    def work(self, seconds: float) -> None:
        """Pass the time of a cell, unless there is a reason to stop."""
        left = lease_clock() + seconds
        while (rest := left - lease_clock()) > 0:
            self.stop_if_asked()
            signal.sigtimedwait([], min(rest, 0.05))

    def stop_if_asked(self) -> None:
        """Raise when there is a reason to stop."""
        if self.stopper.reason is not None:
            raise _Stopped

    def checkpoint(self, index: int) -> None:
        """Keep a state: a blob of this cell's own, and one that every run names."""
        state = f"state of {self.given.run} after {index}".encode()
        manifest, own, common = self.put(b"manifest of " + state, state, _CONSTANT)
        kept = Checkpoint(cell=index, manifest=manifest, variables=1, size=40)
        self.port.commit_checkpoint(CheckpointCommit(checkpoint=kept, blobs=[own, common]))

    def keep(self, index: int) -> None:
        """Save an artifact."""
        self.saves += 1
        data = json.dumps({"rows": self.saves}).encode()
        [part] = self.put(sealed(self.given.run, data))
        artifact = Artifact(
            name="result", number=self.saves, kind="json", type="dict", file="result.json", size=len(data),
            saved_at=self.orders.clock(), cell=index, parts=[ArtifactPart(digest=part, size=len(data))],
        )  # fmt: skip
        self.port.commit_artifact(ArtifactCommit(artifact=artifact))

    def put(self, *blobs: bytes) -> list[str]:
        """Store what is not stored, as a runner does, and return the digests."""
        named = {digest_of(blob): blob for blob in blobs}
        for digest in self.port.missing(list(named)):
            self.port.put_blob(digest, named[digest])
        return list(named)

    def get(self, digest: str) -> bytes:
        """Fetch a blob and verify it."""
        data = self.port.get_blob(digest)
        if digest_of(data) != digest:
            raise AssertionError(f"the service sent other bytes for {digest}")
        return data

    def event(self, index: int, state: CellState, **more: Any) -> CellEvent:
        """Return what is recorded of a cell."""
        cell: NotebookNode = self.notebook.cells[index]
        return CellEvent(
            index=index, cell_id=cell.id, state=state, source_hash=source_hash(cell.source),
            tags=cell_tags(cell), **more,
        )  # fmt: skip
