"""What every executor can do: start a runner, end it, and tell which have died.

An executor knows attempts and their tokens, nothing of runs. A runner reports to the service by itself;
`probe` only adds what a dead runner can no longer say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from respawn_jobs.model.kernels import ForeseenRun, JobPlace

NEAR_SECONDS = 5.0
"""How long before an attempt kernels are prepared: runner, zygote and kernel take a second each."""


class Executor(Protocol):
    """Starts runners somewhere."""

    @property
    def outlives(self) -> bool:
        """Whether runners go on when the process of this executor ends; another one then finds them."""

    def places(self, waiting: Callable[[], Sequence[JobPlace]]) -> Mapping[JobPlace, int] | None:
        """Return for how many attempts of each namespace and profile there is a place; None where any may.

        Args:
            waiting: Returns the namespaces and profiles that have runs to start: places may be made for them.
        """

    def submit(self, attempt: str, token: str, place: JobPlace) -> None:
        """Start a runner for an attempt; returns without waiting for it to claim.

        Args:
            attempt: The attempt's id.
            token: What the runner proves itself with; never logged.
            place: Whose job it executes, and its profile.

        Raises:
            Unavailable: no runner could be started.
        """

    @property
    def ahead(self) -> float:
        """How many seconds before attempts come it is told of them first."""

    def expect(self, runs: Sequence[ForeseenRun] = (), seconds: float = NEAR_SECONDS) -> None:
        """Prepare for attempts that are foreseen; returns at once, and promises nothing.

        Args:
            runs: One for each attempt, in their order; empty where it is not known which.
            seconds: Within which time they come: `NEAR_SECONDS`, or `ahead`, which is longer.
        """

    def cancel(self, attempt: str) -> None:
        """End an attempt's runner at once: it acts for nothing any more, and does not stop by itself."""

    def probe(self) -> list[tuple[str, str]]:
        """Return attempts whose runner was found dead since the last call, each with the reason."""

    def living(self) -> set[str]:
        """Return the attempts whose runner still lives."""

    def close(self) -> None:
        """End all runners and wait until they are gone."""
