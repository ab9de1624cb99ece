"""A runner without a kernel: it plays an attempt through the runner protocol, cell by cell."""

from __future__ import annotations

import json
from typing import Any

from nbformat import NotebookNode

from respawn_jobs.api.runner_protocol import (
    Assignment,
    CellEvent,
    CheckpointCommit,
    Outcome,
    RunnerPort,
)
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.checkpoints import Checkpoint, Unstored
from respawn_jobs.model.runs import CellError, CellState, Run
from respawn_jobs.notebook.document import (
    cell_tags,
    code_cells,
    read_notebook,
    source_hash,
    without_outputs,
    write_notebook,
)
from respawn_jobs.notebook.parameterization import parameterize
from respawn_kernels.digest import digest_of
from respawn_kernels.evidence import CellEvidence


class PlayedRunner:
    """Plays one attempt of a queued run; real blobs, real events, made-up manifests."""

    def __init__(self, ledger: Ledger, run: str, *, claim: bool = True) -> None:
        self.run = run
        self.attempt, self.token = ledger.open_attempt(run, "local")
        self.port: RunnerPort = ledger.runner(self.attempt, self.token)
        self.assignment: Assignment
        self.notebook: NotebookNode
        if claim:
            self.claim()

    @classmethod
    def of(cls, port: RunnerPort, run: str) -> PlayedRunner:
        """Play an attempt that somebody else has opened, through its port."""
        made = cls.__new__(cls)
        made.port, made.run = port, run
        made.claim()
        return made

    def claim(self) -> Assignment:
        self.assignment = given = self.port.claim()
        source = read_notebook(self.port.get_blob(given.notebook).decode())
        self.notebook = parameterize(source, given.parameters, given.kernel, given.language)
        return given

    def begin(self) -> None:
        skeleton = self.put(write_notebook(without_outputs(self.notebook)))
        self.port.begin(skeleton, [self.event(i, CellState.PENDING) for i, _ in code_cells(self.notebook)])

    def event(self, index: int, state: CellState, **more: Any) -> CellEvent:
        cell = self.notebook.cells[index]
        return CellEvent(
            index=index,
            cell_id=cell.id,
            state=state,
            source_hash=source_hash(cell.source),
            tags=cell_tags(cell),
            **more,
        )

    def start(self, index: int) -> None:
        self.port.record([self.event(index, CellState.RUNNING)])

    def execute(
        self,
        index: int,
        *,
        checkpoint: bool = True,
        unstored: tuple[Unstored, ...] = (),
        evidence: CellEvidence | None = None,
    ) -> None:
        """Run a cell that prints its index; then take a checkpoint."""
        self.start(index)
        outputs = self.put(json.dumps([printed(index)]))
        ended = self.event(
            index,
            CellState.EXECUTED,
            execution_count=index + 1,
            seconds=0.5,
            outputs=outputs,
            evidence=evidence,
        )
        self.port.record([ended])
        if checkpoint:
            self.checkpoint(index, unstored)

    def checkpoint(self, index: int, unstored: tuple[Unstored, ...] = ()) -> CheckpointCommit:
        data = self.put(f"data of {self.run} at {index}")
        manifest = self.put(f"manifest of {self.run} at {index}")
        commit = CheckpointCommit(
            checkpoint=Checkpoint(
                cell=index, manifest=manifest, variables=1, size=20, unstored=list(unstored)
            ),
            blobs=[data],
        )
        self.port.commit_checkpoint(commit)
        return commit

    def fail(self, index: int, name: str = "KeyError") -> None:
        """Run a cell that raises, and finish."""
        self.start(index)
        self.port.record([self.event(index, CellState.FAILED, execution_count=index + 1, seconds=0.1)])
        error = CellError(cell=index, name=name, value="'price'", traceback="Traceback")
        self.port.finish(Outcome(state="failed", error=error))

    def succeed(self) -> None:
        self.port.finish(Outcome(state="succeeded", notebook=self.put(write_notebook(self.notebook))))

    def put(self, text: str) -> str:
        digest = digest_of(text.encode())
        self.port.put_blob(digest, text.encode())
        return digest


def printed(index: int) -> dict[str, Any]:
    """The output of a cell that printed its index."""
    return {"output_type": "stream", "name": "stdout", "text": f"cell {index}\n"}


def fail_third_cell(ledger: Ledger, run: Run) -> Run:
    """Play a queued run whose first two cells finish and whose third one raises; return the run as it was."""
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.execute(1)
    runner.fail(2)
    return run


def calls(runner: PlayedRunner):
    """Every call of the protocol but `claim`."""
    blob = digest_of(b"x")
    commit = CheckpointCommit(checkpoint=Checkpoint(cell=0, manifest=blob, variables=0, size=0), blobs=[])
    event = runner.event(0, CellState.RUNNING)
    return [
        runner.port.heartbeat,
        lambda: runner.port.record([event]),
        lambda: runner.port.begin(blob, [event]),
        lambda: runner.port.missing([blob]),
        lambda: runner.port.put_blob(blob, b"x"),
        lambda: runner.port.get_blob(runner.assignment.notebook),
        lambda: runner.port.commit_checkpoint(commit),
        lambda: runner.port.finish(Outcome(state="succeeded")),
    ]
