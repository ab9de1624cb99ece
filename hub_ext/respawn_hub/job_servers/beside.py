"""Runners beside the service, for jobs whose profile lets them run there: as the service's account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from respawn_hub.job_servers.places import HubPlaces
from respawn_jobs.errors import Unavailable
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.executors.local import LocalExecutor
from respawn_jobs.ledger.context.job_places import Beside
from respawn_jobs.model.kernels import ForeseenRun, JobPlace


class BesideExecutor(LocalExecutor):
    """A `LocalExecutor` for the jobs of some profiles alone, and not for those of servers of the hub."""

    def __init__(
        self, url: str, where: HubPlaces, *, max_running: int, freed: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare, as the base does.

        Args:
            url: where runners reach the service.
            where: which jobs run here.
            max_running: how many attempts may run at once.
            freed: called, from any thread, when a place has become free or a runner has died.
        """
        super().__init__(url, max_running=max_running, freed=freed)
        self._where = where

    def places(self, waiting: Callable[[], Sequence[JobPlace]]) -> Mapping[JobPlace, int]:
        """Return the free places; all that waits for one shares them.

        Args:
            waiting: returns the namespaces and profiles that have runs to start.
        """
        left, found = max(0, self.max_running - len(self.living())), {}
        for place in waiting():
            if self._is_here(place):
                found[place], left = left, 0
        return found

    def expect(self, runs: Sequence[ForeseenRun] = (), seconds: float = NEAR_SECONDS) -> None:
        """Have kernels come up for attempts that are foreseen here, within seconds of them.

        Args:
            runs: one for each attempt that is foreseen, wherever it will run.
            seconds: within which time they come.
        """
        here = [run for run in runs if self._is_here(run.place)]
        if here and seconds <= NEAR_SECONDS:
            super().expect(here, seconds)

    def _is_here(self, place: JobPlace) -> bool:
        try:
            return isinstance(self._where.kind(place), Beside)
        except Unavailable:
            return False
