"""The classes below a class."""

from __future__ import annotations

from collections.abc import Iterator


def subclasses(cls: type) -> Iterator[type]:
    """Yield all classes below one: reducers go by exact type, and `__subclasses__` lists one level."""
    each: type
    for each in type.__subclasses__(cls):
        yield each
        yield from subclasses(each)
