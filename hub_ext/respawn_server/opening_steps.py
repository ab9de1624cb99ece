"""One debug notebook on its way from the link to JupyterLab: its steps, reported as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal, TypedDict

from respawn_jobs.errors import Corrupt, NotFound, Unavailable
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.kernels import KeptKernel
from respawn_jobs.model.runs import RunDetail, RunState
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large
from respawn_server.connection import HubConnection
from respawn_server.early_kernels import BootingKernel, BootingKernels
from respawn_server.kernel import Kernels, Wanted
from respawn_server.living_kernels import LivingKernels
from respawn_server.notebooks import Notebooks

Step = Literal["fetch", "kernel", "download", "notebook", "restore"]


class StepMessage(TypedDict):
    """A step began, went on or is done."""

    type: Literal["step"]
    step: Step
    done: bool
    detail: str


class WrittenMessage(TypedDict):
    """The notebook is there, its variables are not: time to ask for a JupyterLab that waits for them."""

    type: Literal["written"]
    path: str


class OpenMessage(TypedDict):
    """The last message of an opening that worked: the notebook's path below the server's root."""

    type: Literal["open"]
    path: str


class ConfirmMessage(TypedDict):
    """The last message of an opening that must be agreed to: what would be restored is somebody else's."""

    type: Literal["confirm"]
    job: str
    authors: list[str]
    """Whose code has made the state, sorted."""
    cell: str


class FailedMessage(TypedDict):
    """The last message of an opening that did not; with a path when the notebook can be opened even so."""

    type: Literal["failed"]
    error: str
    message: str
    path: str | None


Message = StepMessage | WrittenMessage | OpenMessage | ConfirmMessage | FailedMessage
_LAST = ("open", "confirm", "failed")


