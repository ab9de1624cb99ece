"""One kernel process: started, connected to, ended surely.

Starting returns as soon as the process exists, so that the heavy imports of its runner happen while the
kernel boots; a runner of many attempts has it forked from a zygote. The process gets no tokens of the hub,
writes its own stdout and stderr to a log, and dies with its runner, also when that is killed with -9.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from respawn_environments.kernel_variables import kernel_environment
from respawn_environments.kernelspec_contents import is_ipykernel, ours
from respawn_jobs.host.process_end import ended_within
from respawn_jobs.model.kernels import KernelStart
from respawn_jobs.runner.kernel.pinned_build import not_here, spec_of
from respawn_kernels.counting import how_many
from respawn_kernels.hash_seed import RANDOM, VARIABLE, chosen, seed_for
from respawn_kernels.host.own_process import DiesWithParent
from respawn_kernels.process_ends import how_it_ended

_LOG_TAIL = 4000
_NOISE = "Kernel is running over TCP without encryption"
_PORT_TAKEN = "Address already in use"
_MAX_STARTS = 5
_POLL_SECONDS = 0.005
_EXIT = (
    "exec('from ipykernel.kernelapp import IPKernelApp; loop = IPKernelApp.instance().kernel.io_loop; "
    "loop.call_later(0.001, loop.stop)', {})"
)
_unheard = logging.Logger("unheard", logging.CRITICAL + 1)
"""For a start that may fail: jupyter_client logs each failure as an error, with its traceback."""
_END_SECONDS = 1.0
"""How long a kernel may take to end before it is interrupted, and then ended by force."""


class KernelFailed(Exception):
    """The kernel did not come up; the message says why."""


class BuildMissing(KernelFailed):
    """The kernel, or the build of it that is pinned, is not here; the message says which kernels are."""


class KernelProcess:
    """A running kernel process and the client connected to it."""

    def __init__(
        self,
        name: str,
        manager: Any,
        log: Path,
        directory: Path | None,
        hash_seed: str | None,
        lock: str | None = None,
    ) -> None:
        """Hold a process that was started, and has no client yet.

        Args:
            name: of the kernelspec.
            manager: jupyter_client's manager of the process.
            log: the file that takes the process's own output.
            directory: where the kernel works; None for the runner's own.
            hash_seed: the seed by which texts were hashed in the state that is restored; None without one.
            lock: hash of the build that it must be; None for the one that the kernelspec starts.
        """
        self.name = name
        self.manager = manager
        self.client: Any = None
        self.silent: list[str] = []
        """Requests of ours since the last cell; `client` takes them out."""
        self.when_closed: list[Callable[[], object]] = []
        """What is called, in a thread, once the process has ended."""
        self._log = log
        self._directory = directory
        self._hash_seed = hash_seed
        self._lock = lock
        self._greeting: dict[str, Any] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        *,
        directory: Path | None,
        log: Path,
        hash_seed: str | None = None,
        lock: str | None = None,
        only_warm: bool = False,
    ) -> KernelProcess:
        """Start the process and return without waiting until it answers.

        Args:
            name: The kernel's name, as Jupyter finds it.
            directory: Its working directory; None for the runner's own.
            log: File that gets what the process itself writes to stdout and stderr.
            hash_seed: The one of the state that is to be restored in it; see `seeded`.
            lock: Hash of the build that is pinned; None for the one that the kernel has now.
            only_warm: Whether to fail where no zygote can fork it now.

        Raises:
            KernelFailed: there is no such kernel or build, or its program cannot be started.
        """
        manager = await _launched(name, directory, log, hash_seed, lock, only_warm)
        return cls(name, manager, log, directory, hash_seed, lock)

    async def connect(self, timeout: float) -> dict[str, Any]:
        """Wait until the kernel answers on all channels.

        Args:
            timeout: Seconds to wait.

        Returns:
            The content of the kernel's `kernel_info_reply`.

        Raises:
            KernelFailed: it died, or did not answer in time.
        """
        if self._greeting is not None:
            return self._greeting
        give_up = asyncio.get_running_loop().time() + timeout
        for starts in range(1, _MAX_STARTS + 1):
            await self._bound(give_up)
            self._open_channels()
            info = await self._info(give_up)
            if info is not None:
                self._greeting = info
                return info
            # Ports are chosen before the kernel binds them: another process may have been quicker.
            if starts == _MAX_STARTS or _PORT_TAKEN not in self.log_tail() or await self.alive():
                break
            await self.close(now=True)
            self.manager = await _launched(self.name, self._directory, self._log, self._hash_seed, self._lock)
        if await self.alive():
            raise KernelFailed(f"kernel {self.name!r} did not answer within {how_many(timeout, 'second')}")
        raise KernelFailed(f"kernel {self.name!r} did not come up: {self.exit_reason()}")

    async def silently(self, code: str) -> dict[str, Any]:
        """Execute code that leaves no trace in a kernel that answers; return what its reply contains."""
        request = self.client.execute(code, silent=True, store_history=False, allow_stdin=False)
        self.silent.append(request)
        while True:
            reply = await _answer(self.client.shell_channel, request, 1.0)
            if reply is not None or not await self.alive():
                return dict(reply["content"]) if reply is not None else {"status": "dead"}

    def move_to(self, directory: Path) -> None:
        """Know that the kernel works in another directory now."""
        self._directory = directory

    async def _bound(self, give_up: float) -> None:
        """Wait until the kernel listens: ZeroMQ tries a refused connection again only after 0.1 s.

        The port of outputs is the last one that ipykernel binds. A kernel of another provisioner may be
        reached in other ways.
        """
        manager = self.manager
        if manager.transport != "ipc" and not isinstance(manager.provisioner, _provisioner()):
            return
        while asyncio.get_running_loop().time() < give_up and await self.alive():
            try:
                if manager.transport == "ipc":
                    _, writer = await asyncio.open_unix_connection(f"{manager.ip}-{manager.iopub_port}")
                else:
                    _, writer = await asyncio.open_connection(manager.ip, manager.iopub_port)
            except OSError:
                await asyncio.sleep(_POLL_SECONDS)
            else:
                writer.close()
                return

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
            if reply and await _answer(self.client.iopub_channel, request, 0.05):
                return dict(reply["content"])
            if not await self.alive():
                break
        return None

    @property
    def pid(self) -> int | None:
        """The process's number; None for one that is not on this machine."""
        found: int | None = getattr(getattr(self.manager.provisioner, "process", None), "pid", None)
        return found

    @property
    def kernel_start(self) -> KernelStart | None:
        """Whether it is a warm one, and why not; None for a kernel of another provisioner."""
        provisioner = self.manager.provisioner
        if not isinstance(provisioner, _provisioner()):
            return None
        why = provisioner.plain_start
        return KernelStart(warm=True) if why is None else KernelStart.plain(why)

    @property
    def ports(self) -> set[int]:
        """The TCP ports on which it hears its clients."""
        if self.manager.transport != "tcp":
            return set()
        names = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
        return {int(getattr(self.manager, name, 0)) for name in names}

    async def alive(self) -> bool:
        """Return whether the process runs."""
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
                if not now:
                    await self._ask_to_end()
                await self.manager.shutdown_kernel(now=now)
        finally:
            if self.client is not None:
                self.client.stop_channels()
            self.kill()
            await self.manager.cleanup_resources()
            while self.when_closed:
                await asyncio.to_thread(self.when_closed.pop())

    async def _ask_to_end(self) -> None:
        """Ask a kernel that rests to end, and wait for it a little.

        Race: ipykernel hears a shutdown request in a thread of its own, which flushes the streams that the
        main thread closes meanwhile; now and again each waits for the other for seconds. So the main thread
        is asked.
        """
        if self.client is None or not is_ipykernel(self.manager.kernel_spec.argv):
            return
        self.client.execute(_EXIT, silent=True, store_history=False, allow_stdin=False)
        if self.pid is not None:
            await ended_within(self.pid, _END_SECONDS)

    def exit_reason(self) -> str:
        """Return how the process ended, in words."""
        process = getattr(self.manager.provisioner, "process", None)
        code = process.poll() if process is not None else None
        if code is None:
            return "it does not answer any more"
        hint = ", as when memory runs out" if code == -signal.SIGKILL else ""
        return f"its process {how_it_ended(code)}{hint}"

    def log_tail(self) -> str:
        """Return the end of what the process wrote to its log."""
        try:
            text = self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(line for line in text.splitlines() if _NOISE not in line).strip()


