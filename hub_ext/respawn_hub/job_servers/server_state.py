"""A job server as the executor knows it: by what the hub and the server itself have said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from respawn_jobs.api.job_server_protocol import ExpectedKernel, JobServerOrders, KeptKernelReport, StartOrder
from respawn_jobs.ledger.context.job_places import ServerKind

FRESH_SECONDS = 12.0
"""How long a job server may report nothing before it gets nothing new: it reports every five seconds."""


@dataclass
class ServerState:
    """A job server, and what is known of it."""

    name: str
    kind: ServerKind
    since: float
    """When it was asked for, or first heard of."""
    slots: int
    """How many attempts it executes at once."""
    heard: float | None = None
    """When it last reported; None while it starts."""
    registered: bool = False
    """Whether it registered with a process before this one, from which it was taken over."""
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
    kept: list[KeptKernelReport] = field(default_factory=list)
    """Kernels of failed runs that live on there."""

    @property
    def starts(self) -> bool:
        """Whether it has yet to register."""
        return self.heard is None and not self.registered

    @property
    def idle(self) -> bool:
        """Whether it has said that it executes no attempts, and keeps no kernels of failed runs."""
        return self.heard is not None and not self.living and not self.kept

    def free(self, now: float) -> int:
        """Return how many more attempts it can be given.

        Args:
            now: the present moment, on the clock of `heard`.
        """
        if self.heard is None or now - self.heard > FRESH_SECONDS:
            return 0
        return max(0, self.slots - len(self.living))

    def order(self, attempt: str, token: str) -> None:
        """Have it start a runner.

        Args:
            attempt: the attempt's id.
            token: what the runner proves itself with; never logged.
        """
        self.living.add(attempt)
        self.start.append(StartOrder(attempt=attempt, token=token))
        self.wake()

    def take_orders(self) -> JobServerOrders:
        """Return and forget what it is to do now."""
        orders = JobServerOrders(start=self.start, cancel=self.cancel, expect=self.expect)
        self.handed |= {order.attempt for order in self.start}
        self.start, self.cancel, self.expect = [], [], []
        return orders
