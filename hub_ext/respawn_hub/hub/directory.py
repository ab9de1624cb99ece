"""Who exists, by the hub's API: the names of all users, and what tells each from others of the name.

The hub's API tells no id of a user. It tells the moment at which the user was made (`created`, with the scope
`read:users`), which a new name does not change and which a user made anew does not share: that is the
identity. Whether a list is of *all* users, the hub does not say, so the service's own scopes are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from respawn_jobs.errors import Unavailable

NEEDED = ("list:users", "read:users")
"""The scopes that the service needs, each without a filter."""
_PAGE = 100
"""Users that the hub lists at once: it answers nobody else meanwhile."""

Ask = Callable[[str, Mapping[str, str]], httpx.Response]
"""Asks the hub's API for a path, with a query, as the service."""


class HubDirectory:
    """The hub's users, asked for with the service's own token."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._groups: dict[str, frozenset[str]] = {}

    def groups(self, name: str) -> frozenset[str] | None:
        """Return the groups of a person as the hub said them last; None where it has not yet."""
        return self._groups.get(name)

    def note_groups(self, model: Mapping[str, Any]) -> None:
        """Keep the groups that a user's model of the hub tells, if it does.

        Args:
            model: the hub's answer about a user, with `name`.
        """
        if "groups" in model:
            self._groups[str(model["name"])] = frozenset(map(str, model["groups"] or ()))

    def identities(self, names: Collection[str]) -> dict[str, str | None]:
        """Return the identity of each of these people who exist; None where the hub does not tell it.

        Raises:
            Unavailable: the hub does not answer.
        """
        found: dict[str, str | None] = {}
        for name in names:
            answer = self._ask(f"/users/{quote(name, safe='@~')}", {})
            if answer.status_code == 200:
                model = answer.json()
                self.note_groups(model)
                found[name] = _identity(model)
            elif answer.status_code not in (403, 404):
                raise Unavailable(f"the hub answered {answer.status_code} when asked for a user")
        return found

    def users(self) -> dict[str, str | None]:
        """Return the identities of all users of the hub, by name.

        Raises:
            Unavailable: the hub does not answer, does not let the service see all users, or its list
                changed while it was read.
        """
        self._check_scopes()
        found: dict[str, str | None] = {}
        totals: set[int] = set()
        offset: int | None = 0
        while offset is not None:
            answer = self._ask("/users", {"offset": str(offset), "limit": str(_PAGE), "sort": "id"})
            if answer.status_code != 200:
                raise Unavailable(f"the hub answered {answer.status_code} when asked for its users")
            page = answer.json()
            for model in page["items"]:
                self.note_groups(model)
            found |= {str(model["name"]): _identity(model) for model in page["items"]}
            totals.add(int(page["_pagination"]["total"]))
            following = page["_pagination"]["next"]
            offset = int(following["offset"]) if following else None
        if totals != {len(found)}:
            raise Unavailable("the hub's list of users changed while it was read; it is read again")
        return found

    def _check_scopes(self) -> None:
        answer = self._ask("/user", {})
        if answer.status_code != 200:
            raise Unavailable(f"the hub answered {answer.status_code} when asked what the service may do")
        lacking = [scope for scope in NEEDED if scope not in (answer.json().get("scopes") or ())]
        if lacking:
            raise Unavailable(
                f"the hub does not let the service see all its users: give it {' and '.join(lacking)}, "
                "without a filter, by a role as respawn_hub.configure does"
            )


def _identity(model: Mapping[str, object]) -> str | None:
    created = model.get("created")
    return str(created) if created else None
