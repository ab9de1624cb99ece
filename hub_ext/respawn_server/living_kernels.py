"""The kernels of failed runs that live on beside this server, and the notebooks that are at them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from respawn_jobs.model.kernels import KeptKernel
from respawn_server.job_server import kept_kernels
from respawn_server.kernel import Kernels


class LivingKernels:
    """What a Jupyter server knows of them; it knows of none where it is no job server.

    Args:
        kernels: the server's kernels.
    """

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._before: dict[str, str] = {}
        """By notebook, the kernel that it had when it was connected to the one that failed."""

    def find(self, run: str) -> KeptKernel | None:
        """Return the kernel in which a run failed; None where it does not live here."""
        kept = kept_kernels.of_this_process
        return kept.find(run) if kept is not None else None

    def until(self, run: str) -> datetime | None:
        """Return when the kernel in which a run failed ends, unless it is used; None where it is gone."""
        kept = kept_kernels.of_this_process
        return kept.until(run) if kept is not None and kept.find(run) is not None else None

    async def connected(self, path: str, run: str) -> bool:
        """Return whether a notebook is connected to the kernel in which its run failed.

        Args:
            path: the notebook's path below the server's root.
            run: id of the run.
        """
        kept = self.find(run)
        there = await self._kernels.of_notebook(path) if kept is not None else None
        return there is not None and there == await self._id(kept)

    async def connect(self, path: str, kept: KeptKernel, name: str) -> bool:
        """Connect a notebook to a kernel that lives on; tells whether it still did.

        Args:
            path: the notebook's path below the server's root.
            kept: the kernel.
            name: the name of its kernelspec.
        """
        kernel = await self._id(kept)
        if kernel is None:
            return False
        before = await self._kernels.of_notebook(path)
        if before is not None and before != kernel:
            self._before[path] = before
        await self._kernels.attach(path, name, kernel)
        return True

    async def disconnect(self, path: str, run: str, name: str) -> str | None:
        """Connect a notebook to the kernel that it had before, and return the kernel's id; None for none.

        Args:
            path: the notebook's path below the server's root.
            run: id of its run.
            name: the name of the kernelspec.
        """
        kernel = await self._kernels.of_notebook(path)
        if kernel is None or not await self.connected(path, run):
            return kernel
        before = self._before.pop(path, None)
        if before is None or not self._kernels.has(before):
            return None
        await self._kernels.attach(path, name, before)
        return before

    async def _id(self, kept: KeptKernel | None) -> str | None:
        return await self._kernels.external(Path(kept.connection_file)) if kept is not None else None
