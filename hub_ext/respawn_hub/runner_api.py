"""What the handlers of the runners' API share, found through the request; small, for a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import Depends, Request

from respawn_jobs.ledger import Ledger

T = TypeVar("T")
_RUNNER_THREADS = 16


class Threads:
    """A few threads of their own for one kind of work, which other kinds can never keep busy."""

    def __init__(self, count: int) -> None:
        self._limiter = anyio.CapacityLimiter(count)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do work that blocks, once a thread is free."""
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._limiter)


@dataclass(frozen=True)
class RunnerApi:
    """The objects that answer runners."""

    ledger: Ledger
    uploads: Path
    """Directory that bytes pass through on their way to the blob store."""
    wake: Callable[[], None]
    """Tell the loops of the service that something changed."""
    threads: Threads = field(default_factory=lambda: Threads(_RUNNER_THREADS))
    """Runners are heard however many people ask: an unheard one loses its lease."""


async def runner_api(request: Request) -> RunnerApi:
    """Return what answers runners."""
    found: RunnerApi = request.app.state.runner_api
    return found


RunnerApiDep = Annotated[RunnerApi, Depends(runner_api)]
