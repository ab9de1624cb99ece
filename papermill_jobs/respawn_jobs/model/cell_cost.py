"""What a cell took of its machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from respawn_jobs.model.base import LARGEST, Model
from respawn_jobs.model.open_values import OPEN


class CellCost(Model):
    """What the kernel and the processes below it used while a cell ran, measured from outside."""

    cpu_seconds: float = Field(ge=0, allow_inf_nan=False)
    """User and system, of all processes; more than the cell's seconds where several cores work."""
    memory_bytes: int = Field(ge=0, le=LARGEST)
    """The most that they had in memory at a time, what was there before the cell too."""
    memory_measure: Annotated[Literal["pss", "rss"], OPEN] = "pss"
    """How memory was measured. pss: what processes share is counted once. rss: once for each of them."""
    read_bytes: int = Field(ge=0, le=LARGEST)
    written_bytes: int = Field(ge=0, le=LARGEST)
    """What they asked of files and pipes; what went through sockets and mapped memory is not counted."""


def total(costs: Iterable[CellCost | None]) -> CellCost | None:
    """Return what cells took together: sums, and the highest peak; None where nothing was measured."""
    known = [cost for cost in costs if cost is not None]
    if not known:
        return None
    highest = max(known, key=lambda cost: cost.memory_bytes)
    return CellCost(
        cpu_seconds=sum(cost.cpu_seconds for cost in known),
        memory_bytes=highest.memory_bytes,
        memory_measure=highest.memory_measure,
        read_bytes=sum(cost.read_bytes for cost in known),
        written_bytes=sum(cost.written_bytes for cost in known),
    )
