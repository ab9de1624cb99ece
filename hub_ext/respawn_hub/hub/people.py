"""Whose namespace is whose, kept up with the hub: at the door for each person, and by a loop for all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from respawn_hub.hub.client import Hub, HubUser
from respawn_jobs.access import Actor
from respawn_jobs.api.namespaces import MoveRequest, Namespace
from respawn_jobs.errors import Conflict, Forbidden, NotFound
from respawn_jobs.ledger import Ledger
from respawn_kernels.counting import how_many

logger = logging.getLogger(__name__)
_USER = "user/"
_DOUBT_SECONDS = 10.0
"""For how long a list that cannot be believed is not asked for again, whoever comes in."""


class People:
    """Ties namespaces to the hub's users; safe to share between threads."""

    def __init__(self, ledger: Ledger, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._hub: Hub | None = None
        self._now = monotonic
        self._doubt: Conflict | None = None
        self._doubted_until = 0.0
        self._one = threading.Lock()

    def attach(self, hub: Hub) -> None:
        """Let it ask the hub, whose client asks it whether people may come in."""
        self._hub = hub

    def admit(self, user: HubUser) -> None:
        """Tie a person's namespace to them.

        Raises:
            Forbidden: it is another one's who had the name, and the hub's list of users cannot be believed.
            Unavailable: the hub does not answer.
        """
        if user.kind != "user" or user.identity is None or self._ledger.admit(user.name, user.identity):
            return
        self.look()
        if not self._ledger.admit(user.name, user.identity):
            raise Forbidden(
                f"the jobs of {_USER}{user.name} are those of another user who had this name, or of one who "
                "has another name now. An administrator decides whose they are, with `respawn admin "
                "namespaces`, `move` and `retire`",
                user=user.name,
            )

    def look(self) -> None:
        """Compare owners with the hub's users. Raises `Unavailable` when not all of them can be seen."""
        with self._one:
            if self._doubt is not None and self._now() < self._doubted_until:
                raise self._doubt
            directory = self._known_hub().directory
            users = directory.users()
            if not users:
                logger.warning("the hub names no user at all; nobody is taken for gone")
                return
            # Each that is missing is asked for by name: what a list lacks may have come meanwhile.
            users |= directory.identities(self._ledger.missing_owners(users))
            settled = self._ledger.settle_owners(users)
            if settled.doubted:
                owners = how_many(settled.doubted, "owner of a namespace seems", "owners of namespaces seem")
                self._doubt = Conflict(
                    f"{owners} to be gone from the hub at once; nothing was suspended. If that is so, retire "
                    "their namespaces; if the hub's database is a new one, "
                    "move each namespace to itself: respawn admin move user/NAME user/NAME"
                )
                self._doubted_until = self._now() + _DOUBT_SECONDS
                raise self._doubt
            if settled.changed:
                names = [*settled.suspended, *settled.moved, *settled.moved.values(), *settled.set_aside]
                self._known_hub().forget([name.removeprefix(_USER) for name in names])

    def move(self, actor: Actor, request: MoveRequest) -> Namespace:
        """Give what a namespace holds to another one, whose user must exist.

        Args:
            actor: who asks; needs `admin` without a filter.
            request: both namespaces.

        Raises:
            Forbidden: the actor is no administrator.
            NotFound: the hub does not know the user of the new namespace; nothing was moved.
            InvalidInput, Conflict: as `NamespaceService.move` has them.
            Unavailable: the hub does not answer.
        """
        actor.require_everywhere("admin")
        identity = None
        if request.new.startswith(_USER):
            name = request.new.removeprefix(_USER)
            found = self._known_hub().directory.identities([name])
            if name not in found:
                raise NotFound(f"the hub knows no user {name}: nothing was moved", namespace=request.new)
            identity = found[name]
        return self._ledger.move_namespace(actor, request.namespace, request.new, identity)

    def _known_hub(self) -> Hub:
        assert self._hub is not None  # noqa: S101  attached before anything is served
        return self._hub