class Opening:
    """One debug notebook on its way; `steps` does the work, `messages` reports it.

    Args:
        run: id of the run.
        connection: the way to the service.
        notebooks: where the debug notebook is written.
        kernels: where its kernel is started.
        early: the kernels that wait for an opening.
        living: the kernels in which runs have failed, where they live on.
    """

    def __init__(
        self,
        run: str,
        connection: HubConnection,
        notebooks: Notebooks,
        kernels: Kernels,
        early: BootingKernels,
        living: LivingKernels,
    ) -> None:
        self.run = run
        self.confirmed = False
        """Whether the person agreed to restore what somebody else has stored."""
        self.authors: list[str] = []
        """Whose code has made the state, when it is not all the person's own."""
        self._visitor = ""
        """Who opens it, once that is known."""
        self.restored = False
        """Whether the state before the failing cell is wanted, also where the kernel that failed lives on."""
        self.problem: str | None = None
        """Why the state could not be restored, though the notebook is there."""
        self.task: asyncio.Task[None] | None = None
        self._living = living
        self._early_kernels = early
        self._early: BootingKernel | None = early.claim(run)
        """The kernel that boots meanwhile."""
        self._connection = connection
        self._notebooks = notebooks
        self._kernels = kernels
        self._messages: list[Message] = []
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def send(self, message: Message) -> None:
        """Add a message; call it in the event loop's thread."""
        self._messages.append(message)
        self._changed.set()
        self._changed = asyncio.Event()

    async def messages(self) -> AsyncIterator[Message]:
        """Yield all messages from the first on, and end after the last."""
        seen = 0
        while True:
            changed = self._changed
            while seen < len(self._messages):
                message = self._messages[seen]
                seen += 1
                yield message
                if message["type"] in _LAST:
                    return
            if changed is self._changed:
                await changed.wait()

    async def fetch(self) -> DebugBundle:
        """Get what the service tells of the run. Raises RespawnError."""
        self._step("fetch")
        service = self._connection.service()
        detail = await asyncio.to_thread(service.show, self.run)
        if detail.run.state is RunState.RUNNING:
            from respawn_jobs.debug.running import await_state

            self._step("fetch", "it still runs: waiting for the state before the cell that runs")
            await asyncio.to_thread(await_state, service, self.run)
        bundle, self._visitor = await asyncio.gather(
            asyncio.to_thread(service.debug, self.run), asyncio.to_thread(service.whoami)
        )
        self._step("fetch", f"{bundle.run.job}, version {bundle.run.version}", done=True)
        return bundle

    def question(self, bundle: DebugBundle) -> ConfirmMessage | None:
        """Return what must be agreed to before the steps, if anything.

        Nothing is restored where the kernel that failed lives on: the code has run in it already.
        """
        from respawn_jobs.debug.notebook import failing_index
        from respawn_jobs.model.code_authors import other_authors
        from respawn_jobs.notebook.document import read_notebook, title

        self.authors = other_authors(bundle, self._visitor)
        if self.confirmed or not self.authors or self._at_living():
            return None
        failing = failing_index(bundle)
        cell = "none: every cell had finished"
        if failing is not None:
            cell = f"{failing}: {title(read_notebook(bundle.notebook).cells[failing])}"
        return {"type": "confirm", "job": bundle.run.job, "authors": self.authors, "cell": cell}

    async def steps(self, bundle: DebugBundle) -> str:
        """Do the steps after the first and return the notebook's path.

        Raises:
            RespawnError: They cannot be done.
            Unavailable: The kernel that was to be opened has just ended.
        """
        living = self._at_living()
        if living is not None and (connected := await self._connect(bundle, living)) is not None:
            return connected
        if living is not None and self.authors and not self.confirmed:
            # What is restored then was not agreed to: only the next opening asks.
            raise Unavailable(f"the kernel of {self.run} has just ended: try again, to restore its state")
        self._step("kernel", bundle.run.kernel)
        kernel, found = await self._kernels.build(bundle.run.kernel, bundle.lock)
        self._step("kernel", found, done=True)
        if self._early is None:
            self._early = self._early_kernels.start(lambda: self._wanted(bundle, kernel))
        await self._download(bundle)
        self._step("notebook")
        path, kept = await self._notebooks.keep_or_write(bundle)
        files = await self._lay_out(bundle, path)
        self._step("notebook", f"{path}{', kept with your changes' if kept else ''}{files}", done=True)
        if self.problem is None:
            self.send({"type": "written", "path": path})
            await self._restore(bundle, path, kernel)
        return path

    def _at_living(self) -> KeptKernel | None:
        """Return the kernel that failed, where it lives on and is what is wanted."""
        return None if self.restored else self._living.find(self.run)

    async def _connect(self, bundle: DebugBundle, kept: KeptKernel) -> str | None:
        """Open the notebook at the kernel that failed; None where that has ended meanwhile."""
        from respawn_jobs.debug.notebook import LIVING_NOTE, RESTORE_ID

        self._step("kernel", "the one that failed, which still runs", done=True)
        self._step("download", "its variables are as the failing cell has left them", done=True)
        self._step("notebook")
        path, kept_as_it_was = await self._notebooks.keep_or_write(bundle)
        files = await self._lay_out(bundle, path)
        changes = ", kept with your changes" if kept_as_it_was else ""
        self._step("notebook", f"{path}{changes}{files}", done=True)
        self._step("restore", "connecting to the kernel")
        if not await self._living.connect(path, kept, bundle.run.kernel):
            return None
        await self._notebooks.store_outputs(path, RESTORE_ID, [dict(LIVING_NOTE)], None)
        self._step("restore", "nothing to restore", done=True)
        return path

    async def _lay_out(self, bundle: DebugBundle, path: str) -> str:
        """Put what the run carries beside its notebook; return what is to be said of that."""
        if bundle.version.files is None:
            return ""
        directory = self._notebooks.directory(path)
        if directory is None:
            return "; the job's files cannot be put beside it: this server keeps no files on its machine"
        from respawn_jobs.debug.work_files import lay_out_beside

        service = self._connection.service()
        try:
            count = await asyncio.to_thread(lay_out_beside, service, bundle, Path(directory))
        except (Corrupt, NotFound, OSError) as error:
            # The notebook with its outputs and variables is worth opening without them.
            return f"; the job's files could not be put beside it: {error}"
        return f", with {how_many(count, 'file')} beside it" if count else ""

    async def _wanted(self, bundle: DebugBundle, name: str) -> Wanted:
        """Return the kernel that is wanted, so far as that is known before the state is here.

        Raises RespawnError.
        """
        detail = await asyncio.to_thread(self._connection.service().show, self.run)
        place = await self._notebooks.prepare_place(bundle.run, own=bundle.version.files is not None)
        return Wanted(place, name, seed_of(detail))

    async def close(self) -> None:
        """End the kernel that booted meanwhile, if the notebook has not taken it."""
        if self._early is not None:
            await self._early.close()

    async def _download(self, bundle: DebugBundle) -> None:
        from respawn_jobs.debug.state_download import begin_download
        from respawn_kernels.exchange.restore_point import run_directory

        self._step("download")

        def progress(there: int, total: int) -> None:
            self._loop.call_soon_threadsafe(
                self._step, "download", f"{how_large(there)} of {how_large(total)}"
            )

        service, directory = self._connection.service(), run_directory(self.run)
        try:
            # Here the question was answered, or there was none.
            _, fetch = await asyncio.to_thread(
                begin_download,
                service,
                bundle,
                directory,
                _sparingly(progress),
                authors=self.authors,
                agreed=True,
            )
        except (Corrupt, NotFound) as error:
            # The state is lost; the notebook with its outputs and traceback is still worth opening.
            self.problem = f"The state of {self.run} cannot be had any more: {error.message}."
            return
        if fetch is None:
            self._step("download", "no state was kept before the failing cell", done=True)
            return
        size = bundle.checkpoint.size if bundle.checkpoint else 0
        left = fetch.left
        detail = how_large(size)
        if left:
            # The kernel waits for what it needs, and says so.
            await asyncio.to_thread(fetch.in_background)
            detail = f"{how_large(size - left)} of {how_large(size)}; the rest comes while you work"
        if fetch.error is not None:
            # Variables that need no other data load; the others say so when they are used.
            detail = f"some of it cannot be had: {fetch.error}"
        self._step("download", detail, done=True)

    async def _restore(self, bundle: DebugBundle, path: str, name: str) -> None:
        from respawn_jobs.debug.notebook import RESTORE_ID, restore_source

        self._step("restore", "starting the kernel")
        elsewhere = await self._living.connected(path, self.run)
        kernel = await self._living.disconnect(path, self.run, name)
        lived = kernel is not None
        if kernel is None:
            wanted = Wanted(path, name, await asyncio.to_thread(_hash_seed, self.run))
            early = await self._early.take(wanted) if self._early is not None else None
            kernel = await self._kernels.open(wanted, early)
        if bundle.version.language != "python":
            self._step("restore", f"a {bundle.version.language} kernel has no snapshots", done=True)
            return
        if lived and await self._in_use(kernel):
            if elsewhere:
                await self._show_state(path, kernel)
            self._step("restore", "the kernel still runs, with your variables", done=True)
            return
        self._step("restore", "restoring the variables")
        problem = await self._bootstrap_agent(kernel)
        result = await self._kernels.execute(kernel, restore_source(self.run))
        await self._notebooks.store_outputs(path, RESTORE_ID, result.outputs, result.execution_count)
        if result.error:
            self.problem = f"The variables could not be restored. {problem or result.error}"
        else:
            self._step("restore", "", done=True)

    async def _show_state(self, path: str, kernel: str) -> None:
        """Show in the notebook what a kernel holds that it comes back to."""
        from respawn_jobs.debug.notebook import RESTORE_ID

        if await self._kernels.idle(path) is not None:
            shown = await self._kernels.execute(kernel, "%respawn state")
            await self._notebooks.store_outputs(path, RESTORE_ID, shown.outputs, shown.execution_count)

    async def _in_use(self, kernel: str) -> bool:
        """Return whether a living kernel must be left as it is: it holds this run's state, or it works."""
        try:
            return await self._kernels.restored_run(kernel) == self.run
        except TimeoutError:
            return True

    async def _bootstrap_agent(self, kernel: str) -> str | None:
        """Let a kernel of an environment without Respawn import it; return why it cannot, if so."""
        from respawn_kernels.bootstrap import bootstrap_code, link_packages
        from respawn_kernels.exchange.restore_point import run_directory

        # Not a temporary directory: the kernel imports parts of it only when it needs them.
        packages = link_packages(run_directory(self.run) / "packages")
        return (await self._kernels.execute(kernel, bootstrap_code(packages), silent=True)).error

    def _step(self, step: Step, detail: str = "", *, done: bool = False) -> None:
        self.send({"type": "step", "step": step, "done": done, "detail": detail})


