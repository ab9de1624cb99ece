"""The kernel of a failed attempt, kept for a person to look into: the very process in which the cell failed.

Its runner does nothing else from then on. It stays the kernel's parent, so that limits hold and nothing is
left behind, however it ends. Jupyter servers of the account find the kernel by its connection file.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from respawn_jobs.api.runner_protocol import Assignment, Outcome
from respawn_jobs.host.process_environment import KEPT_KERNELS
from respawn_jobs.model.kernels import KeptKernel
from respawn_jobs.model.settings import Cause
from respawn_jobs.runner.kernel.agent_client import KernelLink, LinkError
from respawn_jobs.runner.kernel.kernel_process import KernelProcess

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0


class KernelKeeper:
    """Keeps the kernel of an attempt that has failed, until it is told to let it go."""

    def __init__(self, directory: Path, release: int, report: Callable[[KeptKernel], None]) -> None:
        """Keep nothing yet.

        Args:
            directory: gets the connection file; private to the account.
            release: a file descriptor that can be read from once the kernel is to be let go.
            report: called when the kernel is there for others.
        """
        self._directory = directory
        self._release = release
        self._report = report
        self.kept = False
        """Whether a kernel was kept: its runner does nothing after that."""

    @classmethod
    def of(
        cls, environ: Mapping[str, str], release: int, report: Callable[[KeptKernel], None]
    ) -> KernelKeeper | None:
        """Return the keeper of a runner; None where it keeps none.

        Args:
            environ: the runner's variables.
            release, report: as for the keeper.
        """
        directory = environ.get(KEPT_KERNELS)
        return cls(Path(directory), release, report) if directory else None

    async def take(
        self, assignment: Assignment, outcome: Outcome, kernel: KernelProcess | None, spool: Path
    ) -> bool:
        """Have the agent leave the kernel of an attempt, and return whether it will be kept.

        Args:
            assignment: what the attempt is.
            outcome: how it has ended.
            kernel: its kernel; None where there is none.
            spool: where the kernel's agent writes.
        """
        failed = outcome.state == "failed" and outcome.cause in (None, Cause.CELL_ERROR)
        in_cell = outcome.error is not None and outcome.error.cell is not None
        if kernel is None or not (failed and in_cell and assignment.keep_kernel_seconds > 0):
            return False
        try:
            await KernelLink(kernel, spool).leave()
        except (LinkError, OSError) as error:
            log.info("the kernel of %s is not kept: %s", assignment.run, error)
            return False
        return True

    async def keep(self, assignment: Assignment, kernel: KernelProcess) -> None:
        """Keep a kernel until it ends or is to be let go; the caller ends it then.

        Args:
            assignment: what the attempt is.
            kernel: its kernel, which the agent has left.
        """
        kernel.client.stop_channels()
        try:
            path = self._publish(assignment, kernel)
        except OSError as error:
            log.warning("the kernel of %s is not kept: %s", assignment.run, error)
            return
        try:
            self.kept = True
            self._report(
                KeptKernel(
                    run=assignment.run,
                    attempt=assignment.attempt,
                    pid=kernel.pid or 0,
                    seconds=assignment.keep_kernel_seconds,
                    connection_file=str(path),
                )
            )
            await self._let_go(kernel, path)
        finally:
            path.unlink(missing_ok=True)

    def _publish(self, assignment: Assignment, kernel: KernelProcess) -> Path:
        """Copy the kernel's connection file to where servers look, whole from the first moment."""
        path = self._directory / f"{assignment.attempt}.json"
        whole = self._directory / f".{assignment.attempt}.part"
        shutil.copyfile(kernel.manager.connection_file, whole, follow_symlinks=False)
        whole.chmod(0o600)
        whole.rename(path)
        return path

    async def _let_go(self, kernel: KernelProcess, path: Path) -> None:
        """Wait until the kernel ends, its file is gone, or the order comes."""
        loop, ordered = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._release, ordered.set)
        try:
            while not ordered.is_set() and path.exists() and await kernel.alive():
                with suppress(TimeoutError):
                    await asyncio.wait_for(ordered.wait(), _LOOK_SECONDS)
        finally:
            loop.remove_reader(self._release)
