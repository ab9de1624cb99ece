"""How mocks of `unittest.mock` are taken apart: without asking them, since a mock has any attribute.

Each mock has a class of its own, which holds its magic methods and properties, and everything else in its
`__dict__`. Both are made again without a constructor.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from respawn_kernels.introspection.class_tree import subclasses
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_OF_EVERY_CLASS = ("__dict__", "__weakref__", "__module__", "__doc__")


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the mocks that there are."""
    mock: Any = sys.modules["unittest.mock"]
    root, call = getattr(mock, "NonCallableMock", None), getattr(mock, "_Call", None)
    if root is None or call is None:  # it is being imported
        return {}
    return {call: _call} | {cls: _mock for cls in subclasses(root) if _is_own(cls)}


def _is_own(cls: type) -> bool:
    """Return whether a class is that of one mock: it stands under the name of a class of the library."""
    return (
        cls.__module__ == "unittest.mock"
        and getattr(sys.modules["unittest.mock"], cls.__name__, cls) is not cls
    )


def _mock(mock: Any, _pickler: NamespacePickler) -> Any:
    cls = type(mock)
    own = {name: value for name, value in vars(cls).items() if name not in _OF_EVERY_CLASS}
    inside = dict(object.__getattribute__(mock, "__dict__"))
    return make_mock, (cls.__name__, cls.__bases__, cls.__doc__), (own, inside), None, None, fill_mock


@stable_name
def make_mock(name: str, bases: tuple[type, ...], doc: str | None) -> Any:
    """Return a mock with a class of its own that has nothing yet.

    Args:
        name: of the class, which is that of the library's class.
        bases: the classes of the library that it is made from.
        doc: docstring of the class.
    """
    cls: Any = type(name, bases, {"__doc__": doc, "__module__": "unittest.mock"})
    return object.__new__(cls)


@stable_name
def fill_mock(mock: Any, stored: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Set the magic methods of a mock, its configuration and its record of calls."""
    own, inside = stored
    for name, value in own.items():
        type.__setattr__(type(mock), name, value)
    object.__getattribute__(mock, "__dict__").update(inside)


def _call(call: Any, _pickler: NamespacePickler) -> Any:
    inside = dict(object.__getattribute__(call, "__dict__"))
    return make_call, (type(call), tuple(tuple.__iter__(call))), inside, None, None, fill_call


@stable_name
def make_call(cls: Any, items: tuple[Any, ...]) -> Any:
    """Return the record of a call, which does not refer to its mock yet."""
    return tuple.__new__(cls, items)


@stable_name
def fill_call(call: Any, inside: dict[str, Any]) -> None:
    """Set the attributes of a call's record, its mock among them."""
    object.__getattribute__(call, "__dict__").update(inside)
