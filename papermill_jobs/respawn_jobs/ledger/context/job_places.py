"""Where jobs run: the profiles of servers that there are, and the kernels that these servers have.

Beside the service there is one place, the service's own machine. With servers of the hub there are as many as
accounts and profiles. What a server has is what it said last: before the first one, nothing is known.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.model.kernels import JobPlace, OfferedProfile, ServerKernel
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.store.tables import JobRow

_SHOWN = 12
"""Kernels that a message names."""


class ServerKind(NamedTuple):
    """What tells the job servers apart: there is one of each kind at most."""

    account: str
    """The hub's user whose server it is."""
    profile: str | None = None
    """What it is started with; None for the Spawner's own default."""

    @property
    def words(self) -> str:
        """The kind, for people."""
        return f"{self.account} (profile {self.profile})" if self.profile else self.account


class Beside(NamedTuple):
    """The service's own machine, where runs execute as its account."""

    profile: str | None = None
    """The profile by which they come there; None where there are none."""


class JobPlaces(Protocol):
    """Which places there are for jobs."""

    def check(self, profile: str, namespace: str) -> None:
        """Raise `InvalidInput`, naming those there are, for a profile that a namespace may not use."""

    def kind(self, place: JobPlace) -> ServerKind | Beside:
        """Return whose server a job gets, or that it runs beside the service.

        Args:
            place: the job's namespace and profile.

        Raises:
            Unavailable: there is no such server, as its profile or its team's account is not defined.
        """

    def offered(self, namespace: str) -> list[OfferedProfile]:
        """Return the profiles that jobs of a namespace may use, without their kernels."""


class BesideTheService:
    """All jobs run on the service's machine, or in the command that runs them."""

    def check(self, profile: str, namespace: str) -> None:
        """Raise `InvalidInput`: there is no profile."""
        raise InvalidInput(
            f"there is no profile {profile!r}: jobs run on the service's machine here. Leave the profile "
            "out, or let them run in servers of the hub (executor='hub')",
            profile=profile,
            field="profile",
        )

    def kind(self, place: JobPlace) -> Beside:
        """Return that it runs there, unless it wants a profile. Raises Unavailable then."""
        if place.profile is not None:
            raise Unavailable(
                f"the profile {place.profile}: this service has none, as its jobs run beside it. Give the "
                "job its default: respawn settings JOB --default profile",
                profile=place.profile,
            )
        return Beside()

    def offered(self, namespace: str) -> list[OfferedProfile]:
        """Return none."""
        return []


@dataclass(frozen=True)
class Catalog:
    """The kernels of one kind of server, as one of them said last."""

    kind: ServerKind
    kernels: dict[str, ServerKernel]
    seen_at: datetime

    @property
    def names(self) -> str:
        """The names of the kernels, for people."""
        names = sorted(self.kernels)
        more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        return ", ".join([*names[:_SHOWN], *more]) or "none"


class ServerKernels:
    """The catalogues of all kinds of servers, safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[ServerKind, Catalog] = {}
        self._lock = threading.Lock()

    def note(self, kind: ServerKind, kernels: Sequence[ServerKernel], seen_at: datetime) -> None:
        """Take note of what a server has said.

        Args:
            kind: the server's kind.
            kernels: all kernels that it has.
            seen_at: when it said so.
        """
        with self._lock:
            self._known[kind] = Catalog(kind, {one.name: one for one in kernels}, seen_at)

    def of(self, kind: ServerKind) -> Catalog | None:
        """Return what servers of a kind have; None where none has said it yet."""
        with self._lock:
            return self._known.get(kind)


def place_of(job: JobRow) -> JobPlace:
    """Return where a job runs by its settings of now."""
    return JobPlace(job.namespace, (job.settings or {}).get("profile"))


def check_profile(
    places: JobPlaces, namespace: str, settings: JobSettings, names: Collection[str] = ("profile",)
) -> None:
    """Refuse a profile that there is not, or not for a namespace.

    Args:
        places: which there are.
        namespace: the job's.
        settings: the job's.
        names: the settings that were given; others were refused or taken before.

    Raises:
        InvalidInput: it cannot be used; the message names those that can.
    """
    if "profile" in names and settings.profile is not None:
        places.check(settings.profile, namespace)


def missing_kernel(kernel: str, known: Catalog) -> str:
    """Return that a kind of server has no such kernel, in a sentence."""
    seen = f"{known.seen_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"The job servers of {known.kind.words} have no kernel {kernel}; at {seen} they had: {known.names}."
    )
