"""Who may do what: an actor's scopes against the namespaces of jobs.

Four actions, each including the ones before it: read, run, edit, admin. A scope is
`custom:respawn:<action>`, for all namespaces, or narrowed by a filter: `!user=ada` to `user/ada`,
`!group=risk` to `team/risk`. Beside them stands `enter`, which none includes: to go to the server of a
team's account, where the kernel of a failed run lives. No filter reaches `former/…`, where namespaces lie
whose owner is gone. Filters of other kinds give nothing. Being a member of a group gives nothing by itself: a
scope has to say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from respawn_jobs.errors import Forbidden, InvalidInput

Action = Literal["read", "run", "edit", "admin"]

PREFIX = "custom:respawn:"
_RANK: dict[str, int] = {"read": 0, "run": 1, "edit": 2, "admin": 3}
_ENTER = "enter"
_VERBS = {"read": "see", "run": "start or stop runs of", "edit": "change", "admin": "administer"}
_NAMESPACE = re.compile(r"(user|team|former)/[^/\s]+")


@dataclass(frozen=True)
class Actor:
    """A person or a tool, with the scopes that its token or session carries."""

    name: str
    scopes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def owner(cls, name: str) -> Actor:
        """Return the owner of an embedded store, who may do everything in it."""
        return cls(name, frozenset({f"{PREFIX}admin"}))

    @property
    def namespace(self) -> str:
        """The actor's own namespace."""
        return f"user/{self.name}"

    def allows(self, action: Action, namespace: str) -> bool:
        """Return whether the scopes allow `action` in `namespace`."""
        return any(
            _RANK[granted] >= _RANK[action] and where in (None, namespace)
            for granted, where in self._grants()
        )

    def enters(self, namespace: str) -> bool:
        """Return whether the actor may go to a kernel of a namespace's, in the server of its account.

        Whoever does can do there what the account can. One's own namespace has one's own servers.

        Args:
            namespace: such as `user/ada` or `team/risk`.
        """
        if namespace == self.namespace:
            return True
        return any(given == _ENTER and where in (None, namespace) for given, where in self._scopes())

    def require(self, action: Action, namespace: str, what: str | None = None) -> None:
        """Raise unless the scopes allow an action.

        Args:
            action: what is to be done.
            namespace: where the job is, such as `user/ada` or `team/risk`.
            what: how the message calls what was asked for, where the actor may not even read it; None for a
                message that names the scope that is lacking.

        Raises:
            Forbidden: no scope allows it; the message names the actor and the namespace.
        """
        if self.allows(action, namespace):
            return
        if what is not None and not self.allows("read", namespace):
            raise Forbidden(
                f"{what} belongs to {namespace}; you are {self.name}", actor=self.name, namespace=namespace
            )
        raise Forbidden(
            f"you ({self.name}) may not {_VERBS[action]} jobs in {namespace}: "
            f"that needs the scope {PREFIX}{action} for it",
            actor=self.name,
            namespace=namespace,
            action=action,
        )

    def require_everywhere(self, action: Action) -> None:
        """Raise `Forbidden` unless the scopes allow `action` in all namespaces."""
        if not any(_RANK[granted] >= _RANK[action] and where is None for granted, where in self._grants()):
            raise Forbidden(
                f"you ({self.name}) may not {_VERBS[action]} all namespaces: "
                f"that needs the scope {PREFIX}{action} without a filter",
                actor=self.name,
                action=action,
            )

    def readable(self) -> frozenset[str] | None:
        """Return the namespaces that the actor may read; None for all of them."""
        grants = list(self._grants())
        if any(where is None for _, where in grants):
            return None
        return frozenset(where for _, where in grants if where is not None)

    def _grants(self) -> list[tuple[str, str | None]]:
        """Return (action, namespace) pairs, namespace None for all; unknown scopes are left out."""
        return [(action, where) for action, where in self._scopes() if action in _RANK]

    def _scopes(self) -> Iterator[tuple[str, str | None]]:
        """Yield what the actor's scopes of Respawn's give, each with its namespace, None for all."""
        for scope in self.scopes:
            action, has_filter, narrowed = scope.removeprefix(PREFIX).partition("!")
            if not scope.startswith(PREFIX):
                continue
            kind, _, name = narrowed.partition("=")
            if not has_filter:
                yield action, None
            elif kind == "user" and name:
                yield action, f"user/{name}"
            elif kind == "group" and name:
                yield action, f"team/{name}"


def check_namespace(namespace: str) -> str:
    """Return `namespace` when it is well formed. Raises `InvalidInput` otherwise."""
    if _NAMESPACE.fullmatch(namespace) is None:
        raise InvalidInput(
            f"{namespace!r} is not a namespace: write user/<name> or team/<group>", namespace=namespace
        )
    return namespace
