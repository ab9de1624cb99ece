"""What a probe of the session's state does.

Libraries add their own by the entry point `respawn.session_state`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol


class Probe(Protocol):
    """One part of the session's state. None of its methods imports a library that is not loaded."""

    name: str
    """Starts with `#`, which no variable can; in `catalogue.CATALOGUE`, or of an entry point."""

    def fingerprint(self) -> Hashable:
        """Return what differs when the part differs; cheap, for it is asked after every cell."""

    def capture(self) -> Any | None:
        """Return the part as a value that can be pickled; None when there is nothing to keep."""

    def restore(self, value: Any, shell: Any | None) -> None:
        """Set the part to what `capture` returned in another process.

        Args:
            value: what was captured.
            shell: the IPython shell, where there is one.
        """
