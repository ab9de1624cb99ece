"""Text in an object array, stored as one string and the length of each element.

Pickled element by element, five million strings take seconds and come back as slowly. Elements may also be
None, `numpy.nan` or `pandas.NA`. Where few strings come again and again, each is stored once: as in the
original they are then one object. Lone surrogates, which `os.fsdecode` makes of undecodable bytes (PEP 383),
are kept: UTF-8 alone would refuse them.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
from typing import Any

from respawn_kernels.rebuild import stable_name

_STRING, _NONE, _NAN, _NA = range(4)
_SAMPLE = 200_000
"""Enough to see that 50,000 names in millions of rows repeat themselves: they load eight times faster."""


def pack(array: Any) -> Any:
    """Return how to make an object array of strings again, or None when it holds anything else."""
    import numpy as np

    if not (array.flags.c_contiguous or array.flags.f_contiguous) or type(array[(0,) * array.ndim]) in (
        list,
        dict,
    ):
        return None
    values = array.ravel(order="K").tolist()
    kinds = None
    if set(map(type, values)) != {str}:
        kinds = _kinds(values)
        if kinds is None:
            return None
        values = [value for value, kind in zip(values, kinds, strict=True) if kind == _STRING]
    codes = None
    if _repeats(values):
        index = {value: place for place, value in enumerate(dict.fromkeys(values))}
        if len(index) <= len(values) // 2:
            codes = np.fromiter(map(index.__getitem__, values), np.uint32, len(values))
            values = list(index)
    lengths = np.fromiter(map(len, values), np.uint32, len(values))
    text = "".join(values).encode("utf-8", "surrogatepass")
    order = "C" if array.flags.c_contiguous else "F"
    return make_object_strings, (
        pickle.PickleBuffer(text),
        lengths,
        codes,
        None if kinds is None else np.frombuffer(kinds, np.uint8),
        array.shape,
        order,
        bool(array.flags.writeable),
    )


def _repeats(values: list[str]) -> bool:
    sample = values[:: max(1, len(values) // _SAMPLE)]
    return len(set(sample)) <= len(sample) // 2


def _kinds(values: list[Any]) -> bytes | None:
    """Return what each element is, or None when one is neither text nor a missing value."""
    numpy, pandas = sys.modules["numpy"], sys.modules.get("pandas")
    missing = {id(None): _NONE, id(numpy.nan): _NAN, id(getattr(pandas, "NA", None)): _NA}
    missing[id(None)] = _NONE
    kinds = bytes(_STRING if type(value) is str else missing.get(id(value), 255) for value in values)
    return None if 255 in kinds or _STRING not in kinds else kinds


@stable_name
def make_object_strings(
    data: Any, lengths: Any, codes: Any, kinds: Any, shape: Any, order: Any, writeable: bool
) -> Any:
    """Return the object array of strings that `pack` took apart.

    Args:
        data: the strings one behind the other, in UTF-8.
        lengths: array of uint32: characters of each string.
        codes: array of uint32: for each element that is a string, which of the strings it is; None where each
            element has a string of its own.
        kinds: array of uint8: for each element, whether it is a string, None, NaN or NA; None when all are
            strings.
        shape: elements along each axis.
        order: `C` or `F`: the order of the elements.
        writeable: whether the array can be written to.
    """
    import numpy as np

    text = str(data, "utf-8", "surrogatepass")
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    values = [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=False)]
    strings = np.empty(len(values), object)
    strings[:] = values
    if codes is not None:
        strings = strings[codes]
    if kinds is not None:
        missing = [None, None, np.nan, None]
        if (kinds == _NA).any():
            import pandas as pd

            missing[_NA] = pd.NA
        everything = np.empty(len(kinds), object)
        everything[kinds == _STRING] = strings
        for kind in (_NAN, _NA):
            everything[kinds == kind] = missing[kind]
        strings = everything
    array = strings.reshape(shape, order=order)
    array = array.copy(order=order) if array.base is not None else array
    if not writeable:
        array.flags.writeable = False
    return array


_STATE = 16 + 2 * ctypes.sizeof(ctypes.c_ssize_t)
"""Where the flags of a text are: after reference count, type, length and hash (PyASCIIObject, PEP 393)."""
_INTERNED = 3
"""The lowest two bits of the flags; 0 for a text that is not interned."""


def is_interned(text: str) -> bool:
    """Return whether Python keeps a text as the only one of its value; `sys.intern` would make it so."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    return bool(ctypes.c_uint32.from_address(id(text) + _STATE).value & _INTERNED)
