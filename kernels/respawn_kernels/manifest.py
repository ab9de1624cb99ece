"""The manifest of a checkpoint: which variables it holds, in which blobs, and what it could not hold.

A checkpoint directory, whether a spool that a kernel writes or a download that a kernel restores from, is

    <directory>/manifests/<cell>.json     one manifest per boundary, written last and whole
    <directory>/blobs/<digest>            content-addressed data, named by the BLAKE3 of its bytes

Manifests are JSON and never need unpickling to be read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class StoredVariable:
    """A variable that the checkpoint holds."""

    name: str
    type: str
    """Qualified name of its class, such as `pandas.DataFrame`."""
    description: str
    """Shape, length or a short value; safe to show."""
    size: int | None
    """Bytes in memory where the object tells cheaply."""
    cell: int | None = None
    """The cell after which the name first appeared."""


@dataclass(frozen=True)
class UnstoredVariable:
    """A variable that the checkpoint could not hold."""

    name: str
    type: str
    reason: str
    cell: int | None = None


@dataclass(frozen=True)
class Blob:
    """A blob that the checkpoint needs."""

    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a kernel's namespace was just after a cell."""

    cell: int
    engine: str
    """Which snapshot engine wrote it, such as `plain`; the same engine reads it."""
    python: str
    cwd: str
    execution_count: int
    variables: list[StoredVariable]
    unstored: list[UnstoredVariable]
    blobs: list[Blob]
    seconds: float = 0.0
    """How long the kernel was kept waiting."""
    payload: dict[str, Any] = field(default_factory=dict)
    """The engine's own part: which blob is which."""
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the manifest as a JSON document."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read a manifest. Raises ValueError for a format that this version does not know."""
        data = json.loads(text)
        if data.get("format") != FORMAT:
            raise ValueError(f"checkpoint format {data.get('format')!r} is not known here (known: {FORMAT})")
        return cls(
            **{
                **data,
                "variables": [StoredVariable(**v) for v in data["variables"]],
                "unstored": [UnstoredVariable(**v) for v in data["unstored"]],
                "blobs": [Blob(**b) for b in data["blobs"]],
            }
        )
