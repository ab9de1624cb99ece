"""One kernel process: started early, ended surely.

Starting returns as soon as the process exists, so that the heavy imports of its runner happen while the
kernel boots. The process gets no tokens of the hub, writes its own stdout and stderr to a log, and dies with
its runner, also when that is killed with -9.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

from respawn_jobs.job_environment import kernel_environment
from respawn_jobs.workspace import Workspace
from respawn_kernels.hash_seed import RANDOM, VARIABLE, chosen, seed_for

_PR_SET_PDEATHSIG = 1
_LOG_TAIL = 4000
_NOISE = "Kernel is running over TCP without encryption"
_PORT_TAKEN = "Address already in use"
_MOST_STARTS = 5


class KernelFailed(Exception):
    """The kernel did not come up; the message says why."""


class Kernel:
    """A running kernel process and the client connected to it."""

    def __init__(
        self, name: str, manager: Any, log: Path, directory: Path | None, hash_seed: str | None
    ) -> None:
        self.name = name
        self.manager = manager
        self.client: Any = None
        self.silent: list[str] = []
        """Requests of ours since the last cell; `client` takes them out."""
        self._log = log
        self._directory = directory
        self._hash_seed = hash_seed

    @classmethod
    async def start(
        cls, name: str, *, directory: Path | None, log: Path, hash_seed: str | None = None
    ) -> Kernel:
        """Start the process and return without waiting until it answers.

        Args:
            name: The kernel's name, as Jupyter finds it.
            directory: Its working directory; None for the runner's own.
            log: File that gets what the process itself writes to stdout and stderr.
            hash_seed: The one of the state that is to be restored in it; see `seeded`.

        Raises:
            KernelFailed: there is no such kernel, or its program cannot be started.
        """
        return cls(name, await _launched(name, directory, log, hash_seed), log, directory, hash_seed)

    async def connect(self, timeout: float) -> dict[str, Any]:
        """Wait until the kernel answers on all channels.

        Args:
            timeout: Seconds to wait.

        Returns:
            The content of the kernel's `kernel_info_reply`.

        Raises:
            KernelFailed: it died, or did not answer in time.
        """
        give_up = asyncio.get_running_loop().time() + timeout
        for starts in range(1, _MOST_STARTS + 1):
            self._open_channels()
            info = await self._info(give_up)
            if info is not None:
                return info
            # Ports are chosen before the kernel binds them: another process may have been quicker.
            if starts == _MOST_STARTS or _PORT_TAKEN not in self.last_words() or await self.alive():
                break
            await self.close(now=True)
            self.manager = await _launched(self.name, self._directory, self._log, self._hash_seed)
        if await self.alive():
            raise KernelFailed(f"kernel {self.name!r} did not answer within {timeout:g} seconds")
        raise KernelFailed(f"kernel {self.name!r} did not come up: {self.obituary()}")

    def _open_channels(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.allow_stdin = False

    async def _info(self, give_up: float) -> dict[str, Any] | None:
        """Return what the kernel tells of itself; None when it died or does not answer by then."""
        while asyncio.get_running_loop().time() < give_up:
            request = self.client.kernel_info()
            reply = await _answer(self.client.shell_channel, request, 1.0)
            # The iopub channel subscribes on its own time: outputs are only safe once a message came through.
            if reply and await _answer(self.client.iopub_channel, request, 0.2):
                return dict(reply["content"])
            if not await self.alive():
                break
        return None

    async def alive(self) -> bool:
        """Tell whether the process runs."""
        return bool(await self.manager.is_alive())

    async def interrupt(self) -> None:
        """Interrupt what the kernel is executing."""
        if await self.alive():
            await self.manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill the process and those it started in its own group."""
        provisioner = self.manager.provisioner
        group = getattr(provisioner, "pgid", None)
        if group and group != os.getpgrp():
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                return
        elif getattr(provisioner, "process", None) is not None:
            provisioner.process.kill()

    async def close(self, *, now: bool = False) -> None:
        """End the kernel: politely unless `now`, and in any case within a few seconds."""
        try:
            if await self.alive():
                await self.manager.shutdown_kernel(now=now)
        finally:
            if self.client is not None:
                self.client.stop_channels()
            self.kill()
            await self.manager.cleanup_resources()

    def obituary(self) -> str:
        """Return how the process ended, in words."""
        process = getattr(self.manager.provisioner, "process", None)
        code = process.poll() if process is not None else None
        if code is None:
            return "it does not answer any more"
        if code >= 0:
            return f"its process exited with status {code}"
        name = signal.Signals(-code).name
        hint = ", as when memory runs out" if -code == signal.SIGKILL else ""
        return f"its process was ended by {name}{hint}"

    def last_words(self) -> str:
        """Return the end of what the process wrote to its log."""
        try:
            text = self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(line for line in text.splitlines() if _NOISE not in line).strip()


