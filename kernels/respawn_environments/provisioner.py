"""The provisioner of kernels of our environments: clean variables, private sockets, warm where that can be.

Servers and runners have it by the entry point `respawn` of `jupyter_client.kernel_provisioners`, which the
kernelspecs of `respawn kernels build` name; it runs in them, never in the kernel. A kernel comes from a
zygote (`warm`) where this process starts many: in a server from the second one of an environment on. Whatever
is odd ends in the start that Jupyter knows, and `plain_start` says why.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.localinterfaces import localhost
from jupyter_client.multikernelmanager import MultiKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Bool

from respawn_environments import catalog, private_sockets
from respawn_environments.kernel_variables import PLACES, kernel_environment
from respawn_environments.kernelspec_contents import is_ipykernel_here
from respawn_environments.kernelspecs import PROVISIONER
from respawn_environments.warm.forked_kernel import KernelOfZygote
from respawn_environments.warm.warm_kernels import preloaded, warm_kernels
from respawn_environments.warm.zygote_process import NotWarm
from respawn_kernels.host.own_process import DiesWithParent

_POLL_SECONDS = 0.01
_NEXT_SECONDS = 1.0
"""How long after a kernel a server starts the zygote for the next one: the kernel comes up first."""
_BORNE = frozenset({"cwd", "env", "stdout", "stderr", "kernel_id", "cache_ports", "extra_arguments"})
"""What a start may ask for that a fork can give."""


class RespawnProvisioner(LocalProvisioner):
    """Jupyter's provisioner of local processes, with what the module says."""

    warm = Bool(True, config=True, help="Whether kernels may be forked from a process with its imports done.")
    ipc = Bool(True, config=True, help="Whether kernels listen on private sockets in place of TCP ports.")

    only_warm = False
    """Whether a start fails by `NotWarm` where no zygote can fork the kernel now."""
    plain_start: str | None = None
    """Why the kernel was started plainly; None for one that came from a zygote."""
    _directory: Path | None = None
    """Where its sockets are."""
    _hold: int | None = None
    """A descriptor that keeps that directory."""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Clean the variables and choose the sockets; see `LocalProvisioner`."""
        kwargs["env"] = kernel_environment(kwargs.get("env", os.environ), also=PLACES)
        with self._undone_if_it_fails():
            if self.ipc:
                self._use_sockets()
            prepared: dict[str, Any] = await super().pre_launch(**kwargs)
        return prepared

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Bring a kernel up, warm or plainly; see `LocalProvisioner`."""
        with self._undone_if_it_fails():
            info = await self._launched(cmd, **kwargs)
        if (build := catalog.directory_of(self.kernel_spec.argv)) is not None:
            # In a thread: the directory may lie on a slow file system.
            asyncio.get_running_loop().run_in_executor(None, catalog.mark_used, build)
        return info

    async def _launched(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        if self.warm and _serves_many(self.parent):
            warm_kernels.enable()
            asyncio.get_running_loop().call_later(_NEXT_SECONDS, warm_kernels.prepare)
        try:
            pid = await self._forked(cmd, kwargs)
        except (NotWarm, OSError) as error:  # OSError: no descriptors are left, say
            if self.only_warm:
                raise
            self.plain_start = str(error)
            self.log.info("the kernel is started plainly: %s", error)
            return await super().launch_kernel(cmd, **kwargs)
        self.plain_start = None
        self.process = cast("Any", KernelOfZygote(pid))
        self.pid = pid
        self.cwd = kwargs.get("cwd") or Path.cwd()
        with suppress(ProcessLookupError):
            self.pgid = os.getpgid(pid)
        return self.connection_info

    async def wait(self) -> int | None:
        """Wait for the end of the kernel's process; `LocalProvisioner` looks ten times a second only."""
        while await self.poll() is None:
            await asyncio.sleep(_POLL_SECONDS)
        return await super().wait()

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the sockets, unless the kernel comes again; see `LocalProvisioner`."""
        await super().cleanup(restart=restart)
        if not restart:
            self._remove_sockets()

    def _remove_sockets(self) -> None:
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None
        if self._directory is not None:
            private_sockets.remove(self._directory)
            self._directory = None

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """Leave neither sockets nor a connection file of a start that failed; jupyter_client does."""
        try:
            yield
        except BaseException:  # a start that is cancelled leaves them too
            self._remove_sockets()
            if self.parent is not None:
                self.parent.cleanup_connection_file()
            raise

    def _use_sockets(self) -> None:
        """Have the kernel listen on private sockets, unless somebody has chosen how it is reached."""
        manager = self.parent
        if manager is None or not is_ipykernel_here(self.kernel_spec.argv):
            return
        if self._directory is not None:
            self._hold_again(self._directory)
            return
        # A manager may start its kernel again after it was ended, and still has the address then.
        ours = manager.transport == "ipc" and private_sockets.was_made_here(manager.ip)
        chosen = manager.transport != "tcp" or manager.ip != localhost() or any(manager.ports)
        if chosen and not ours:
            return
        _remove_abandoned()
        try:
            self._directory = private_sockets.make_directory()
            self._hold = private_sockets.hold(self._directory)
        except private_sockets.NoPlace as error:
            self.log.info("the kernel listens on TCP: %s", error)
            if ours:
                manager.transport, manager.ip = "tcp", localhost()
            return
        manager.transport, manager.ip = "ipc", private_sockets.address(self._directory)
        manager.cache_ports = False
        if not manager.connection_file or private_sockets.is_connection_file(manager.connection_file):
            manager.connection_file = str(private_sockets.connection_file(self._directory))

    def _hold_again(self, directory: Path) -> None:
        """See to it that the directory of a kernel that comes again is there: /tmp may have been cleaned."""
        private_sockets.make_again(directory)
        before, self._hold = self._hold, None
        if before is not None:
            os.close(before)
        self._hold = private_sockets.hold(directory)

    async def _forked(self, cmd: list[str], kwargs: Mapping[str, Any]) -> int:
        """Return the process id of a kernel that came from a zygote. Raises `NotWarm`."""
        if not self.warm:
            raise NotWarm("warm kernels are switched off")
        outputs, preload = _descriptors(kwargs), preloaded(self.kernel_spec)
        manager: Any = self.parent
        kernel = manager.kernel_name if _serves_many(manager) else ""
        warm_kernels.check(cmd, kwargs["env"], preload, kernel)
        # In a thread: a zygote that hangs must not keep the kernels of others waiting.
        forking = asyncio.ensure_future(
            asyncio.to_thread(
                warm_kernels.fork,
                cmd,
                str(Path(kwargs.get("cwd") or "").absolute()),
                kwargs["env"],
                *outputs,
                preload=preload,
                kernel=kernel,
            )
        )
        try:
            return await asyncio.shield(forking)
        except asyncio.CancelledError:
            forking.add_done_callback(_end_unwanted)
            raise


def is_ours(spec: Any) -> bool:
    """Return whether a kernelspec leaves it to us how its kernels are started.

    Args:
        spec: The kernelspec as jupyter_client read it.
    """
    named = (spec.metadata or {}).get("kernel_provisioner")
    return named is None or named.get("provisioner_name") == PROVISIONER


@cache
def _remove_abandoned() -> None:
    """Remove, once in each process, what killed servers and runners have left."""
    private_sockets.remove_abandoned()


def _serves_many(manager: Any) -> bool:
    """Return whether a kernel's manager is one of a server, which starts one kernel after another."""
    return isinstance(getattr(manager, "parent", None), MultiKernelManager)


def _descriptors(kwargs: Mapping[str, Any]) -> tuple[int, int]:
    """Return where the kernel's process writes. Raises `NotWarm` for what a fork cannot give."""
    odd = {name for name, value in kwargs.items() if name not in _BORNE and value is not None}
    if isinstance(kwargs.get("preexec_fn"), DiesWithParent):
        odd.discard("preexec_fn")  # it ties the kernel to its runner, as a zygote does
    if odd:
        raise NotWarm(f"its start asks for {', '.join(sorted(odd))}")
    found: list[int] = []
    for name, usual in (("stdout", 1), ("stderr", 2)):
        given = kwargs.get(name, usual)
        given = usual if given is None else given
        try:
            number = given if isinstance(given, int) else given.fileno()
        except (AttributeError, OSError, ValueError) as error:
            raise NotWarm(f"its {name} is no file") from error
        if number < 0:  # subprocess.PIPE and its kin
            raise NotWarm(f"its {name} is a pipe")
        found.append(number)
    return found[0], found[1]


def _end_unwanted(forking: asyncio.Future[int]) -> None:
    """End a kernel whose start was cancelled while it was forked."""
    if not forking.cancelled() and forking.exception() is None:
        kernel = KernelOfZygote(forking.result())
        kernel.kill()
        kernel.wait()
