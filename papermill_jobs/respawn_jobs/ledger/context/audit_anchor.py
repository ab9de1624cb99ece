"""The end of the audit trail as this machine last saw it, in a file outside of the database.

Who can write the database can cut the trail's end off, or put an older copy of it back: all that is left is
signed and in order. So each process that writes a record notes its number and hash here once it is committed,
and each that writes the next one looks whether that record is still there. What is found broken stays in the
file, for the trail grows over it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from respawn_jobs.errors import Corrupt, Unavailable
from respawn_jobs.keyring import write_private

logger = logging.getLogger(__name__)
FILE = "audit-head.json"
"""Its name in a data directory."""


class Head(BaseModel):
    """A record of the trail: its number, and its hash, which covers all before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int
    hash: str


class Anchored(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    signed_from: int | None = None
    """The first record that this machine signed: from it on all must be."""
    head: Head | None = None
    broken: list[Head] = []
    """Records that were written, and that were gone or others when the next one was written."""


class AuditAnchor:
    """The file; safe to share between threads and processes of one machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[int, int, int], Anchored] | None = None

    def read(self) -> Anchored:
        """Return what is noted; nothing where there is no file.

        Raises:
            Corrupt: the file is damaged.
            Unavailable: the file cannot be read.
        """
        try:
            status = self.path.stat()
            mark = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._known is None or self._known[0] != mark:
                self._known = (mark, Anchored.model_validate_json(self.path.read_text()))
        except FileNotFoundError:
            return Anchored()
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise Corrupt(f"{self.path} is damaged: it tells no end of the audit trail") from error
        return self._known[1]

    def advance(self, head: Head, *, signed: bool, broken: Head | None = None) -> None:
        """Note a record that was committed, and the one before it that was found broken.

        The act that was recorded is done, so a file that cannot be written is only logged.

        Args:
            head: the record that was committed.
            signed: whether it is signed.
            broken: a record that this machine saw and that is gone or changed since; None when there is none.
        """
        try:
            with self._locked():
                before = self.read()
                further = before.head is None or head.seq > before.head.seq or broken is not None
                after = Anchored(
                    signed_from=before.signed_from or (head.seq if signed else None),
                    head=head if further else before.head,
                    broken=[*before.broken, broken]
                    if broken and broken not in before.broken
                    else before.broken,
                )
                if after != before:
                    write_private(self.path, after.model_dump_json() + "\n", sync=False)
        except (Unavailable, Corrupt, OSError) as error:
            logger.warning("the end of the audit trail is not noted outside of the database: %s", error)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(handle) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
