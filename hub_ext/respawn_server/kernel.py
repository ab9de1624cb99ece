"""The kernel behind a debug notebook: started for its path, so that JupyterLab connects to that very one."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_server.utils import ensure_async
from nbformat import v4
from tornado.web import HTTPError

from respawn_environments.kernelspec_contents import lock_of
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_kernels.hash_seed import VARIABLE

READY_SECONDS = 60.0
BUSY_SECONDS = 5.0
_DIGITS = 12
"""Digits of a build's hash that people are shown."""
_OUTPUTS = ("stream", "display_data", "execute_result", "error")
# Evaluated in the kernel: which run its variables were restored from, if any.
_RESTORED = "getattr(get_ipython().magics_manager.registry.get('RespawnMagics'), 'restored_run', None)"


@dataclass(frozen=True)
class Executed:
    """What executing one piece of code gave."""

    outputs: list[Any]
    execution_count: int | None
    error: str | None
    """`Name: value` of the exception, None when there was none."""


@dataclass(frozen=True)
class Wanted:
    """The kernel that a notebook gets where it has none."""

    path: str
    """The notebook's path below the server's root."""
    name: str
    """Of the kernelspec."""
    hash_seed: str | None = None
    """Its `PYTHONHASHSEED`, unless the kernelspec sets one; None: texts hash by a random seed."""


