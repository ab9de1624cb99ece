"""What the handlers of the runners' API share, found through the request; small, for a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from respawn_hub.web.threads import Threads
from respawn_jobs.ledger import Ledger

_RUNNER_THREADS = 16


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
