"""How objects of ctypes are taken apart that lie in the memory of another one.

ctypes stores a copy of what they show. `from_buffer` and an element of an array refer to memory that a
bytearray or another such object owns; they come back in it. `from_address` and what a library exports have
no owner that is known, and are refused.

Streams call the function with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import ctypes
import pickle
from typing import Any

from respawn_kernels.rebuild import stable_name

_DATA: Any = ctypes.Structure.__mro__[1]
_POINTERS: tuple[Any, ...] = (ctypes._Pointer, ctypes.CFUNCTYPE(None).__mro__[1])


def is_c_data(kind: type) -> bool:
    """Return whether objects of a class are values of C in memory that they may share."""
    return issubclass(kind, _DATA) and not issubclass(kind, _POINTERS)


def reduce_c_data(obj: Any) -> Any:
    """Return a reduction into the memory of the owner, or `NotImplemented` for what owns its memory.

    Raises:
        pickle.PicklingError: it lies in memory whose owner is not known.
    """
    if obj._b_needsfree_ or vars(obj):  # NumPy keeps the owner there, and the check of memory names it
        return NotImplemented
    owner = _owner(obj)
    if owner is None:
        raise pickle.PicklingError("a value of C in memory whose owner is not known")
    offset = ctypes.addressof(obj) - ctypes.addressof(ctypes.c_char.from_buffer(owner))
    return make_in_memory, (type(obj), owner, offset)


def _owner(obj: Any) -> Any:
    if obj._b_base_ is not None:
        return obj._b_base_
    kept = obj._objects  # a simple value has the view itself, others a dictionary of all that they refer to
    views = [
        one for one in (kept.values() if isinstance(kept, dict) else [kept]) if isinstance(one, memoryview)
    ]
    return views[0].obj if len(views) == 1 else None


@stable_name
def make_in_memory(kind: Any, owner: Any, offset: int) -> Any:
    """Return a value of C in the memory of another object.

    Args:
        kind: a class of ctypes.
        owner: an object with writable memory (PEP 3118).
        offset: bytes from the beginning of the owner's memory.
    """
    return kind.from_buffer(owner, offset)
