"""How mocks of `unittest.mock` are taken apart: past what they answer, which is anything that they are asked.

Each mock has a class of its own, which holds its magic methods and properties, and everything else in its
`__dict__`. Both are made again without a constructor.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from respawn_kernels.pickling import NamespacePickler, Reducer

_OF_EVERY_CLASS = ("__dict__", "__weakref__", "__module__", "__doc__")


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the mocks that there are."""
    mock: Any = sys.modules["unittest.mock"]
    root, call = getattr(mock, "NonCallableMock", None), getattr(mock, "_Call", None)
    if root is None or call is None:  # it is being imported
        return {}
    return {call: _call} | {cls: _mock for cls in _subclasses(root) if _is_own(cls)}


def _subclasses(cls: type) -> Iterator[type]:
    each: type
    for each in type.__subclasses__(cls):
        yield each
        yield from _subclasses(each)


def _is_own(cls: type) -> bool:
    """Tell whether a class is that of one mock: it stands under the name of a class of the library."""
    return (
        cls.__module__ == "unittest.mock"
        and getattr(sys.modules["unittest.mock"], cls.__name__, cls) is not cls
    )


def _mock(mock: Any, _pickler: NamespacePickler) -> Any:
    cls = type(mock)
    own = {name: value for name, value in vars(cls).items() if name not in _OF_EVERY_CLASS}
    inside = dict(object.__getattribute__(mock, "__dict__"))
    return make_mock, (cls.__name__, cls.__bases__, cls.__doc__), (own, inside), None, None, fill_mock


def make_mock(name: str, bases: tuple[type, ...], doc: str | None) -> Any:
    """Return a mock with a class of its own that has nothing yet."""
    cls: Any = type(name, bases, {"__doc__": doc, "__module__": "unittest.mock"})
    return object.__new__(cls)


def fill_mock(mock: Any, told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a mock its magic methods, and what it was told and asked."""
    own, inside = told
    for name, value in own.items():
        type.__setattr__(type(mock), name, value)
    object.__getattribute__(mock, "__dict__").update(inside)


def _call(call: Any, _pickler: NamespacePickler) -> Any:
    inside = dict(object.__getattribute__(call, "__dict__"))
    return make_call, (type(call), tuple(tuple.__iter__(call))), inside, None, None, fill_call


def make_call(cls: Any, items: tuple[Any, ...]) -> Any:
    """Return what tells of a call, which does not know its mock yet."""
    return tuple.__new__(cls, items)


def fill_call(call: Any, inside: dict[str, Any]) -> None:
    """Tell a call its mock."""
    object.__getattribute__(call, "__dict__").update(inside)