def seed_of(detail: RunDetail) -> str | None:
    """Return the seed by which texts are hashed in the state of a run, so far as its record tells."""
    from respawn_kernels.hash_seed import RANDOM

    seed = detail.attempts[-1].hash_seed if detail.attempts and detail.checkpoints else None
    return None if seed == RANDOM else seed


def _hash_seed(run: str) -> str | None:
    """Return the seed by which texts were hashed in the state that was downloaded, where it had one."""
    from respawn_kernels.checkpoint.manifest import Manifest
    from respawn_kernels.exchange.restore_point import RestorePoint, run_directory
    from respawn_kernels.hash_seed import RANDOM

    directory = run_directory(run)
    try:
        point = RestorePoint.from_json((directory / "restore.json").read_bytes())
        manifest = Manifest.from_json((directory / "manifests" / f"{point.cell}.json").read_bytes())
    except (OSError, ValueError):  # there is no state, or the kernel will say why it cannot be read
        return None
    return None if manifest.hash_seed == RANDOM else manifest.hash_seed


def _sparingly(progress: Callable[[int, int], Any]) -> Callable[[int, int], None]:
    """Let through only changes of a hundredth: a page has no use for a message per small blob."""
    last = -1

    def report(there: int, total: int) -> None:
        nonlocal last
        part = 100 * there // total if total else 100
        if part != last:
            last = part
            progress(there, total)

    return report
