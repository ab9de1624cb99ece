"""What a cell that runs again registers beside what was restored: the same, made once more."""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import Any


def is_twin(one: Any, other: Any) -> bool:
    """Return whether two values are the same, or the same code of the notebook made both.

    Functions are twins when their code is equal, whatever their closures hold; classes when they have the
    same name, and instances when their classes are twins.
    """
    if one is other:
        return True
    if type(one) is FunctionType and type(other) is FunctionType:
        return bool(one.__module__ == "__main__" and one.__code__ == other.__code__)
    if type(one) is MethodType and type(other) is MethodType:
        return is_twin(one.__func__, other.__func__) and is_twin(type(one.__self__), type(other.__self__))
    if isinstance(one, type) and isinstance(other, type):
        return _name(one) == _name(other) and _name(one)[0] == "__main__"
    kinds = type(one), type(other)
    return _name(kinds[0])[0] == "__main__" and is_twin(*kinds)


def _name(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__
