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
    the class of the first time. `first`, False where it is missing, means that the part is restored before
    variables are loaded, since loading depends on it. `before_fork`, True where it is missing, means that the
    part is captured in the kernel itself, which waits for it, and not in the writer: forking changes process
    ids and generators, and a held child has other signal handlers, timers, limits, descriptors and settings
    of the garbage collector and of tracing (`fork.fork`). It is False only for a part that takes long to
    capture and contains none of these.
    """

    name: str
    """Starts with `#`, which no variable can; in `catalogue.CATALOGUE`, or of an entry point."""

    def fingerprint(self) -> Hashable:
        """Return a value that differs when the part does; cheaply, since it is called after every cell."""

    def capture(self) -> Any | None:
        """Return the part as a value that can be pickled; None when there is nothing to store.

        `Parts` keeps several values apart from each other; `Lost`, alone or among them, stands for something
        that cannot be stored.
        """

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set the part to what `capture` returned in another process.

        Args:
            value: what was captured; of `Parts` those that could be stored and loaded, as a dictionary.
            shell: the IPython shell; None where there is none.

        Raises:
            NotSet: some of it could not be set; the rest was.
            Exception: any other is taken for the reason why the part could not be set.
        """


class Parts(dict[str, Any]):
    """Several values of one probe, each stored by itself: one that cannot be pickled leaves out no other."""


class Marks(tuple[tuple[str, Hashable], ...]):
    """A fingerprint of `Parts`: pairs of a part and its own fingerprint; so each part has a cell noted."""


@dataclass(frozen=True)
class Lost:
    """Something that cannot be stored: it is named wherever a restore is planned or shown."""

    reason: str
    kind: str = "session"
    """What it is, as a type is for a variable."""
    variable: str | None = None
    """The variable whose value it is, which is then named in place of the part; None for no variable."""


class NotSet(Exception):
    """Some of what a probe restores could not be set; the rest was.

    Args:
        reasons: why each was not set, by its name.
    """

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        return "; ".join(f"{what}: {why}" for what, why in self.reasons.items())
