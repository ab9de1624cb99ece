"""Turns what happens to cells into events, blobs and checkpoints in the service, before the next cell starts.

So a runner that is killed loses only the cell that was running. Outputs of a running cell are sent at most
once a second, and only when they changed.

Reports are put together in the event loop, while no output changes, and delivered by one thread, in
order: a service that is slow to answer keeps nobody from stopping the kernel.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from respawn_jobs.api.runner_protocol import CellEvent, CheckpointCommit, ReusedCell, RunnerPort
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Unavailable
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.checkpoints import Checkpoint, Unchecked, Unstored
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.document import cell_tags, code_cells, source_hash, without_outputs, write_notebook
from respawn_jobs.notebook.masking import without_secrets
from respawn_jobs.notebook.normalization import cell_ids
from respawn_jobs.runner.kernel.spool import sweep
from respawn_kernels.checkpoint.manifest import Blob, Manifest
from respawn_kernels.digest import digest_of
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode

T = TypeVar("T")

Progress = Callable[[Sequence[CellEvent]], None]
"""Called with all code cells at first, then with each one that changes; in a thread of its own."""

# What the outputs of a cell may take in the store while it runs. They are sent whole each time, so the more
# there is, the rarer.
_LIVE_BYTES = 1_000_000
_LIVE_BYTES_PER_SECOND = 10_000
_LIVE_TIMES = 4
# The manifest names all; a record that people read and that each look at a run fetches names these.
_MAX_UNCHECKED = 20


class Recorder:
    """The memory of one attempt: knows the last event of each code cell and what of it is stored."""

    def __init__(
        self,
        port: RunnerPort,
        notebook: NotebookNode,
        *,
        progress: Progress | None = None,
        directory: str | None = None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know all code cells of a notebook as pending.

        Args:
            port: where events and outputs go.
            notebook: in its executed form; the run writes outputs into it.
            progress: called with all code cells at first, then with each that changes, in a thread of its
                own; None for nobody.
            directory: the attempt's own directory, to be told; None where it has none.
            clock: tells the time, in UTC.
            monotonic: returns seconds of a clock that never goes back.
        """
        self._port = port
        self._notebook = notebook
        self._progress = progress or (lambda _: None)
        self._directory = directory
        self._clock = clock
        self._changed: set[int] = set()
        self._stored: set[str] = set()
        self._live: dict[int, int] = {}
        self._monotonic = monotonic
        self._started: dict[int, float] = {}
        self._front_ends: dict[int, bytes] = {}
        self._courier = ThreadPoolExecutor(1, thread_name_prefix="respawn-recorder")
        self._uploader = ThreadPoolExecutor(1, thread_name_prefix="respawn-uploader")
        self._closed = False
        ids = cell_ids(notebook.cells)  # papermill hands over notebooks as they are
        self.events: dict[int, CellEvent] = {
            index: CellEvent(
                index=index,
                cell_id=ids[index],
                state=CellState.PENDING,
                source_hash=source_hash(cell.source),
                tags=cell_tags(cell),
            )
            for index, cell in code_cells(notebook)
        }

    async def begin(self) -> None:
        """Tell the notebook that will be executed, and its code cells."""
        events = list(self.events.values())
        skeleton = write_notebook(without_secrets(without_outputs(self._notebook))).encode(errors="replace")

        def report() -> None:
            self._port.put_blob(digest_of(skeleton), skeleton)
            self._port.begin(digest_of(skeleton), events)
            self._progress(events)

        await self._deliver(report)

    def close(self) -> None:
        """Drop what waits to be sent or stored, and do not wait for what is on its way."""
        self._closed = True
        for thread in (self._courier, self._uploader):
            thread.shutdown(wait=False, cancel_futures=True)

    async def reuse(self, cells: Sequence[ReusedCell]) -> None:
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
        await self._send(events)

    async def start(self, index: int) -> None:
        """Record that a cell starts now."""
        self._started[index] = self._monotonic()
        await self._update(index, state=CellState.RUNNING, started_at=self._clock())

    def know(self, index: int, front_end: bytes | None) -> None:
        """Keep what is known of displays and widgets after a cell, for a checkpoint that is taken there."""
        if front_end is not None:
            self._front_ends[index] = front_end

    def changed(self, index: int) -> None:
        """Note that a cell's outputs changed; `flush` sends them."""
        self._changed.add(index)

    async def flush(self, *, live: bool = True) -> None:
        """Send the outputs that changed, also those of earlier cells whose displays were updated.

        Args:
            live: keep back, for a later call, what was sent too often for its size.

        Raises:
            RespawnError: they could not be stored; the next call tries again.
        """
        changed, self._changed = self._changed, set()
        for index in sorted(changed & self.events.keys()):
            data = self._encoded_outputs(index)
            if live and data is not None and not self._may_send(index, len(data)):
                self._changed.add(index)
                continue
            try:
                outputs = await self._put(data)
                if outputs != self.events[index].outputs:
                    await self._update(index, outputs=outputs)
            except BaseException:  # a cancelled call too: what was not sent is not forgotten
                self._changed.add(index)
                raise

    async def end(
        self,
        index: int,
        state: CellState,
        note: str | None = None,
        evidence: CellEvidence | None = None,
        cost: CellCost | None = None,
    ) -> None:
        """Record that a cell ended, with all its outputs.

        Args:
            index: The cell.
            state: What became of it.
            note: What a person must know about it.
            evidence: What the kernel saw of it.
            cost: What it took of its machine.
        """
        self._changed.discard(index)
        before = self.events[index]
        now = self._clock()
        await self.flush(live=False)
        await self._update(
            index,
            state=state,
            outputs=await self._put(self._encoded_outputs(index)),
            execution_count=self._notebook.cells[index].get("execution_count"),
            finished_at=now,
            seconds=(now - before.started_at).total_seconds() if before.started_at else 0.0,
            note=_joined(self.events[index].note, note),
            evidence=evidence,
            cost=cost,
            blocked_since=None,
        )

    async def blocked(self, index: int, since: datetime | None) -> None:
        """Record since when a running cell gives no sign of life; None when it does."""
        if since != self.events[index].blocked_since:
            await self._update(index, blocked_since=since)

    async def note(self, index: int, note: str) -> None:
        """Add to a cell what a person must know about it; to the last one where it is not known."""
        index = index if index in self.events else max(self.events)
        await self._update(index, note=_joined(self.events[index].note, note))

    async def skip_rest(self) -> None:
        """Record that the cells which did not start never will."""
        rest = [index for index, event in self.events.items() if event.state is CellState.PENDING]
        for index in rest:
            self.events[index] = self.events[index].model_copy(update={"state": CellState.SKIPPED})
        await self._send([self.events[index] for index in rest])

    async def commit(self, manifest_file: Path, spool: Path) -> Checkpoint:
        """Store a checkpoint that the kernel wrote to its spool, and make it part of the run.

        Its blobs travel in a thread of their own, so that they delay no other report. Earlier
        checkpoints are then removed from the spool.

        Args:
            manifest_file: The manifest, which names the blobs.
            spool: Directory whose `blobs` hold them.
        """
        loop = asyncio.get_running_loop()
        upload = loop.run_in_executor(self._uploader, lambda: self._upload(manifest_file, spool))
        upload.add_done_callback(_heard)
        commit = await asyncio.shield(upload)
        await self._deliver(lambda: self._port.commit_checkpoint(commit))
        return commit.checkpoint

    def _upload(self, manifest_file: Path, spool: Path) -> CheckpointCommit:
        text = manifest_file.read_bytes()
        manifest = Manifest.from_json(text)
        made: dict[str, bytes] = {}
        if (known := self._front_ends.get(manifest.cell)) is not None:
            blob = Blob(digest_of(known), len(known))
            made[blob.digest] = known
            manifest = replace(manifest, front_end=blob.digest, blobs=[*manifest.blobs, blob])
            text = manifest.to_json().encode()
        digest = digest_of(text)
        made[digest] = text
        sizes = {blob.digest: blob.size for blob in manifest.blobs}
        missing = self._port.missing([*sizes, digest])
        for name in missing:
            if self._closed:
                raise Unavailable("the run ended before the checkpoint was stored")
            self._port.put_blob(name, made.get(name, spool / "blobs" / name))
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
            unchecked=[
                Unchecked(reason=reason, names=names[:_MAX_UNCHECKED], count=len(names))
                for reason, names in manifest.unchecked().items()
            ],
        )
        for index in [index for index in self._front_ends if index < manifest.cell]:
            del self._front_ends[index]
        sweep(spool, manifest.cell)
        return CheckpointCommit(
            checkpoint=checkpoint, blobs=list(sizes), hash_seed=manifest.hash_seed, directory=self._directory
        )

    def _encoded_outputs(self, index: int) -> bytes | None:
        """Return a cell's outputs as they are stored; None when there are none."""
        outputs: list[Any] = self._notebook.cells[index].get("outputs") or []
        return json.dumps(outputs, ensure_ascii=False).encode(errors="replace") if outputs else None

    def _may_send(self, index: int, size: int) -> bool:
        """Return whether a running cell's outputs of this many bytes may be stored again, and count them."""
        seconds = self._monotonic() - self._started.get(index, self._monotonic())
        sent = self._live.get(index, 0) + size
        if sent > max(_LIVE_TIMES * size, _LIVE_BYTES + _LIVE_BYTES_PER_SECOND * seconds):
            return False
        self._live[index] = sent
        return True

    async def _put(self, data: bytes | None) -> str | None:
        """Store outputs as a blob and return its digest."""
        if data is None:
            return None
        digest = digest_of(data)
        if digest not in self._stored:
            await self._deliver(lambda: self._port.put_blob(digest, data))
            self._stored.add(digest)
        return digest

    async def _update(self, index: int, **changes: Any) -> None:
        self.events[index] = self.events[index].model_copy(update=changes)
        await self._send([self.events[index]])

    async def _send(self, events: Sequence[CellEvent]) -> None:
        if not events:
            return

        def report() -> None:
            self._port.record(list(events))
            self._progress(events)

        await self._deliver(report)

    async def _deliver(self, call: Callable[[], T]) -> T:
        """Make a call in the courier's thread, after those before it. It is made even if nobody waits."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._courier, call))


def _heard(upload: asyncio.Future[CheckpointCommit]) -> None:
    """Let asyncio log nothing of an upload that failed when nobody waited for it any more."""
    if not upload.cancelled():
        upload.exception()


def _joined(before: str | None, note: str | None) -> str | None:
    """Return two notes as one."""
    return "; ".join(part for part in (before, note) if part) or None
