"""Threads of their own for work that blocks, so that no other kind of work can keep them busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


class Threads:
    """A few threads of their own for one kind of work, which other kinds can never keep busy."""

    def __init__(self, count: int) -> None:
        self._limiter = anyio.CapacityLimiter(count)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do work that blocks, once a thread is free."""
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._limiter)
