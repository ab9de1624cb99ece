"""Namespaces as administrators see them: whose they are, and whether they are at work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol

from respawn_jobs.api.operation import operation
from respawn_jobs.model.base import Model
from respawn_jobs.model.open_values import OPEN

NamespaceState = Annotated[Literal["active", "suspended", "retired"], OPEN]
_ROUNDED = timedelta(seconds=1)


class Namespace(Model):
    """A namespace that holds jobs, or held some."""

    name: str
    state: NamespaceState
    reason: str | None = None
    """Why it is not active."""
    since: datetime | None = None
    """Since when it is not active."""
    former: str | None = None
    """What it was called before it was set aside."""
    jobs: int
    runs_waiting: int
    """Queued runs; those of a namespace that is not active do not start."""


class NamespaceRequest(Model):
    """A request about a namespace."""

    namespace: str
    """`user/<name>`, `team/<group>` or `former/<name>`."""


class MoveRequest(NamespaceRequest):
    """A request to give what a namespace holds to another one, and with it to another owner."""

    new: str
    """`user/<name>` or `team/<group>`; it may hold jobs of other names already."""


class NamespaceService(Protocol):
    """What administrators of all namespaces can do about namespaces."""

    @operation("GET", "namespaces")
    def namespaces(self) -> list[Namespace]:
        """Return all namespaces that hold jobs or were suspended, by name."""

    @operation("POST", "namespaces/retire", wakes=True, fields=NamespaceRequest)
    def retire(self, namespace: str) -> Namespace:
        """Close a namespace for good: its open runs are cancelled, and no trigger of it makes another.

        What it holds is set aside under `former/…`, for administrators alone, so its name is free.
        """

    @operation("POST", "namespaces/move", fields=MoveRequest)
    def move(self, namespace: str, new: str) -> Namespace:
        """Give all that a namespace holds to another one, whose owner then owns it; triggers go on.

        Raises:
            NotFound: there is no such namespace, or the hub knows no such user.
            Conflict: both hold a job of one name, or the other one is suspended; nothing was changed.
        """


def same_identity(one: str | None, other: str | None) -> bool:
    """Return whether two identities are one user's; unknown ones are nobody's.

    An identity is the moment at which the hub made the user. A hub whose database keeps whole seconds
    (MySQL) tells a finer time until it is restarted.
    """
    if one is None or other is None:
        return False
    if one == other:
        return True
    try:
        first, second = datetime.fromisoformat(one), datetime.fromisoformat(other)
        rounded = 0 in (first.microsecond, second.microsecond)
        return rounded and abs(first - second) < _ROUNDED
    except (ValueError, TypeError):  # another form, or only one of them has a zone
        return False
