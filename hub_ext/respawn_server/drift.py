"""Whether the kernel behind a notebook is as its lock says, looked at before the notebook becomes a job.

The running kernel is asked. One that is busy or gone is not waited for: the directory of its build is
compared.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from respawn_environments.errors import KernelEnvironmentError
from respawn_environments.kernel_drift import ASK, PROPOSE, RunningKernel, build_of, drift_of_kernel, proposal
from respawn_environments.pins import kernel_of
from respawn_jobs.errors import RespawnError
from respawn_server.kernel import Kernels

logger = logging.getLogger(__name__)
_ASK_SECONDS = 60.0
_REMEMBERED_SECONDS = 60.0
_MAX_SENT, _MAX_LENGTH = 100, 1000


@dataclass(frozen=True)
class Proposal:
    """An environment.toml that was written for what a kernel has beside its lock."""

    path: str
    text: str


class DriftLooks:
    """Looks at kernels, and remembers the last look while a form is filled in.

    Args:
        kernels: those of the server.
    """

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._last: tuple[str, str | None, float, list[str]] | None = None
        """The notebook's path, its kernel, when the look began, and what was found."""
        self._looking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def look(self, path: str, text: str, *, fresh: bool) -> list[str]:
        """Return in what the kernel of a notebook is unlike the lock of its build, a sentence each.

        Args:
            path: the notebook's path below the server's root.
            text: the notebook.
            fresh: whether a look of the last minute does not do: then it is one that begins from now on.
        """
        named, asked = _kernel(text), time.monotonic()
        # One at a time for each notebook: each would hold its kernel up, and all say the same.
        async with self._looking.setdefault(path, asyncio.Lock()):
            last = self._last
            oldest = asked if fresh else asked - _REMEMBERED_SECONDS
            if last is not None and last[:2] == (path, named) and last[2] >= oldest:
                return last[3]
            begun = time.monotonic()
            found = await self._look(path, named)
            self._last = path, named, begun, found
            return found

    async def _look(self, path: str, named: str | None) -> list[str]:
        name = kernel_of(named) if named else None
        spec = await self._kernels.spec(name) if name else None
        found: list[str] = []
        if spec is not None and await asyncio.to_thread(build_of, spec) is not None:
            running = await self._running(path)
            try:
                drift = await asyncio.to_thread(drift_of_kernel, spec, running, chosen=named)
                found = [one.message[:_MAX_LENGTH] for one in drift][:_MAX_SENT]
            except (KernelEnvironmentError, OSError) as error:
                found = [f"the build of {name} cannot be compared with its lock: {error}"[:_MAX_LENGTH]]
        return found

    async def propose(self, path: str, text: str, directory: str, job: str) -> Proposal | None:
        """Write what a notebook's kernel has as the environment.toml of another environment, and return it.

        Nothing is written over one that is there, nor where the kernel cannot say what it has.

        Args:
            path: the notebook's path below the server's root.
            text: the notebook.
            directory: where the notebook lies.
            job: the job's name, after which the environment's directory is called.
        """
        wanted = Path(directory) / f"{job}-environment" / "environment.toml"
        proposed = await self._proposed(path, text) if not wanted.exists() else None
        if proposed is None:
            return None
        try:
            wanted.parent.mkdir(exist_ok=True)
            wanted.write_text(proposed, encoding="utf-8")
        except OSError as error:
            logger.warning("respawn: %s cannot be written: %s", wanted, error)
            return None
        return Proposal(str(wanted), proposed)

    async def _proposed(self, path: str, text: str) -> str | None:
        asked = await self._asked(path, PROPOSE)
        if asked is not None:
            return asked
        spec = await self._kernels.spec(kernel_of(_kernel(text) or ""))
        built = build_of(spec) if spec is not None else None
        try:
            return await asyncio.to_thread(proposal, built.python) if built is not None else None
        except KernelEnvironmentError as error:
            logger.warning("respawn: %s", error)
            return None

    def seen(self, path: str, text: str) -> list[str]:
        """Return what the last look found, however long ago; nothing where it was at another kernel.

        Args:
            path: the notebook's path below the server's root.
            text: the notebook.
        """
        last = self._last
        return last[3] if last is not None and last[:2] == (path, _kernel(text)) else []

    async def _running(self, path: str) -> RunningKernel | None:
        answer = await self._asked(path, ASK)
        try:
            return RunningKernel.read(json.loads(answer)) if answer is not None else None
        except ValueError:
            return None

    async def _asked(self, path: str, expression: str) -> str | None:
        kernel = await self._kernels.idle(path)
        if kernel is None:
            return None
        try:
            return await self._kernels.evaluate(kernel, expression, _ASK_SECONDS)
        except (RespawnError, TimeoutError):  # it is busy, or has just died
            return None


def _kernel(text: str) -> str | None:
    """Return the kernel that a notebook names, which may be one that is pinned to a build."""
    try:
        named = json.loads(text)["metadata"]["kernelspec"]["name"]
    except (LookupError, TypeError, ValueError):
        return None
    return str(named) if named else None
