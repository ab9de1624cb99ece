"""Taking up a run that stopped: what it had put out, the variables, and what only a rerun can make again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat import from_dict as _untyped_from_dict

from respawn_jobs.api.runner_protocol import ResumeFrom, RunnerPort
from respawn_jobs.host.workspace import Workspace
from respawn_jobs.model.runs import CellState
from respawn_jobs.notebook.document import TAG_ALWAYS, cell_tags
from respawn_jobs.resume.unrestored import UnloadedVariable, problems
from respawn_jobs.runner.cancellable_wait import CancellableWait
from respawn_jobs.runner.kernel.agent_client import KernelLink, LinkError
from respawn_jobs.runner.kernel.front_end import FrontEnd
from respawn_jobs.runner.recorder import Recorder
from respawn_kernels.cell_code.array_resizes import resizes
from respawn_kernels.evidence import CellEvidence
from respawn_kernels.hash_seed import difference

if TYPE_CHECKING:
    from papermill.engines import NotebookExecutionManager


class RestoreFailed(Exception):
    """The state could not be brought back, or not so that the remaining cells can run."""


class FailedAgain(Exception):
    """A cell that was rerun to make its variables again failed."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(index)
        self.index = index
        self.error = error


@dataclass
class Resumption:
    """Brings a new kernel to where the run that is resumed stopped."""

    resume: ResumeFrom
    port: RunnerPort
    nb_man: NotebookExecutionManager
    workspace: Workspace
    recorder: Recorder
    waits: CancellableWait
    link: KernelLink | None
    no_snapshots: str
    execute: Callable[[NotebookNode, int], Awaitable[Any]]
    """Executes a cell, until it is stopped or takes too long, without a trace in the notebook's counters."""

    async def run(self) -> int:
        """Do it; return the first cell that executes.

        Raises:
            RestoreFailed: with what is missing, and the fix.
            FailedAgain: a cell tagged `respawn:always` failed.
            Stopped: there is a reason to stop.
        """
        resume, nb = self.resume, self.nb_man.nb
        await self._reuse()
        always = [
            (index, cell)
            for index, cell in enumerate(nb.cells[: resume.first])
            if cell.cell_type == "code"
            and index not in resume.rerun
            and (TAG_ALWAYS in cell_tags(cell) or index in resume.again)
        ]
        lost = await self._restore(producers=[str(cell.source) for _, cell in always])
        for index, cell in always:
            await self._make_again(index, cell)
        if always:
            # The cells made what could not be stored; what else they changed gets back the value it had.
            lost = await self._restore(again=True)
        lost = [item for item in lost if item.name not in resume.stale]
        if messages := problems(nb, resume.first, lost, resume.rerun):
            raise RestoreFailed("; ".join(messages))
        if (hashes := self._hashes_differ()) is not None:
            await self.waits.delivered(self.recorder.note(resume.first, hashes))
        if resume.warnings:
            await self.waits.delivered(self.recorder.note(resume.first, "; ".join(resume.warnings)))
        if lost:
            note = f"not restored: {'; '.join(map(str, lost))}"
            await self.waits.delivered(self.recorder.note(resume.first, note))
        await self._forget()
        return resume.first

    async def front_end(self) -> FrontEnd | None:
        """Return what was known of displays and widgets where the state was kept."""
        if self.resume.manifest is None or not self.resume.reused:
            return None
        (manifest,) = (self.workspace.directory("restore") / "manifests").iterdir()
        digest = json.loads(manifest.read_bytes()).get("front_end")
        if digest is None:
            return None
        try:
            return FrontEnd.from_json((self.workspace.directory("restore") / "blobs" / digest).read_bytes())
        except (OSError, ValueError) as error:
            note = f"displays and widgets of reused cells cannot be updated: {error}"
            await self.waits.delivered(self.recorder.note(self.resume.first, note))
            return None

    async def _forget(self) -> None:
        """Remove what is not as the notebook makes it now, so that nothing can read it before it is made."""
        if not self.resume.stale or self.resume.manifest is None:
            return
        if self.link is None:
            raise RestoreFailed(self.no_snapshots)
        try:
            await self.waits.unless_stopped(self.link.forget(self.resume.stale))
        except LinkError as error:
            raise RestoreFailed(f"what cells make again could not be removed: {error}") from error

    async def _reuse(self) -> None:
        """Give reused cells the outputs that they had."""
        for reused in self.resume.reused:
            cell = self.nb_man.nb.cells[reused.index]
            outputs = json.loads(await self._fetch(reused.outputs)) if reused.outputs else []
            cell.outputs = [node(output) for output in outputs]
            cell.execution_count = reused.execution_count
            cell.metadata.papermill["status"] = self.nb_man.COMPLETED
        await self.waits.delivered(self.recorder.reuse(self.resume.reused))

    def _hashes_differ(self) -> str | None:
        """Tell what follows when texts hash differently in the new kernel."""
        if self.resume.manifest is None or self.link is None or self.link.hash_seed is None:
            return None
        (manifest,) = (self.workspace.directory("restore") / "manifests").iterdir()
        return difference(json.loads(manifest.read_bytes()).get("hash_seed"), self.link.hash_seed)

    async def _restore(self, *, producers: Sequence[str] = (), again: bool = False) -> list[UnloadedVariable]:
        """Bring the checkpoint's variables into the kernel; return those that would not load."""
        if self.resume.manifest is None:
            return []
        if self.link is None:
            raise RestoreFailed(self.no_snapshots)
        directory = self.workspace.directory("restore")
        if not again:
            await self._download(self.resume.manifest, self.resume.blobs, directory)
        (manifest,) = (directory / "manifests").iterdir()
        owned = any(resizes(cell.source) for cell in self.nb_man.nb.cells)
        try:
            return await self.waits.unless_stopped(
                self.link.restore(
                    directory, int(manifest.stem), producers=producers, again=again, owned=owned
                )
            )
        except LinkError as error:
            raise RestoreFailed(str(error)) from error

    async def _download(self, manifest: str, blobs: list[str], directory: Path) -> None:
        from respawn_kernels.digest import write_whole

        text = await self._fetch(manifest)
        cell = int(json.loads(text)["cell"])
        for place in ("manifests", "blobs"):
            (directory / place).mkdir(exist_ok=True)
        for digest in blobs:
            write_whole(directory / "blobs" / digest, await self._fetch(digest), durable=False)
        write_whole(directory / "manifests" / f"{cell}.json", text, durable=False)

    async def _fetch(self, digest: str) -> bytes:
        return await self.waits.delivered(asyncio.to_thread(self.port.get_blob, digest), until_stopped=True)

    async def _make_again(self, index: int, cell: NotebookNode) -> None:
        """Rerun a reused cell for what it makes in the kernel; its recorded outputs stay."""
        scratch = node(cell)
        try:
            await self.execute(scratch, index)
        except (CellExecutionError, DeadKernelError, CellTimeoutError) as error:
            if TAG_ALWAYS not in cell_tags(cell):  # nobody asked for it, so the run is not what failed
                message = (
                    f"cell {index}, which ran again to set session state that could not be stored, failed"
                )
                raise RestoreFailed(f"{message}: {error}") from error
            cell.outputs = scratch.outputs
            note = "failed when it was rerun to make its variables again"
            await self.waits.delivered(self.recorder.end(index, CellState.FAILED, note))
            raise FailedAgain(index, error) from error
        finally:
            self.nb_man.nb.cells[index] = cell  # nbclient puts the scratch cell there


def first_bound(resume: ResumeFrom, seen: Mapping[int, CellEvidence | None]) -> dict[str, int]:
    """Return the first cell that binds each variable, of the notebook as it is now.

    Args:
        resume: where the attempt started; it tells of the cells that are reused.
        seen: what was seen of the cells that ran again, by index.
    """
    found = dict(resume.bound)
    for index, evidence in seen.items():
        for name in evidence.bound if evidence is not None else ():
            found[name] = min(found.get(name, index), index)
    return found


def node(document: Any) -> Any:
    """Return a deep copy of a JSON document as nbformat wants it."""
    return _untyped_from_dict(document)  # type: ignore[no-untyped-call]
