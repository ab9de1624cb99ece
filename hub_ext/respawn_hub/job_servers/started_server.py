"""What the executor knows of one job server, from the moment when it asks the hub for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from respawn_jobs.api.job_server_protocol import ExpectedKernel, StartOrder


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
    awaited_until: float = 0.0
    """Up to when it is kept for attempts that are foreseen."""
    stopping: bool = False
    wake: Callable[[], None] = lambda: None
