"""Where the memory of an array lies, and in which other array."""

from __future__ import annotations

from typing import Any


def root_of(array: Any) -> Any:
    """Return the array whose memory a view lies in, or the array itself."""
    import numpy as np

    root = array
    while isinstance(base := _base(root), np.ndarray):
        root = base
    if root is array or array.size == 0 or array.dtype.itemsize == 0:
        return array
    if not (root.flags.c_contiguous or root.flags.f_contiguous):
        return array
    if root.dtype.hasobject != array.dtype.hasobject or (array.dtype.hasobject and array.dtype != root.dtype):
        return array
    low, high = bounds(array)
    start = address(root)
    return root if start <= low and high <= start + root.nbytes else array


def _base(array: Any) -> Any:
    """Return what an array lies in; `as_strided` puts an object of its own between."""
    base = array.base
    return base.base if type(base).__name__ == "DummyArray" else base


def bounds(array: Any) -> tuple[int, int]:
    """Return the address of an array's first byte and the one past its last; strides may be negative."""
    low = high = address(array)
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def address(array: Any) -> int:
    """Return where the elements of an array begin."""
    return int(array.__array_interface__["data"][0])
