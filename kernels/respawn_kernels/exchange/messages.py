"""What a held child, its kernel and the runner write for each other: files in `<spool>/holds`.

    <cell>.fifo        commands to the child, a line each: `save`, `drop`
    <cell>.held.json   written by the kernel once the child exists, or cannot: `Held`
    <cell>.json        written by the child as the last thing it does: `HoldReport`
    kernel.json        written by the kernel before its first cell: `KernelFacts`
    saving             locked by whoever writes a checkpoint to the spool, or removes blobs from it

`<cell>` is the index of the cell after which a child holds the state.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from respawn_kernels.digest import digest_of, write_whole
from respawn_kernels.exchange.versions import known_fields
from respawn_kernels.originals import dumps, loads

SAVE, DROP = b"save\n", b"drop\n"
MEBIBYTE = 1 << 20
GROUP_PREFIX = "respawn-run-"
"""What the control group of a kernel is called, behind which its runner and a number stand."""


def process_name(spool: Path) -> str:
    """Return what held children and writers of a spool are called among the processes (15 characters)."""
    return f"held-{digest_of(os.fsencode(spool.resolve()))[:10]}"


@dataclass(frozen=True)
class KernelFacts:
    """What a runner must know of a kernel."""

    hash_seed: str
    """The seed by which it hashes texts, or `random`."""
    protocol: int = 1
    can: tuple[str, ...] = ()
    """See `versions.CAPABILITIES`."""

    def write(self, spool: Path) -> None:
        """Write it into a spool. Raises OSError."""
        write_whole(spool / "holds" / "kernel.json", dumps(asdict(self)).encode(), durable=False)

    @classmethod
    def read(cls, spool: Path) -> KernelFacts | None:
        """Return what the kernel wrote; None when there is nothing, or it cannot be read."""
        try:
            facts = known_fields(cls, loads((spool / "holds" / "kernel.json").read_bytes()))
            return replace(facts, can=tuple(facts.can))
        except (OSError, ValueError, TypeError):
            return None


@dataclass(frozen=True)
class Held:
    """Whether a child holds the state after a cell."""

    pid: int | None
    """Process id of the child; None when there is none."""
    mode: Literal["fork", "none"]
    reason: str | None
    """Why there is none; None when there is one."""
    seconds: float
    """How long the kernel was kept waiting."""
    bytes: int
    """About how much memory the state takes."""


@dataclass(frozen=True)
class HoldReport:
    """What became of a held child."""

    state: Literal["saved", "dropped", "failed"]
    reason: str | None = None
    seconds: float = 0.0
    """From the request to save to the end."""
    cpu_seconds: float = 0.0
    """Processor time of its writers."""
    peak_pss: int = 0
    """The most bytes of memory that kernel, child and writer were measured to take together; 0: never."""
    written_bytes: int = 0


@dataclass(frozen=True)
class Options:
    """How children are held; the runner passes it when it starts the agent."""

    fork: bool = True
    """False: never fork."""
    memory_mb: int | None = None
    """MiB that kernel, child and writer may take together; None for the kernel and half of what is free."""
    kernel_memory_bytes: int | None = None
    """Bytes at which somebody else ends the kernel; None for no such limit."""
    variable_seconds: float = 20.0
    """How long one variable's pickling may take; a process that computes in C is given ten times that."""
    save_seconds: float = 600.0
    """How long a save may take in all."""

    @classmethod
    def from_json(cls, text: str | None) -> Options:
        """Read options. Raises ValueError or TypeError for what is none."""
        return known_fields(cls, loads(text)) if text else cls()

    def to_json(self) -> str:
        """Return them as a JSON document."""
        return dumps(asdict(self))


class HeldChildFiles:
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
        """Write whether there is a child. Raises OSError."""
        write_whole(self.held, dumps(asdict(held)).encode(), durable=False)

    def read_held(self) -> Held | None:
        """Return what the kernel wrote; None when there is nothing, or it cannot be read."""
        try:
            return known_fields(Held, loads(self.held.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write_report(self, report: HoldReport) -> None:
        """Write how the child ended. Raises OSError."""
        write_whole(self.report, dumps(asdict(report)).encode(), durable=False)

    def read_report(self) -> HoldReport | None:
        """Return the child's report; None when there is none, or it cannot be read."""
        try:
            return known_fields(HoldReport, loads(self.report.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def tell(self, command: bytes) -> bool:
        """Send the child a command, `SAVE` or `DROP`; return False when there is no child."""
        try:
            # Without a reader this fails at once (ENXIO, fifo(7)): the child has ended. A command is so short
            # that those of several processes do not mix (PIPE_BUF, pipe(7)).
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
    """Become the only one that writes checkpoints to a spool or removes blobs; yields False when it is not.

    The lock (flock(2)) is released with the process that has it, however that ends.

    Args:
        spool: the directory of the checkpoints.
        wait: wait for the lock; else yield False while another one has it.

    Raises:
        OSError: the file of the lock cannot be opened.
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
