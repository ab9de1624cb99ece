"""What stands for a variable that could not be stored: an object whose every use raises reason and fix.

It is a name's value after a restore, so that code which needs the real one stops there with the reason and
not later with something else. Showing it (`repr`, the last line of a cell) does not raise: it shows the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from respawn_kernels.checkpoint.manifest import UnstoredVariable

_OWN = ("_respawn_name", "_respawn_type", "_respawn_reason", "_respawn_cell")


class NotRestored(RuntimeError):
    """A variable was used that the checkpoint could not hold.

    Args:
        name: of the variable.
        type: qualified name of its class.
        reason: why it was not stored or not loaded.
        cell: index of the cell that made it; None when it is not known, negative when it was
            there before the first.
    """

    def __init__(self, name: str, type: str, reason: str, cell: int | None) -> None:
        super().__init__(name, type, reason, cell)
        self.name = name
        self.type = type
        self.reason = reason
        self.cell = cell

    def __str__(self) -> str:
        return explanation(self.name, self.type, self.reason, self.cell)


def explanation(name: str, type: str, reason: str, cell: int | None) -> str:
    """Return which variable is not there, why, which cell made it, and how to get it.

    Args:
        name: of the variable.
        type: qualified name of its class.
        reason: why it was not stored or not loaded.
        cell: index of the cell that made it; None when it is not known, negative when it was
            there before the first.
    """
    what = f"{name} ({type}) was not restored: {reason}."
    if cell is None or cell < 0:
        return f"{what} Make it again before you use it."
    return (
        f"{what} Cell {cell} made it: run cell {cell} again here. "
        f"To have that done on every restore, tag cell {cell} respawn:always."
    )


class Placeholder:
    """Stands for a variable that is not there; only `isinstance` and `repr` do not raise.

    Args:
        name: of the variable.
        type: qualified name of its class.
        reason: why it was not stored or not loaded.
        cell: index of the cell that made it; None when it is not known.
    """

    __slots__ = _OWN

    def __init__(self, name: str, type: str, reason: str, cell: int | None = None) -> None:
        for field, value in zip(_OWN, (name, type, reason, cell), strict=True):
            object.__setattr__(self, field, value)

    def __repr__(self) -> str:
        return f"<{explanation(*_fields(self))}>"

    def __getattribute__(self, attribute: str) -> Any:
        # Python, IPython and debuggers read these of any object before they show it.
        if attribute == "__class__":
            return Placeholder
        if attribute.startswith(("_repr_", "_ipython_")):
            raise AttributeError(attribute)
        return _refuse(self)

    def __setattr__(self, attribute: str, value: Any) -> None:
        _refuse(self)

    def __delattr__(self, attribute: str) -> None:
        _refuse(self)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        _refuse(self)

    # A class with an `__eq__` has no hash unless it says so: it would be "unhashable" instead of explained.
    def __hash__(self) -> int:
        _refuse(self)


def unstored_of(placeholder: Placeholder) -> UnstoredVariable:
    """Return what the placeholder stands for, as checkpoints list it: with its type, reason and cell."""
    return UnstoredVariable(*_fields(placeholder))


def placeholders(unstored: Iterable[UnstoredVariable]) -> dict[str, Placeholder]:
    """Return a placeholder for each variable that could not be stored, by name."""
    return {item.name: Placeholder(item.name, item.type, item.reason, item.cell) for item in unstored}


def _fields(placeholder: Placeholder) -> tuple[str, str, str, int | None]:
    name, kind, reason, cell = (object.__getattribute__(placeholder, field) for field in _OWN)
    return name, kind, reason, cell


def _refuse(placeholder: Any, *_arguments: Any, **_named: Any) -> NoReturn:
    raise NotRestored(*_fields(placeholder)) from None


_ARITHMETIC = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or"
_OTHER = """
    call iter next reversed len bool contains getitem setitem delitem missing format str bytes
    eq ne lt le gt ge neg pos abs invert int float complex index round trunc floor ceil
    enter exit aenter aexit await aiter anext length_hint dir fspath buffer
    array array_ufunc array_function array_interface instancecheck subclasscheck
"""
for _name in _OTHER.split() + [f"{side}{name}" for name in _ARITHMETIC.split() for side in ("", "r", "i")]:
    setattr(Placeholder, f"__{_name}__", _refuse)
