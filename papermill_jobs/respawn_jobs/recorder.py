"""Turns what happens to cells into events, blobs and checkpoints in the service, before the next cell starts.

So a runner that is killed loses only the cell that was running. Outputs of a running cell are sent at most
once a second, and only when they changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.models import CellState, Checkpoint, Unstored
from respawn_jobs.notebooks import cell_tags, code_cells, source_hash, without_outputs, write_notebook
from respawn_jobs.protocol import CellEvent, CheckpointCommit, ReusedCell, RunnerPort
from respawn_kernels.digest import digest_of
from respawn_kernels.manifest import Manifest

if TYPE_CHECKING:
    from nbformat import NotebookNode

Progress = Callable[[Sequence[CellEvent]], None]
"""Is told all code cells at first, then each one that changes."""


class Recorder:
    """The memory of one attempt: knows the last event of each code cell and what of it is stored."""

    def __init__(
        self,
        port: RunnerPort,
        notebook: NotebookNode,
        *,
        progress: Progress | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._port = port
        self._notebook = notebook
        self._progress = progress or (lambda _: None)
        self._clock = clock
        self._changed: set[int] = set()
        self._stored: set[str] = set()
        self.events: dict[int, CellEvent] = {
            index: CellEvent(
                index=index,
                cell_id=cell.id,
                state=CellState.PENDING,
                source_hash=source_hash(cell.source),
                tags=cell_tags(cell),
            )
            for index, cell in code_cells(notebook)
        }

    def begin(self) -> None:
        """Tell the notebook that will be executed, and its code cells."""
        events = list(self.events.values())
        skeleton = write_notebook(without_outputs(self._notebook)).encode()
        self._port.put_blob(digest_of(skeleton), skeleton)
        self._port.begin(digest_of(skeleton), events)
        self._progress(events)

    def reuse(self, cells: Sequence[ReusedCell]) -> None:
        """Record cells that keep the outputs of the run that is resumed."""
        events = []
        for cell in cells:
            if cell.index in self.events:
                self.events[cell.index] = self.events[cell.index].model_copy(
                    update={
                        "state": CellState.REUSED,
                        "outputs": cell.outputs,
                        "execution_count": cell.execution_count,
                        "seconds": cell.seconds,
                    }
                )
                events.append(self.events[cell.index])
        self._send(events)

    def start(self, index: int) -> None:
        """Record that a cell starts now."""
        self._update(index, state=CellState.RUNNING, started_at=self._clock())

    def changed(self, index: int) -> None:
        """Note that a cell's outputs changed; `flush` sends them."""
        self._changed.add(index)

    def flush(self) -> None:
        """Send the outputs that changed, also those of earlier cells whose displays were updated."""
        changed, self._changed = self._changed, set()
        for index in sorted(changed & self.events.keys()):
            outputs = self._put_outputs(index)
            if outputs != self.events[index].outputs:
                self._update(index, outputs=outputs)

    def end(self, index: int, state: CellState, note: str | None = None) -> None:
        """Record that a cell ended, with all its outputs.

        Args:
            index: The cell.
            state: What became of it.
            note: What a person must know about it.
        """
        self._changed.discard(index)
        self.flush()
        before = self.events[index]
        now = self._clock()
        self._update(
            index,
            state=state,
            outputs=self._put_outputs(index),
            execution_count=self._notebook.cells[index].get("execution_count"),
            finished_at=now,
            seconds=(now - before.started_at).total_seconds() if before.started_at else 0.0,
            note=note,
        )

    def note(self, index: int, note: str) -> None:
        """Add to a cell what a person must know about it."""
        self._update(index, note=note)

    def skip_rest(self) -> None:
        """Record that the cells which did not start never will."""
        rest = [index for index, event in self.events.items() if event.state is CellState.PENDING]
        for index in rest:
            self.events[index] = self.events[index].model_copy(update={"state": CellState.SKIPPED})
        self._send([self.events[index] for index in rest])

    def commit(self, manifest_file: Path, spool: Path) -> Checkpoint:
        """Store a checkpoint that the kernel wrote to its spool, and make it part of the run.

        Args:
            manifest_file: The manifest, which names the blobs.
            spool: Directory whose `blobs` hold them.
        """
        text = manifest_file.read_bytes()
        manifest, digest = Manifest.from_json(text), digest_of(text)
        sizes = {blob.digest: blob.size for blob in manifest.blobs}
        missing = self._port.missing([*sizes, digest])
        for name in missing:
            self._port.put_blob(name, text if name == digest else spool / "blobs" / name)
        checkpoint = Checkpoint(
            cell=manifest.cell,
            manifest=digest,
            variables=len(manifest.variables),
            size=sum(sizes.values()),
            new_bytes=sum(sizes.get(name, 0) for name in missing),
            seconds=manifest.seconds,
            unstored=[
                Unstored(name=item.name, type=item.type, reason=item.reason, cell=item.cell)
                for item in manifest.unstored
            ],
        )
        self._port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=list(sizes)))
        return checkpoint

    def _put_outputs(self, index: int) -> str | None:
        """Store a cell's outputs as a blob; None when there are none."""
        outputs: list[Any] = self._notebook.cells[index].get("outputs") or []
        if not outputs:
            return None
        data = json.dumps(outputs, ensure_ascii=False).encode(errors="surrogatepass")
        digest = digest_of(data)
        if digest not in self._stored:
            self._port.put_blob(digest, data)
            self._stored.add(digest)
        return digest

    def _update(self, index: int, **changes: Any) -> None:
        self.events[index] = self.events[index].model_copy(update=changes)
        self._send([self.events[index]])

    def _send(self, events: Sequence[CellEvent]) -> None:
        if events:
            self._port.record(list(events))
            self._progress(events)
