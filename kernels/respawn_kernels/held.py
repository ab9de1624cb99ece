"""What a held child, its kernel and the runner write for each other: files in `<spool>/holds`.

    <cell>.fifo        commands to the child, a line each: `save`, `drop`
    <cell>.held.json   written by the kernel once the child exists, or cannot: `Held`
    <cell>.json        written by the child as the last thing it does: `Report`
    kernel.json        written by the kernel before its first cell: `KernelFacts`
    saving             locked by whoever writes a checkpoint to the spool, or removes blobs from it

The child that holds the state after a cell is told by that cell's index.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from respawn_kernels.digest import digest_of, write_whole
from respawn_kernels.originals import dumps, loads

SAVE, DROP = b"save\n", b"drop\n"
MEGABYTE = 1 << 20


def process_name(spool: Path) -> str:
    """Return what held children and writers of a spool are called among the processes (15 characters)."""
    return f"held-{digest_of(os.fsencode(spool.resolve()))[:10]}"


@dataclass(frozen=True)
class KernelFacts:
    """What a kernel says of itself."""

    hash_seed: str
    """The seed by which it hashes texts, or `random`."""

    def write(self, spool: Path) -> None:
        """Say it. Raises OSError."""
        write_whole(spool / "holds" / "kernel.json", dumps(asdict(self)).encode(), durable=False)

    @classmethod
    def read(cls, spool: Path) -> KernelFacts | None:
        """Return what the kernel said; None when it did not, or it cannot be read."""
        try:
            return cls(**loads((spool / "holds" / "kernel.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Held:
    """Whether a child holds the state after a cell."""

    pid: int | None
    mode: Literal["fork", "none"]
    reason: str | None
    """Why there is none."""
    seconds: float
    """How long the kernel was kept waiting."""
    bytes: int
    """About how much memory the state takes."""


@dataclass(frozen=True)
class Report:
    """What became of a held child."""

    state: Literal["saved", "dropped", "failed"]
    reason: str | None = None
    seconds: float = 0.0
    """From the wish to save to the end."""
    cpu_seconds: float = 0.0
    peak_pss: int = 0
    """The most memory that kernel, child and writer were seen to take together."""
    written_bytes: int = 0


@dataclass(frozen=True)
class Options:
    """How children are held; the runner says so when it starts the agent."""

    fork: bool = True
    """False: never fork."""
    memory_mb: int | None = None
    """What kernel, child and writer may take together; None for the kernel and half of what is free."""
    variable_seconds: float = 20.0
    """How long one variable's pickling may take without a sign of life."""
    save_seconds: float = 600.0
    """How long a save may take in all."""

    @classmethod
    def from_json(cls, text: str | None) -> Options:
        """Read options. Raises ValueError or TypeError for what is none."""
        return cls(**loads(text)) if text else cls()

    def to_json(self) -> str:
        """Return them as a JSON document."""
        return dumps(asdict(self))


class Place:
    """Where the files of the state after one cell lie."""

    def __init__(self, spool: Path, cell: int) -> None:
        self.spool = spool
        self.cell = cell
        holds = spool / "holds"
        self.fifo = holds / f"{cell}.fifo"
        self.held = holds / f"{cell}.held.json"
        self.report = holds / f"{cell}.json"
        self.manifest = spool / "manifests" / f"{cell}.json"

    def write_held(self, held: Held) -> None:
        """Say whether there is a child. Raises OSError."""
        write_whole(self.held, dumps(asdict(held)).encode(), durable=False)

    def read_held(self) -> Held | None:
        """Return what the kernel said; None when it did not, or it cannot be read."""
        try:
            return Held(**loads(self.held.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write_report(self, report: Report) -> None:
        """Say how the child ended. Raises OSError."""
        write_whole(self.report, dumps(asdict(report)).encode(), durable=False)

    def read_report(self) -> Report | None:
        """Return what the child said; None when it did not, or it cannot be read."""
        try:
            return Report(**loads(self.report.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def tell(self, command: bytes) -> bool:
        """Give the child a command; False when there is no child to hear it."""
        try:
            descriptor = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            os.write(descriptor, command)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True


@contextmanager
def saving(spool: Path, *, wait: bool = True) -> Iterator[bool]:
    """Be the only one that writes checkpoints to a spool or removes blobs; yields False when others are.

    The lock goes with the process that has it, however that ends. Raises OSError when there can be none.
    """
    descriptor = os.open(spool / "holds" / "saving", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
