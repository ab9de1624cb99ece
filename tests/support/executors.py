"""Executors without processes."""

from __future__ import annotations

from collections.abc import Sequence

from respawn_jobs.errors import Unavailable
from respawn_jobs.model.kernels import WantedKernel


class NoPlaces:
    """An executor that starts nothing."""

    def submit(self, attempt: str, token: str) -> None:
        """Refuse."""
        raise Unavailable("nothing is started here")

    def cancel(self, attempt: str) -> None:
        """Do nothing: nothing runs."""

    def expect(self, kernels: Sequence[WantedKernel] = ()) -> None:
        """Prepare nothing."""

    def probe(self) -> list[tuple[str, str]]:
        """Say that nobody died."""
        return []

    def living(self) -> set[str]:
        """Say that nobody lives."""
        return set()

    def close(self) -> None:
        """Do nothing."""
