"""Checkpoints of a run as clients of the service see them."""

from __future__ import annotations

from respawn_jobs.model.base import Many, Model, Whole


class Unstored(Model):
    """A variable that a checkpoint could not keep."""

    name: str
    type: str
    reason: str
    cell: Whole | None = None
    """The cell that made its present value."""


class Unchecked(Model):
    """Variables that a checkpoint holds and that nobody loaded and compared with what they were."""

    reason: str
    names: Many[str]
    """The first of them, in the order of their names."""
    count: Whole
    """How many there are."""

    @property
    def named(self) -> str:
        """The names as a person reads them."""
        more = self.count - len(self.names)
        return ", ".join(self.names) + (f" and {more:,} more" if more > 0 else "")


class Checkpoint(Model):
    """The kernel's variables just after a cell."""

    cell: Whole
    manifest: str
    """Digest of the manifest; the manifest names the blobs."""
    variables: Whole
    size: Whole
    """Bytes of all blobs that the manifest names."""
    new_bytes: Whole = 0
    """Bytes that were not stored before."""
    seconds: float = 0.0
    """How long the kernel was kept waiting."""
    unstored: Many[Unstored] = []
    unchecked: Many[Unchecked] = []
