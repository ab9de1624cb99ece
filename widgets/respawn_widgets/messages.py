"""What passes between the cluster panel in the browser and the kernel.

The browser sends a `Request`, and each gets one `Reply` with the same `id`. The kernel keeps `ClusterState`
as a synchronized trait named `state`.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class WorkerState(TypedDict):
    """One worker process."""

    name: str
    memory: int
    """Bytes in use, in steps of a mebibyte."""
    limit: int
    """Bytes it may use; 0 when it has no limit."""
    threads: int
    tasks: int
    """Tasks it works on or has queued."""


class ClusterState(TypedDict):
    """What the panel shows."""

    open: bool
    """False once the cluster was closed, from here or elsewhere."""
    wanted: int
    """How many workers it was scaled to."""
    most: int
    """The end of the slider."""
    workers: list[WorkerState]
    dashboard: str | None


class Request(TypedDict):
    """What the browser asks for."""

    id: int
    kind: Literal["look", "scale", "close"]
    """`look`: send the state now, and from now on when it changes."""
    workers: NotRequired[int]
    """For `scale`: how many."""


class Done(TypedDict):
    """The request was carried out."""

    id: int
    ok: Literal[True]


class Refused(TypedDict):
    """The request was not carried out."""

    id: int | None
    """None when the request had none that could be read."""
    ok: Literal[False]
    error: str


Reply = Done | Refused
