"""Which job server a job gets: of the account of its namespace, by the profile of its settings.

Profiles may be for namespaces and for groups of the hub alone. Who is in which group the hub says once a
minute, and whenever somebody comes in: until then nobody is taken for a member, or for none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from respawn_hub.job_servers.accounts import Accounts
from respawn_jobs.api.job_profiles import EVERYWHERE, JobProfile, Profiles
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.ledger.context.job_places import Beside, ServerKind
from respawn_jobs.model.kernels import JobPlace, OfferedProfile

Groups = Callable[[str], frozenset[str] | None]
"""The groups of a user of the hub; None where they are not known yet."""
_USER, _TEAM = "user/", "team/"


class HubPlaces:
    """The places of a service whose jobs run in servers of the hub: `ledger.context.job_places.JobPlaces`."""

    def __init__(
        self, accounts: Accounts, profiles: Profiles | None = None, groups: Groups = lambda _: frozenset()
    ) -> None:
        """Serve accounts and profiles.

        Args:
            accounts: as whom the jobs of a namespace run.
            profiles: the profiles by name, in the order in which people see them.
            groups: who is in which group of the hub.
        """
        self._accounts = accounts
        self._profiles = dict(profiles or {})
        self._groups = groups

    def check(self, profile: str, namespace: str) -> None:
        """Raise `InvalidInput`, naming those there are, for a profile that a namespace may not use."""
        problem = self._problem(profile, namespace)
        if problem is not None:
            raise InvalidInput(problem, profile=profile, namespace=namespace, field="profile")

    def kind(self, place: JobPlace) -> ServerKind | Beside:
        """Return whose server a job gets and with which profile, or that it runs beside the service.

        Args:
            place: the job's namespace and profile.

        Raises:
            Unavailable: no account is named for its team, or the profile is not there (any more), or not for
                this namespace.
        """
        profile = place.profile
        if profile is None:
            profile = self._default(place.namespace)
        elif (problem := self._problem(profile, place.namespace)) is not None:
            raise Unavailable(problem, profile=profile)
        if self._profile(profile).executor == "local":
            return Beside(profile)
        return ServerKind(self._accounts.account(place.namespace), profile)

    def offered(self, namespace: str) -> list[OfferedProfile]:
        """Return the profiles that jobs of a namespace may use, without their kernels.

        Raises:
            Unavailable: the groups of its owner are not known yet.
        """
        names = self._usable(namespace)
        default = self._default(namespace)
        plain = OfferedProfile(name=None, title="The hub's own default", namespace=namespace, default=True)
        return [plain] * (default is None) + [
            OfferedProfile(
                name=name,
                title=self._profiles[name].title or name,
                description=self._profiles[name].description,
                namespace=namespace,
                default=name == default,
                beside=self._profiles[name].executor == "local",
            )
            for name in names
        ]

    def options(self, profile: str | None) -> dict[str, Any]:
        """Return what the Spawner gets for a profile; nothing for None or one that was removed."""
        return dict(self._profile(profile).user_options)

    def slots(self, profile: str | None, usual: int) -> int:
        """Return how many attempts a server of a profile executes at once; `usual` where it does not say."""
        return self._profile(profile).slots or usual

    def idle_seconds(self, profile: str | None, usual: float) -> float:
        """Return how long an idle server of a profile is kept; `usual` where it does not say."""
        found = self._profile(profile).idle_seconds
        return usual if found is None else found

    def _profile(self, profile: str | None) -> JobProfile:
        return self._profiles.get(profile or "") or JobProfile()

    def _problem(self, profile: str, namespace: str) -> str | None:
        """Return why a namespace may not use a profile; None where it may."""
        found = self._profiles.get(profile)
        if found is not None and self._may_use(namespace, found):
            return None
        usable = self._usable(namespace)
        reason = f"is not for {namespace}" if profile in self._profiles else "is not defined"
        return (
            f"the profile {profile!r} {reason}; {namespace} may use: {', '.join(usable) or 'none'}. An "
            "administrator defines profiles (RESPAWN_JOB_PROFILES)"
        )

    def _usable(self, namespace: str) -> list[str]:
        return [name for name, one in self._profiles.items() if self._may_use(namespace, one)]

    def _may_use(self, namespace: str, profile: JobProfile) -> bool:
        return not profile.allowed or self._is_one_of(namespace, profile.allowed)

    def _default(self, namespace: str) -> str | None:
        """Return the default of a namespace: its own, or that of a group, or that of all; None for none."""
        defaults = {one: name for name, profile in self._profiles.items() for one in profile.default_for}
        groups = [one for one in defaults if "/" not in one and one != EVERYWHERE]
        own = [namespace] if namespace in defaults else []
        own += [one for one in groups if not own and self._is_one_of(namespace, [one])]
        return defaults.get(own[0] if own else EVERYWHERE)

    def _is_one_of(self, namespace: str, whose: Collection[str]) -> bool:
        """Return whether namespaces and groups have a namespace among them."""
        if namespace in whose or EVERYWHERE in whose:
            return True
        groups = {one for one in whose if "/" not in one}
        if namespace.startswith(_TEAM):
            return namespace.removeprefix(_TEAM) in groups
        if not groups or not namespace.startswith(_USER):
            return False
        known = self._groups(namespace.removeprefix(_USER))
        if known is None:
            raise Unavailable(
                f"the hub has not said yet in which groups {namespace.removeprefix(_USER)} is; it is asked "
                "once a minute"
            )
        return bool(groups & known)
