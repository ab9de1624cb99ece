"""Handlers of forks that cells registered: `os.register_at_fork`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from respawn_kernels.host.forking import register_for_cells, registered_by_cells


class ForkHandlers:
    """What cells registered, each call by itself. A registration cannot be taken back."""

    name = "#forks"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return how often cells registered handlers."""
        return len(registered_by_cells())

    def capture(self) -> list[dict[str, Any]] | None:
        """Return the handlers."""
        return registered_by_cells() or None

    def restore(self, value: list[dict[str, Any]], shell: Any | None) -> None:
        """Register what is missing."""
        for handlers in value[len(registered_by_cells()) :]:
            register_for_cells(handlers)
