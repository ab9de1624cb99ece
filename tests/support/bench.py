"""Runs with real kernels, driven in this process over an embedded ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import CellEvent
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.api.versions import RUN_ANYHOW
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunDetail
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.runner.attempt import execute_attempt
from support.notebooks import notebook, text


@dataclass
class Bench:
    """An embedded store, its owner, and what they do with it."""

    ledger: Ledger
    service: Service
    directory: Path

    def queue(
        self,
        *cells: str,
        settings: JobSettings | None = None,
        values: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """Promote a notebook of these cells and queue a run of it; returns the run."""
        nb = notebook(*cells, **more)
        promotion = Promotion(
            name="report",
            notebook=text(nb),
            directory=str(self.directory),
            settings=settings,
            agreed=list(RUN_ANYHOW),  # many notebooks take turns under one name
        )
        version = self.service.promote(promotion)
        return self.service.run(RunRequest(job=version.job, parameters=values or {})).id

    def execute(self, run: str, progress: Callable[[Sequence[CellEvent]], None] | None = None) -> RunDetail:
        """Execute a queued run here, to its end."""
        execute_attempt(self.ledger.runner(*self.ledger.open_attempt(run, "test")), progress=progress)
        return self.service.show(run)

    def run(self, *cells: str, **more: Any) -> RunDetail:
        """Queue and execute."""
        return self.execute(self.queue(*cells, **more))

    def resume(self, run: str, fixed: NotebookNode | None = None, **agreed: Any) -> RunDetail:
        """Resume a run, with a fixed notebook or its own, and execute that."""
        request = ResumeRequest(notebook=text(fixed) if fixed else None, **agreed)
        return self.execute(self.service.resume(run, request).id)

    def printed(self, run: str, cell: int) -> str:
        """What a cell wrote to its streams."""
        outputs = self.service.outputs(run, cell)
        return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


@contextmanager
def opened(root: Path) -> Iterator[Bench]:
    """Open a store in an empty directory, with another one beside it to work in."""
    ledger = Ledger.embedded(root / "data")
    directory = root / "work"
    directory.mkdir()
    yield Bench(ledger, ledger.as_actor(Actor.owner("ada")), directory)
    ledger.close()
