"""A job server as one replica of the service knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from respawn_jobs.api.job_server_protocol import ExpectedKernel, KeptKernelReport, StartOrder


@dataclass
class StartedServer:
    """A job server, and what is known of it."""

    name: str
    account: str
    since: float
    """When it was asked for, or first heard of."""
    heard: float | None = None
    """When it last reported; None while it starts."""
    looked: float = 0.0
    living: set[str] = field(default_factory=set)
    """Attempts that it executes, with those that it was ordered to."""
    handed: set[str] = field(default_factory=set)
    """Attempts that it was handed and has not said to have heard of."""
    idle_since: float = 0.0
    start: list[StartOrder] = field(default_factory=list)
    cancel: list[str] = field(default_factory=list)
    expect: list[ExpectedKernel] = field(default_factory=list)
    kept: list[KeptKernelReport] = field(default_factory=list)
    """Kernels of failed runs that live on there."""
    awaited_until: float = 0.0
    """Up to when it is kept for attempts that are foreseen."""
    stopping: bool = False
    wake: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """Whether it executes attempts, or kernels of failed runs live on there."""
        return bool(self.living or self.kept)
