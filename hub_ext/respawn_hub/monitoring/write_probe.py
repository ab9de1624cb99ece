"""Proves from time to time that the stores take a write: of a full disk all can still be read.

A loop of its own: a disk that hangs must hold up no other report.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from respawn_hub.monitoring.health import HealthPart
from respawn_jobs.errors import RespawnError
from respawn_jobs.host.write_probe import prove_room
from respawn_jobs.ledger.operations.notice_ops import Operations

logger = logging.getLogger(__name__)
_FILES_SECONDS = 15.0
_OBJECTS_SECONDS = 300.0
"""Object stores are paid by the write."""
_TROUBLE_SECONDS = 5.0
_HANGS_SECONDS = 60.0
"""How long one proof may take before its part is reported as hanging."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_FULL = HealthPart(status="degraded", detail="has no room left: nothing can be recorded until there is")
_REFUSED = HealthPart(status="degraded", detail="takes no writes: see the service's log")


class Writes:
    """What is known of whether database, blob store and data directory take writes.

    Args:
        ledger: proves the writes of database and blob store.
        data: the service's data directory, in which a small file proves that there is room.
        monotonic: a clock of seconds that is never set back.
    """

    def __init__(
        self, ledger: Operations, data: Path, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._proofs: dict[str, Callable[[], None]] = {
            "database writes": ledger.prove_database_writes,
            "blob writes": ledger.prove_blob_writes,
            "data directory": lambda: prove_room(data),
        }
        self._rest = {"blob writes": _FILES_SECONDS if ledger.blobs_are_files else _OBJECTS_SECONDS}
        self._now = monotonic
        self._known: dict[str, HealthPart] = {}
        self._proved: dict[str, float] = {}
        self._begun: tuple[str, float] | None = None

    def tick(self) -> float:
        """Prove what is due. Returns the seconds to rest."""
        for name, prove in self._proofs.items():
            before = self._known.get(name)
            rest = self._rest.get(name, _FILES_SECONDS)
            rest = _TROUBLE_SECONDS if before is not None and before.status != "ok" else rest
            if self._now() - self._proved.get(name, float("-inf")) < rest:
                continue
            self._begun = name, self._now()
            found, why = _proved(prove)
            self._begun, self._proved[name] = None, self._now()
            if found != (before or HealthPart(status="ok")):
                logger.warning("%s: %s", name, why or "there is room again")
            self._known[name] = found
        return _TROUBLE_SECONDS

    def parts(self) -> dict[str, HealthPart]:
        """Return what is known, for the service's health."""
        return dict(self._parts())

    def _parts(self) -> Iterator[tuple[str, HealthPart]]:
        begun = self._begun
        for name in self._proofs:
            hangs = self._now() - begun[1] if begun is not None and begun[0] == name else 0.0
            if hangs > _HANGS_SECONDS:
                yield name, HealthPart(status="degraded", detail=f"has not taken a write for {hangs:.0f} s")
            else:
                yield name, self._known.get(name, HealthPart(status="ok"))


def _proved(prove: Callable[[], None]) -> tuple[HealthPart, str]:
    try:
        prove()
    except (RespawnError, OSError) as error:
        return _FULL if _says_full(error) else _REFUSED, str(error)
    return HealthPart(status="ok"), ""


def _says_full(error: BaseException | None) -> bool:
    """Return whether an error, or what it comes from, is a disk without room."""
    while error is not None:
        if getattr(error, "errno", None) in _NO_ROOM or "no room left" in str(error):
            return True
        error = error.__cause__
    return False
