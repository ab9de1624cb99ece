"""A few words about a value that are safe and quick to get, whatever the value is.

Only what Python itself, NumPy, pandas and Arrow keep ready is asked for. No `__repr__`, `__len__` or property
of anybody else's class is ever called: it may block, print, cost minutes, or lie.
"""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import Any

from respawn_kernels.counting import how_many

_WIDTH = 60
_CONTAINERS: tuple[type, ...] = (list, tuple, dict, set, frozenset)


def type_name(value: Any) -> str:
    """Return the qualified name of the value's class, as short as it can be imported."""
    cls = type(value)
    module, name = _plain(type.__dict__["__module__"], cls), _plain(type.__dict__["__qualname__"], cls)
    if module in ("builtins", "__main__"):
        return name
    top = module.partition(".")[0]
    package = sys.modules.get(top)
    if package is not None and vars(package).get(name) is cls:
        return f"{top}.{name}"
    return f"{module}.{name}"


def describe(value: Any) -> str:
    """Return shape, length or a short value; an empty string where nothing is safe to say."""
    try:
        return _describe(value)
    except Exception:  # noqa: BLE001  a description is a courtesy; a value that fights it goes without
        return ""


def size_of(value: Any) -> int | None:
    """Return the bytes that the value takes in memory, or None where that is not known cheaply."""
    try:
        return _size(value)
    except Exception:  # noqa: BLE001  as above
        return None


def _describe(value: Any) -> str:
    kind = type(value)
    if value is None or kind in (bool, float, complex):
        return repr(value)
    if kind is int:
        return repr(value) if value.bit_length() <= 128 else how_many(value.bit_length(), "bit")
    if kind is str:
        return (
            repr(value)
            if len(value) <= _WIDTH
            else f"{value[:_WIDTH]!r}… ({how_many(len(value), 'character')})"
        )
    if kind in (bytes, bytearray):
        return how_many(len(value), "byte")
    if kind in _CONTAINERS:
        return how_many(len(value), "item")
    if kind is FunctionType:
        code = value.__code__
        return f"({', '.join(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])})"
    if kind is ModuleType:
        return str(vars(value).get("__name__", ""))
    if isinstance(value, type):
        return f"class {_plain(type.__dict__['__qualname__'], value)}"
    return _describe_array(value)


def _describe_array(value: Any) -> str:
    """Describe arrays and tables through their libraries' own classes, so that no subclass is asked."""
    if cls := _loaded("numpy", "ndarray", value):
        shape = cls.shape.__get__(value)
        return f"{_times(shape)} {cls.dtype.__get__(value)}"
    if cls := _loaded("numpy", "generic", value):
        return f"{value.item()!r}" if not value.dtype.hasobject and value.dtype.itemsize <= 16 else ""
    if _loaded("pandas", "DataFrame", value) or _loaded("pandas", "Series", value):
        rows = _times(tuple(len(axis) for axis in value._mgr.axes[::-1]))
        return f"{rows} {value._mgr.blocks[0].dtype}" if len(value._mgr.axes) == 1 else f"{rows} table"
    if _loaded("pandas", "Index", value):
        return how_many(len(value), "label")
    if _loaded("pyarrow", "Table", value):
        return f"{value.num_rows:,} × {value.num_columns:,} table"
    return ""


def _size(value: Any) -> int | None:
    kind = type(value)
    if kind in (str, bytes, bytearray, int, float, complex, bool):
        return sys.getsizeof(value)
    if cls := _loaded("numpy", "ndarray", value):
        return int(cls.nbytes.__get__(value))
    if _loaded("pandas", "DataFrame", value) or _loaded("pandas", "Series", value):
        return sum(int(getattr(block.values, "nbytes", 0)) for block in value._mgr.blocks)
    if _loaded("pyarrow", "Table", value):
        return int(value.nbytes)
    return None


def _loaded(module: str, name: str, value: Any) -> Any:
    """Return the class of that name if its library is loaded and `value` is one of them, else None."""
    library = sys.modules.get(module)
    cls = getattr(library, name, None) if library is not None else None
    return cls if isinstance(cls, type) and issubclass(type(value), cls) else None


def _plain(descriptor: Any, cls: type) -> str:
    """Read a class's name past its metaclass, which may be anybody's."""
    name = descriptor.__get__(cls)
    return name if isinstance(name, str) else "?"


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape) or "scalar"
