"""A kernel that boots while it is read what it will run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from respawn_environments.kernelspec_contents import lock_of
from respawn_jobs.host.workspace import Workspace
from respawn_jobs.runner.kernel.kernel_process import KernelFailed, KernelProcess


class KernelAhead(Protocol):
    """A kernel that boots, or has come up, before the attempt that may use it is known."""

    @property
    def runner(self) -> asyncio.Runner:
        """The event loop that it belongs to."""

    def serves(self, name: str, directory: Path | None, lock: str | None) -> bool:
        """Return whether this is the kernel that an attempt without a state asks for.

        Args:
            name: The kernel's name.
            directory: Where the attempt works; None for the runner's own directory.
            lock: Hash of the build that its version pins; None for a kernel that is of no lock.
        """

    def take(self) -> KernelProcess:
        """Hand the kernel over; `close` then leaves it alone."""

    def close(self) -> None:
        """End what nobody took and nobody waits for, and the event loop."""


class EarlyKernel:
    """A kernel that boots before it is known what it will run, with the event loop it belongs to."""

    def __init__(
        self, name: str, directory: Path | None, lock: str | None = None, *, only_warm: bool = False
    ) -> None:
        """Start it.

        Args:
            name: The kernel's name, as Jupyter finds it.
            directory: Its working directory; None for the runner's own.
            lock: Hash of the build that is pinned; None for the one that the kernel has now.
            only_warm: Whether to fail where no zygote can fork it now.

        Raises:
            KernelFailed: it could not be started.
        """
        self.name = name
        self.directory = directory
        self.lock: str | None = None
        """Hash of its build; None for a kernel that is of no lock."""
        self.runner = asyncio.Runner()
        self._unused: KernelProcess | None = None
        self._workspace = Workspace()
        try:
            log = self._workspace.path / "kernel.log"
            starting = KernelProcess.start(name, directory=directory, log=log, lock=lock, only_warm=only_warm)
            self._unused = self.runner.run(starting)
            self.lock = lock_of(self._unused.manager.kernel_spec.metadata)
        except KernelFailed:
            self.close()
            raise

    def serves(self, name: str, directory: Path | None, lock: str | None) -> bool:
        """Return whether this is the kernel that an attempt without a state asks for.

        Args:
            name: The kernel's name.
            directory: Where the attempt works; None for the runner's own directory.
            lock: Hash of the build that its version pins; None for a kernel that is of no lock.
        """
        return (self.name, self.directory, self.lock) == (name, directory, lock)

    def take(self) -> KernelProcess:
        """Hand the kernel over; `close` then leaves it alone."""
        kernel, self._unused = self._unused, None
        assert kernel is not None  # noqa: S101  taken once, by the one attempt it was started for
        return kernel

    def close(self) -> None:
        """End the kernel if nobody took it, and the event loop."""
        if self._unused is not None:
            self.runner.run(self._unused.close(now=True))
            self._unused = None
        self.runner.close()
        self._workspace.close()