async def _launched(name: str, directory: Path | None, log: Path, hash_seed: str | None) -> Any:
    """Return the manager of a process that was just started. Raises `KernelFailed`."""
    from jupyter_client.manager import AsyncKernelManager

    manager = AsyncKernelManager(kernel_name=name)
    try:
        with log.open("wb") as output:
            await manager.start_kernel(
                extra_arguments=_extra_arguments(manager.kernel_spec),
                cwd=str(directory) if directory else None,
                env=seeded(manager.kernel_spec, kernel_environment(os.environ), hash_seed),
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent(),
            )
    except Exception as error:  # provisioners are plug-ins and raise what they like
        raise KernelFailed(f"kernel {name!r} could not be started: {error}") from error
    return manager


class EarlyKernel:
    """A kernel that boots before it is known what it will run, with the event loop it belongs to."""

    def __init__(self, name: str, directory: Path | None) -> None:
        """Start it. Raises `KernelFailed`."""
        self.name = name
        self.directory = directory
        self.runner = asyncio.Runner()
        self._unused: Kernel | None = None
        self._workspace = Workspace()
        try:
            log = self._workspace.path / "kernel.log"
            self._unused = self.runner.run(Kernel.start(name, directory=directory, log=log))
        except KernelFailed:
            self.close()
            raise

    def take(self) -> Kernel:
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


async def _answer(channel: Any, request: str, timeout: float) -> dict[str, Any] | None:
    """Return the first message on a channel that answers a request, or None when none comes in time."""
    give_up = asyncio.get_running_loop().time() + timeout
    while (left := give_up - asyncio.get_running_loop().time()) > 0:
        try:
            message = await channel.get_msg(timeout=left)
        except Empty:
            return None
        if message["parent_header"].get("msg_id") == request:
            return dict(message)
    return None


def seeded(spec: Any, environment: dict[str, str], of_state: str | None) -> dict[str, str]:
    """Choose the seed by which the kernel hashes texts, and return the environment with it.

    It is that of the state which is restored; else the one of a kernelspec that somebody else made, as
    Jupyter has it; else the one that a person set for this runner; else the one of the kernel's lock.
    """
    spec_env, ours = dict(spec.env or {}), (spec.metadata or {}).get("respawn") or {}
    seeds = (
        of_state if of_state != RANDOM else None,
        None if ours else chosen(spec_env.get(VARIABLE)),
        chosen(environment.get(VARIABLE)),
        chosen(spec_env.get(VARIABLE)),
        seed_for(ours.get("lock")),
    )
    seed = next(seed for seed in seeds if seed is not None)
    # What the kernelspec says takes the place of what we say.
    spec.env = {**spec_env, VARIABLE: seed}
    return {**environment, VARIABLE: seed}


def _extra_arguments(spec: Any) -> list[str]:
    """Keep IPython's history out of the user's own: hundreds of runs would contend for one database."""
    if any("ipykernel" in part for part in spec.argv):
        return ["--HistoryManager.hist_file=:memory:"]
    return []


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child does before it becomes the kernel, so that it never outlives its runner."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # Race: the runner died before the line above.
            os._exit(1)

    return arrange
