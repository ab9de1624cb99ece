"""Listeners of events that a notebook has added to an object of SQLAlchemy: its classes leave them out.

A `MetaData` with one would come back, and tell nobody before it creates its tables. So an object that has one
is named, and made again by its cell. Listeners of SQLAlchemy's own are not among them.
"""

from __future__ import annotations

import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from respawn_kernels.pickling.namespace_pickler import NamespacePickler

_LIBRARY, _WRAPPERS = "sqlalchemy.", "sqlalchemy.event."
_PLACE = "dispatch"
"""The attribute in which its objects keep them (`sqlalchemy.event.base.dispatcher`)."""


def may_be_listened_to(kind: type) -> bool:
    """Return whether objects of a class may have listeners of their own."""
    return str(kind.__module__).startswith(_LIBRARY) and hasattr(kind, _PLACE)


def refuse_listened_to(obj: Any, _pickler: NamespacePickler) -> Any:
    """Leave an object to the way of its class. Raises `PicklingError` for one that a notebook listens to."""
    dispatch = getattr(obj, "__dict__", {}).get(_PLACE)
    for event in getattr(dispatch, "_event_names", ()):
        # Shared listeners of the class have another type; those of the object are in a list of its own.
        listeners = getattr(getattr(dispatch, event), "listeners", ())
        if any(_is_foreign(one) for one in list(listeners)):
            raise pickle.PicklingError(f"it has a listener of {event}, which SQLAlchemy stores in no pickle")
    return NotImplemented


def _is_foreign(listener: Any) -> bool:
    function = listener.func if isinstance(listener, partial) else listener
    function = getattr(function, "__func__", function)
    module = str(getattr(function, "__module__", ""))
    return not module.startswith(_LIBRARY) or module.startswith(_WRAPPERS)