class Kernels:
    """Starts kernels for notebooks and executes in them.

    Args:
        sessions: The server's session manager.
        kernels: The server's kernel manager.
        specs: The server's kernelspec manager.
    """

    def __init__(self, sessions: Any, kernels: Any, specs: Any) -> None:
        self._sessions = sessions
        self._kernels = kernels
        self._specs = specs

    async def build(self, name: str, lock: str | None) -> tuple[str, str]:
        """Return the name by which the server starts the build of a kernel that a run used, and what it is.

        Where the kernel's name has moved on, the build that it had is installed for this person.

        Args:
            name: the kernel's name.
            lock: the hash of the build; None for the one that the kernel has now.

        Raises:
            InvalidInput: This server has no such kernel; it names those that there are.
        """
        try:
            spec = await ensure_async(self._specs.get_kernel_spec(name))
        except NoSuchKernel as error:
            if lock is not None and (kept := await self._pinned(name, lock)) is not None:
                return kept
            known = sorted(await ensure_async(self._specs.find_kernel_specs()))
            raise InvalidInput(
                f"The run used the kernel {name!r}, which this Jupyter server does not have. "
                f"It has: {', '.join(known) or 'none'}.",
                kernel=name,
                known=known,
            ) from error
        shown = str(spec.display_name)
        if lock is None or lock_of(spec.metadata) == lock:
            return name, shown
        from respawn_environments.errors import EnvironmentMissing
        from respawn_environments.pins import install_pinned

        build = lock[:_DIGITS]
        kernels = Path(self._specs.user_kernel_dir)
        try:
            pinned = await asyncio.to_thread(install_pinned, kernels, name, spec.to_dict(), lock)
        except EnvironmentMissing:
            return name, f"{shown}, with other packages than the run had: its build {build} is not here"
        except OSError as error:
            return name, f"{shown}, with other packages than the run had: {error}"
        return pinned, f"{shown}, build {build} as the run had; a newer one exists"

    async def _pinned(self, name: str, lock: str) -> tuple[str, str] | None:
        """Install a build of a kernel that is not installed itself any more; None where it is not here."""
        from respawn_environments.errors import EnvironmentMissing
        from respawn_environments.pins import install_pinned

        with suppress(EnvironmentMissing, OSError):
            kernels = Path(self._specs.user_kernel_dir)
            installed = await asyncio.to_thread(install_pinned, kernels, name, None, lock)
            return installed, f"{name}, build {lock[:_DIGITS]} as the run had"
        return None

    async def open(self, wanted: Wanted, started: str | None = None) -> str:
        """Give a notebook that has no kernel one, and return its id.

        Args:
            wanted: which kernel it is to be.
            started: id of such a kernel, which runs without a notebook; None to start one.

        Raises:
            Unavailable: The kernel does not start.
        """
        if started is None:
            started = await self.start(wanted)
        try:
            return await self.attach(wanted.path, wanted.name, started)
        except BaseException as error:  # a cancellation too: nobody else would end the kernel
            await self.end(started)
            if isinstance(error, Exception):
                raise _not_started(wanted, error) from error
            raise

    async def attach(self, path: str, name: str, kernel_id: str) -> str:
        """Connect a notebook to a kernel that runs, whatever it had before; return the kernel's id.

        Args:
            path: the notebook's path below the server's root.
            name: the name of the kernelspec.
            kernel_id: the kernel's id at this server.
        """
        if await ensure_async(self._sessions.session_exists(path=path)):
            session = await ensure_async(self._sessions.get_session(path=path))
            await ensure_async(self._sessions.update_session(session["id"], kernel_id=kernel_id))
            return kernel_id
        session = await ensure_async(
            self._sessions.create_session(
                path=path,
                name=PurePosixPath(path).name,
                type="notebook",
                kernel_name=name,
                kernel_id=kernel_id,
            )
        )
        return str(session["kernel"]["id"])

    async def external(self, connection_file: Path) -> str | None:
        """Return the id of a kernel that something else has started; None where the server cannot use it.

        Args:
            connection_file: the kernel's, in the server's `external_connection_dir`.
        """
        await ensure_async(self._kernels.list_kernels())  # it looks into that directory
        files: dict[str, Path] = getattr(self._kernels, "kernel_id_to_connection_file", {})
        found = next((one for one, file in files.items() if file == connection_file), None)
        if found is not None and getattr(self._kernels.get_kernel(found), "_activity_stream", None) is None:
            # What the server does for kernels of its own: it knows when they were used, and who looks.
            self._kernels._kernel_connections.setdefault(found, 0)
            self._kernels.start_watching_activity(found)
        return found

    async def of_notebook(self, path: str) -> str | None:
        """Return the id of the kernel of a notebook, whatever its name; None where it has none.

        Args:
            path: the notebook's path below the server's root.
        """
        if not await ensure_async(self._sessions.session_exists(path=path)):
            return None
        session = await ensure_async(self._sessions.get_session(path=path))
        return str(session["kernel"]["id"])

    async def start(self, wanted: Wanted) -> str:
        """Start a kernel as the session manager would, with its hash seed; return its id.

        Args:
            wanted: which kernel.

        Raises:
            Unavailable: It does not start.
        """
        seed = {} if wanted.hash_seed is None else {VARIABLE: wanted.hash_seed}
        environment = {
            **self._sessions.get_kernel_env(wanted.path, PurePosixPath(wanted.path).name),
            **seed,
        }
        try:
            directory = await ensure_async(self._sessions.contents_manager.get_kernel_path(path=wanted.path))
            kernel = self._kernels.start_kernel(path=directory, kernel_name=wanted.name, env=environment)
            return str(await ensure_async(kernel))
        except Exception as error:  # provisioners raise what they like; a person needs to hear which kernel
            raise _not_started(wanted, error) from error

    def has(self, kernel_id: str) -> bool:
        """Return whether the server still has a kernel; it may have been ended or have died."""
        return kernel_id in self._kernels

    async def end(self, kernel_id: str) -> None:
        """End a kernel at once; one that is gone already is none to end."""
        with suppress(KeyError, HTTPError):
            await ensure_async(self._kernels.shutdown_kernel(kernel_id, now=True))

    async def restored_run(self, kernel_id: str) -> str | None:
        """Return the run whose state a kernel holds; a busy one is taken to be in use, and not asked twice.

        Raises:
            TimeoutError: The kernel is busy.
        """
        return await self.evaluate(kernel_id, _RESTORED, BUSY_SECONDS)

    async def evaluate(self, kernel_id: str, expression: str, timeout: float) -> str | None:
        """Return the text that an expression gives in a kernel, unseen; None when it gives none.

        Args:
            kernel_id: the kernel's id at this server.
            expression: Python whose value is a text.
            timeout: seconds that the kernel may take.

        Raises:
            TimeoutError: The kernel is busy.
            Unavailable: The kernel does not answer.
        """
        async with self._client(kernel_id) as client:
            reply = await client.execute_interactive(
                "",
                silent=True,
                user_expressions={"value": expression},
                allow_stdin=False,
                output_hook=lambda _message: None,
                timeout=timeout,
            )
        found = reply["content"].get("user_expressions", {}).get("value", {})
        try:
            value = ast.literal_eval(str(found.get("data", {}).get("text/plain", "None")))
        except (SyntaxError, ValueError):
            return None
        return value if isinstance(value, str) else None

    async def idle(self, path: str) -> str | None:
        """Return the id of the kernel that a notebook has now; None when it has none, or one that works."""
        if not await ensure_async(self._sessions.session_exists(path=path)):
            return None
        session = await ensure_async(self._sessions.get_session(path=path))
        state = session["kernel"].get("execution_state")
        return None if state == "busy" else str(session["kernel"]["id"])

    async def spec(self, name: str) -> dict[str, Any] | None:
        """Return the contents of a kernel's kernel.json; None where this server has no such kernel."""
        try:
            found = await ensure_async(self._specs.get_kernel_spec(name))
        except (NoSuchKernel, ValueError):
            return None
        return dict(found.to_dict())

    async def execute(self, kernel_id: str, code: str, *, silent: bool = False) -> Executed:
        """Execute code and collect what it shows.

        Args:
            kernel_id: the kernel's id at this server.
            code: the source, in the kernel's language.
            silent: whether history and execution count stay as they are (`silent` of Jupyter's messages).

        Raises:
            Unavailable: The kernel does not answer, or it died meanwhile: out of memory, for instance.
        """
        outputs: list[Any] = []

        def collect(message: dict[str, Any]) -> None:
            if message["header"]["msg_type"] in _OUTPUTS:
                _append(outputs, v4.output_from_msg(message))  # type: ignore[no-untyped-call]

        async with self._client(kernel_id) as client:
            run = client.execute_interactive(code, silent=silent, allow_stdin=False, output_hook=collect)
            reply = await self._unless_it_dies(kernel_id, run)
        content = reply["content"]
        error = f"{content['ename']}: {content['evalue']}" if content["status"] == "error" else None
        return Executed(outputs=outputs, execution_count=content.get("execution_count"), error=error)

    @asynccontextmanager
    async def _client(self, kernel_id: str) -> AsyncIterator[AsyncKernelClient]:
        manager = self._kernels.get_kernel(kernel_id)
        # A session of its own: two clients of one identity would get each other's replies.
        client = AsyncKernelClient(parent=manager)
        client.load_connection_info(manager.get_connection_info())
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=READY_SECONDS)
            yield client
        except RuntimeError as error:
            raise Unavailable(f"the kernel of the debug notebook does not answer: {error}") from error
        finally:
            client.stop_channels()

    async def _unless_it_dies(self, kernel_id: str, work: Any) -> dict[str, Any]:
        """Await `work`; a kernel that dies would otherwise leave it waiting for ever."""
        died = asyncio.Event()

        def on_death() -> None:
            died.set()

        for event in ("restart", "dead"):
            self._kernels.add_restart_callback(kernel_id, on_death, event)
        task, death = asyncio.ensure_future(work), asyncio.ensure_future(died.wait())
        try:
            await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Unavailable("the kernel died while it restored the state (out of memory, perhaps)")
            reply: dict[str, Any] = task.result()
            return reply
        finally:
            task.cancel()
            death.cancel()
            for event in ("restart", "dead"):
                self._kernels.remove_restart_callback(kernel_id, on_death, event)


def _append(outputs: list[Any], output: Any) -> None:
    """Append an output; text that continues a stream joins it, as notebooks keep it."""
    last = outputs[-1] if outputs else None
    if last and output.output_type == last.output_type == "stream" and output.name == last.name:
        last.text += output.text
    else:
        outputs.append(output)


def _not_started(wanted: Wanted, error: Exception) -> Unavailable:
    return Unavailable(f"the kernel {wanted.name!r} did not start: {error}", kernel=wanted.name)