async def _launched(
    name: str, directory: Path | None, log: Path, seed: str | None, lock: str | None, only_warm: bool = False
) -> Any:
    """Return the manager of a process that was just started. Raises `KernelFailed`."""
    from jupyter_client.kernelspec import NoSuchKernel
    from jupyter_client.manager import AsyncKernelManager

    from respawn_environments.errors import EnvironmentMissing
    from respawn_environments.kernelspecs import provide
    from respawn_environments.provisioner import is_ours

    provide()
    manager = AsyncKernelManager(kernel_name=name)
    if only_warm:
        manager.log = _unheard
    try:
        spec: Any = spec_of(manager, lock)
        if is_ours(spec):
            manager.provisioner = provisioner = _provisioner()(kernel_spec=spec, parent=manager)
            provisioner.only_warm = only_warm
        with log.open("wb") as output:
            await manager.start_kernel(
                extra_arguments=_extra_arguments(spec),
                cwd=str(directory) if directory else None,
                env=seeded(spec, kernel_environment(os.environ), seed),
                stdout=output,
                stderr=output,
                preexec_fn=DiesWithParent(),
            )
    except (EnvironmentMissing, NoSuchKernel) as error:
        raise BuildMissing(not_here(name, error)) from error
    except Exception as error:  # provisioners are plug-ins and raise what they like
        with suppress(Exception):  # that of the start is the one to tell
            await manager.cleanup_resources()
        raise KernelFailed(f"kernel {name!r} could not be started: {error}") from error
    return manager


def _provisioner() -> Any:
    from respawn_environments.provisioner import RespawnProvisioner

    return RespawnProvisioner


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

    Args:
        spec: the kernelspec as jupyter_client read it; its `env` gets the seed, too.
        environment: variables for the kernel's process; they stay as they are.
        of_state: the seed, or `RANDOM`, of the state that is restored; None without one.
    """
    spec_env, of_ours = dict(spec.env or {}), ours(spec.metadata)
    seeds = (
        of_state if of_state != RANDOM else None,
        None if of_ours else chosen(spec_env.get(VARIABLE)),
        chosen(environment.get(VARIABLE)),
        chosen(spec_env.get(VARIABLE)),
        seed_for(of_ours.get("lock")),
    )
    seed = next(seed for seed in seeds if seed is not None)
    # What the kernelspec says takes the place of what we say.
    spec.env = {**spec_env, VARIABLE: seed}
    return {**environment, VARIABLE: seed}


def _extra_arguments(spec: Any) -> list[str]:
    """Keep IPython's history out of the user's own: hundreds of runs would contend for one database."""
    if is_ipykernel(spec.argv):
        return ["--HistoryManager.hist_file=:memory:"]
    return []
