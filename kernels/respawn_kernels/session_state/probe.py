"""What a probe of the session's state does, and what it may return.

Libraries add their own by the entry point `respawn.session_state`; docs/reference/session-state.md says how.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol


class Probe(Protocol):
    """One part of the session's state. None of its methods imports a library that is not loaded.

    Three attributes are optional. `withdraw`, a method, takes back what `restore` added of a value, before
    the part is restored once more in one session: what is registered for a class would stay registered for
    the class of the first time. `first`, False where it is missing, says that the part is restored before
    variables are loaded, since loading depends on it. `before_fork`, True where it is missing, says that the
    part is captured in the kernel itself, which waits for it, and not in the writer: forking changes process
    ids and generators, and a held child has other signal handlers, timers, limits, descriptors and settings
    of the garbage collector and of tracing (`hold`). Only a part that takes long and of which none of this
    is told says False.
    """

    name: str
    """Starts with `#`, which no variable can; in `catalogue.CATALOGUE`, or of an entry point."""

    def fingerprint(self) -> Hashable:
        """Return what differs when the part differs; cheap, for it is asked after every cell."""

    def capture(self) -> Any | None:
        """Return the part as a value that can be pickled; None when there is nothing to keep.

        `Parts` keeps several values apart from each other; `Lost`, alone or among them, says that something
        cannot be kept.
        """

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set the part to what `capture` returned in another process.

        Args:
            value: what was captured; of `Parts` those that could be stored and loaded, as a dictionary.
            shell: the IPython shell, where there is one.

        Raises:
            NotSet: some of it could not be set.
        """


class Parts(dict[str, Any]):
    """Several values of one probe, each stored by itself: one that cannot be pickled harms no other."""


class Marks(tuple[tuple[str, Hashable], ...]):
    """A fingerprint of `Parts`: pairs of a part and what tells it, so that a cell is noted for each part."""


@dataclass(frozen=True)
class Lost:
    """Something that cannot be kept: it is named wherever a restore is planned or looked at."""

    reason: str
    kind: str = "session"
    """What it is, as a type is for a variable."""
    variable: str | None = None
    """The variable that is it; that is the one which is named then."""


class NotSet(Exception):
    """Some of what a probe restores could not be set; the rest was.

    Args:
        reasons: by what was not set.
    """

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        return "; ".join(f"{what}: {why}" for what, why in self.reasons.items())
