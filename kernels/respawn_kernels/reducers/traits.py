"""How instances with traits are taken apart: with who observes them, which traitlets itself leaves out.

traitlets stores an instance without its observers and validators (`HasTraits.__getstate__`) and declares
again those of its class, so that what `observe`, `link` and `dlink` registered is gone. Here they are stored:
those that a class declares as that class and the name, so that each is the class's own again.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.introspection.class_tree import subclasses
from respawn_kernels.pickling.namespace_pickler import PROTOCOL, NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_HOOKS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for classes with traits, widgets too; none where they store themselves."""
    root: Any = getattr(sys.modules["traitlets"], "HasTraits", None)
    if root is None:
        return {}
    ways = {cls: _way_of(cls, root) for cls in subclasses(root)}
    return {cls: way for cls, way in ways.items() if way is not None}


def _way_of(cls: type, root: type) -> Reducer | None:
    if any(getattr(cls, name, None) is not getattr(root, name, None) for name in _HOOKS):
        return None
    if _is_plain(cls):
        return _watched
    # What is configured is a part of an application or a shell, which observes it.
    configured: Any = getattr(sys.modules.get("traitlets.config"), "Configurable", None)
    return None if configured is not None and issubclass(cls, configured) else _watched_of_library


def _is_plain(cls: type) -> bool:
    """Return whether a class of the notebook adds to those of traitlets nothing that is stored otherwise."""
    if not is_notebooks(cls):
        return False
    mine = [one for one in cls.__mro__ if is_notebooks(one)]
    rest = [one for one in cls.__mro__ if one not in mine]
    return all(one is object or one.__module__.partition(".")[0] == "traitlets" for one in rest)


def _watched(obj: Any, _pickler: NamespacePickler) -> Any:
    state = dict(vars(obj))
    stored = state, *_stored_handlers(state)
    for name in ("_trait_notifiers", "_trait_validators"):
        state.pop(name, None)
    return make_observed, (type(obj),), stored, None, None, fill_observed


def _watched_of_library(obj: Any, _pickler: NamespacePickler) -> Any:
    """Reduce an instance as traitlets does, with its handlers beside that."""
    make, arguments, state = obj.__reduce_ex__(PROTOCOL)[:3]
    return make, arguments, (state, *_stored_handlers(vars(obj))), None, None, fill_watched


def _stored_handlers(inside: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return who observes and who validates an instance, whose attributes are given."""
    notifiers = {
        name: {kind: [_stored_handler(handler) for handler in handlers] for kind, handlers in kinds.items()}
        for name, kinds in inside.get("_trait_notifiers", {}).items()
    }
    validators = inside.get("_trait_validators", {})
    return notifiers, {name: _stored_handler(handler) for name, handler in validators.items()}


def _stored_handler(handler: Any) -> Any:
    """Return the class and the name of a handler that a class declares; any other one as it is."""
    cls, name = getattr(handler, "this_class", None), getattr(handler, "name", None)
    if isinstance(cls, type) and isinstance(name, str) and vars(cls).get(name) is handler:
        return cls, name
    return handler


def _handler_of(stored: Any) -> Any:
    """Return the handler that `_stored_handler` stored; a tuple is none, for it cannot be called."""
    return vars(stored[0])[stored[1]] if type(stored) is tuple else stored


@stable_name
def make_observed(cls: Any) -> Any:
    """Return an instance without attributes; what its class declares comes with `fill_observed`."""
    return object.__new__(cls)


@stable_name
def fill_observed(obj: Any, stored: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> None:
    """Set the attributes of an instance, and the handlers that observe and validate it."""
    state, notifiers, validators = stored
    vars(obj).update(state)
    _set_handlers(obj, notifiers, validators)


@stable_name
def fill_watched(obj: Any, stored: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> None:
    """Set an instance of a library as traitlets does, and then the handlers that observe and validate it."""
    state, notifiers, validators = stored
    obj.__setstate__(state)
    _set_handlers(obj, notifiers, validators)


def _set_handlers(obj: Any, notifiers: dict[str, Any], validators: dict[str, Any]) -> None:
    vars(obj)["_trait_notifiers"] = {
        name: {kind: [_handler_of(handler) for handler in handlers] for kind, handlers in kinds.items()}
        for name, kinds in notifiers.items()
    }
    vars(obj)["_trait_validators"] = {name: _handler_of(handler) for name, handler in validators.items()}
