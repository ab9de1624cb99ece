"""A kernel that has come up before it is known what it will run.

An idle runner has it forked from a zygote for the next attempt. It has answered, and waits in a directory of
its own without having run anything; it is taken once, and moves to where the attempt works. One that a new
fork would not be like any more (a changed package or kernelspec, a zygote that is gone) is not used, nor for
a resume, whose kernel hashes texts as that of its state did.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from respawn_environments.warm.forked_kernel import KernelOfZygote
from respawn_environments.warm.warm_kernels import warm_kernels
from respawn_environments.warm.zygote_process import NeverWarm, NotWarm, ZygoteProcess
from respawn_jobs.runner.kernel.early_kernel import EarlyKernel
from respawn_jobs.runner.kernel.kernel_process import KernelFailed
from respawn_jobs.runner.kernel.pinned_build import spec_of

_START_SECONDS = 5.0
"""How long it may take to come up: an attempt that is given to the runner meanwhile waits for it."""
_MOVE_SECONDS = 5.0
_MOVE = """exec('''
import os
from ipykernel.kernelapp import IPKernelApp
os.chdir(directory)
shell = IPKernelApp.instance().shell
shell.starting_dir = os.getcwd()
visited = shell.history_manager.dir_hist
visited[:] = [type(one)(shell.starting_dir) for one in visited]
''', {{'directory': {directory!r}}})"""
"""Nothing of the notebook's has run: what was noted of the directory is what IPython notes as it begins."""


class NotYet(KernelFailed):
    """No zygote can fork the kernel now; one that `prepare` starts will perhaps, or imports already."""


class ReadyKernel(EarlyKernel):
    """A kernel that has answered, for one attempt."""

    def __init__(self, name: str, lock: str | None = None) -> None:
        """Have it forked, and wait until it answers.

        Args:
            name: The kernel's name, as Jupyter finds it.
            lock: Hash of the build that is pinned; None for the one that the kernel has now.

        Raises:
            KernelFailed: it did not come up, or no zygote will ever fork it.
            NotYet: none can do so now.
        """
        self._spec, self._pinned = _spec(name, lock), lock
        try:
            super().__init__(name, None, lock, only_warm=True)
        except KernelFailed as error:
            cause = error.__cause__
            if isinstance(cause, NotWarm) and not isinstance(cause, NeverWarm):
                raise NotYet(str(error)) from cause
            raise
        assert self._unused is not None  # noqa: S101  started just now
        self._zygote: ZygoteProcess | None = None
        if not isinstance(self._unused.manager.provisioner.process, KernelOfZygote):
            self.close()
            raise KernelFailed("it was not forked from a zygote")
        self._zygote = warm_kernels.latest
        try:
            self.runner.run(self._unused.connect(_START_SECONDS))
        except BaseException:  # an interrupt too: nobody else knows of the kernel
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """The process's number; None once it was taken."""
        return None if self._unused is None else self._unused.pid

    @property
    def runs(self) -> bool:
        """Whether it waits still; any thread may ask."""
        kernel = self._unused
        return kernel is not None and kernel.manager.provisioner.process.poll() is None

    def kill(self) -> None:
        """End its process, and leave the rest to `close`; any thread may do so."""
        kernel = self._unused
        if kernel is not None:
            kernel.manager.provisioner.process.kill()

    def serves(self, name: str, directory: Path | None, lock: str | None) -> bool:
        """Move the kernel to where an attempt works; tells whether it is there, and as a new one would be.

        Args:
            name: The kernel's name.
            directory: Where the attempt works; None for the runner's own directory, where it does not move.
            lock: Hash of the build that its version pins; None for a kernel that is of no lock.
        """
        if (name, lock) != (self.name, self.lock):
            return False
        if directory is None or self._unused is None or self._zygote is None:
            return False
        try:
            self._zygote.check()
            if _spec(name, self._pinned) != self._spec:
                return False
        except (NotWarm, KernelFailed):
            return False
        moved: bool = self.runner.run(self._move(directory))
        return moved

    async def _move(self, directory: Path) -> bool:
        assert self._unused is not None  # noqa: S101  asked by `serves`
        kernel = self._unused
        if not await kernel.alive():
            return False
        try:
            async with asyncio.timeout(_MOVE_SECONDS):
                reply = await kernel.silently(_MOVE.format(directory=str(directory)))
        except TimeoutError:
            return False
        kernel.move_to(directory)
        return bool(reply["status"] == "ok")


def _spec(name: str, lock: str | None) -> dict[str, Any]:
    """Return the kernelspec as a new kernel would have it now. Raises `KernelFailed`."""
    from jupyter_client.kernelspec import NoSuchKernel
    from jupyter_client.manager import AsyncKernelManager

    from respawn_environments.errors import EnvironmentMissing
    from respawn_environments.kernelspecs import provide

    provide()
    try:
        found: dict[str, Any] = spec_of(AsyncKernelManager(kernel_name=name), lock).to_dict()
    except (EnvironmentMissing, NoSuchKernel, OSError, ValueError) as error:
        raise KernelFailed(f"there is no kernel {name!r}: {error}") from error
    return found
