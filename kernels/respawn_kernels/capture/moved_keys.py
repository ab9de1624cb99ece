"""Keys that a dict or set no longer finds, since their hash has changed after they were put in.

Loading files each key under the hash that it has now: look-ups that failed would succeed, and entries would
merge. Whether a key is still found is asked of the notebook's own `__hash__`, so only a process that ends
afterwards may ask.
"""

from __future__ import annotations

from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks

_CONTAINS = (dict, set, frozenset)


def moved_key(container: Any) -> Any:
    """Return the class of a key that a dict or set does not find; None for any other object.

    Args:
        container: any object.
    """
    # A mock of a dict says that it is one, and is none.
    base = next((one for one in _CONTAINS if issubclass(type(container), one)), None)
    if base is None:
        return None
    keys = list(base.__iter__(container))
    if not any(_may_move(kind) for kind in set(map(type, keys))):
        return None
    lost = (key for key in keys if _moves(key) and not base.__contains__(container, key))
    return next(map(type, lost), None)


def _may_move(kind: Any) -> bool:
    if kind in (tuple, frozenset):
        return True
    return is_notebooks(kind) and kind.__hash__ not in (None, object.__hash__)


def _moves(key: Any) -> bool:
    return any(map(_moves, key)) if type(key) in (tuple, frozenset) else _may_move(type(key))
