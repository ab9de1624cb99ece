"""What one cell did, or why that cannot be known."""

from __future__ import annotations

from dataclasses import dataclass, field


class Opaque(Exception):
    """The cell may do anything; the message says why."""


@dataclass
class Trace:
    """What one cell did."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    sure: set[str] = field(default_factory=set)
    """Names that it has bound by now, whatever happened."""
    changed: set[int] = field(default_factory=set)
    """Regions with objects that it may have changed."""
    uses: set[str] = field(default_factory=set)
    """Modules whose code it may run or whose values it may use."""
    reads_all: str | None = None
    """Why every variable may matter to it."""
    looked_up: set[str] = field(default_factory=set)
    """Libraries that look up the names in texts that are known."""
    steps: int = 0
