"""How instances with traits are taken apart: with who observes them, which traitlets itself leaves out.

traitlets stores an instance without its observers and validators and declares again those of its class, so
that what `observe`, `link` and `dlink` registered is gone. Here they are stored: those that a class declares
as that class and the name, so that each is the class's own again.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from respawn_kernels.class_reductions import is_notebooks
from respawn_kernels.pickling import NamespacePickler, Reducer

_HOOKS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the notebook's classes with traits; none where they store themselves."""
    root: Any = getattr(sys.modules["traitlets"], "HasTraits", None)
    return {} if root is None else {cls: _watched for cls in _subclasses(root) if _is_plain(cls, root)}


def _subclasses(cls: type) -> Iterator[type]:
    each: type
    for each in type.__subclasses__(cls):
        yield each
        yield from _subclasses(each)


def _is_plain(cls: type, root: type) -> bool:
    """Tell whether a class of the notebook adds to those of traitlets nothing that is stored otherwise."""
    if not is_notebooks(cls):
        return False
    mine = [one for one in cls.__mro__ if is_notebooks(one)]
    rest = [one for one in cls.__mro__ if one not in mine]
    theirs = all(one is object or one.__module__.partition(".")[0] == "traitlets" for one in rest)
    return theirs and all(getattr(cls, name, None) is getattr(root, name, None) for name in _HOOKS)


def _watched(obj: Any, _pickler: NamespacePickler) -> Any:
    state = dict(vars(obj))
    notifiers = {
        name: {kind: [_told(handler) for handler in handlers] for kind, handlers in kinds.items()}
        for name, kinds in state.pop("_trait_notifiers", {}).items()
    }
    validators = {name: _told(handler) for name, handler in state.pop("_trait_validators", {}).items()}
    return make_watched, (type(obj),), (state, notifiers, validators), None, None, fill_watched


def _told(handler: Any) -> Any:
    """Return the class and the name of a handler that a class declares; any other one as it is."""
    cls, name = getattr(handler, "this_class", None), getattr(handler, "name", None)
    if isinstance(cls, type) and isinstance(name, str) and vars(cls).get(name) is handler:
        return cls, name
    return handler


def _meant(told: Any) -> Any:
    """Return the handler; a tuple is none, for it cannot be called."""
    return vars(told[0])[told[1]] if type(told) is tuple else told


def make_watched(cls: Any) -> Any:
    """Return an instance that holds nothing yet; what its class declares comes with what it held."""
    return object.__new__(cls)


def fill_watched(obj: Any, told: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> None:
    """Give an instance what it held, and those who observe and validate it."""
    state, notifiers, validators = told
    vars(obj).update(state)
    vars(obj)["_trait_notifiers"] = {
        name: {kind: [_meant(handler) for handler in handlers] for kind, handlers in kinds.items()}
        for name, kinds in notifiers.items()
    }
    vars(obj)["_trait_validators"] = {name: _meant(handler) for name, handler in validators.items()}
