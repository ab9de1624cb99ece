"""Executors without processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.model.kernels import ForeseenRun, JobPlace


class NoPlaces:
    """An executor that starts nothing, and any attempt alike."""

    outlives = False
    ahead = NEAR_SECONDS

    def places(self, waiting: Callable[[], Sequence[JobPlace]]) -> None:
        """Let any attempt have a place."""

    def submit(self, attempt: str, token: str, place: JobPlace) -> None:
        """Refuse."""
        raise Unavailable("nothing is started here")

    def cancel(self, attempt: str) -> None:
        """Do nothing: nothing runs."""

    def expect(self, runs: Sequence[ForeseenRun] = (), seconds: float = NEAR_SECONDS) -> None:
        """Prepare nothing."""

    def probe(self) -> list[tuple[str, str]]:
        """Say that nobody died."""
        return []

    def living(self) -> set[str]:
        """Say that nobody lives."""
        return set()

    def close(self) -> None:
        """Do nothing."""
