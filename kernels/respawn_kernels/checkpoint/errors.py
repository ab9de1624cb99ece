"""The errors that taking and restoring a checkpoint end in."""

from __future__ import annotations


class SnapshotError(Exception):
    """A snapshot could not be taken or restored; the namespace is as it was."""


class CorruptBlob(SnapshotError):
    """A blob of a checkpoint is missing, or its bytes are not those that its name promises."""
