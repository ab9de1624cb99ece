"""How arrays of subclasses are taken apart: masked ones, records, maps of files, the notebook's own.

Each is a plain array, whose memory it may share with others, and what its `__dict__` has besides.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from respawn_kernels.digest import digest_of
from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.introspection.class_tree import subclasses
from respawn_kernels.memory.array_memory import bounds, root_of
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name
from respawn_kernels.reducers import arrays

_READ = 256 << 20
"""Of a mapped file up to so many bytes, the content is compared; of a larger one, its size and time."""
_making = threading.RLock()
"""Held while a class has another `__array_finalize__`; once more by a thread that loads an array within."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the subclasses of arrays that there are."""
    import numpy as np

    masked: Any = getattr(sys.modules.get("numpy.ma"), "MaskedArray", np.ndarray)
    own = (np.ndarray.__reduce__, masked.__reduce__)
    found: dict[type, Reducer] = {cls: _subclass for cls in subclasses(np.ndarray) if cls.__reduce__ in own}
    found[np.memmap] = _memmap
    found |= dict.fromkeys([np.void, *subclasses(np.void)], _record)
    return found


def _subclass(array: Any, pickler: NamespacePickler) -> Any:
    import numpy as np

    if _is_part(array):
        place = array.dtype, array.shape, array.strides, _start(array) - _start(array.base)
        return _filled(make_part, (array.base, *place, bool(array.flags.writeable)), array)
    if root_of(array) is array:
        plain = arrays.memory_of(array, pickler)
    else:
        plain = np.ndarray.view(array, np.ndarray)
        pickler.keep.append(plain)  # its address must not be given to another object
    return _filled(arrays.make_subclass, (type(array), plain, None), array)


def _filled(make: Any, arguments: tuple[Any, ...], array: Any) -> Any:
    """Return how an array is made and then filled: what it has besides its elements may lead back to it.

    The sixth item of a reduction sets the state when the object is in the memo (`__reduce__`, since Python
    3.8).
    """
    inside = dict(getattr(array, "__dict__", {}))
    return (make, arguments, inside, None, None, fill_array_attributes) if inside else (make, arguments)


@stable_name
def fill_array_attributes(array: Any, inside: dict[str, Any]) -> None:
    """Set the attributes of an array."""
    vars(array).update(inside)


def _is_part(array: Any) -> bool:
    """Return whether an array lies in another one of its class, of the notebook, which is its `base`."""
    owner = array.base
    if type(owner) is not type(array) or not is_notebooks(type(array)) or not array.nbytes:
        return False
    if array.dtype.hasobject or owner.dtype.hasobject or not hasattr(array, "__dict__"):
        return False
    whole = owner.flags.c_contiguous or owner.flags.f_contiguous
    # What is writable in a base that is not can only be made past it.
    if not whole or owner.flags.writeable < array.flags.writeable:
        return False
    low, high = bounds(array)
    return _start(owner) <= low and high <= _start(owner) + int(owner.nbytes)


def _start(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


@stable_name
def make_part(owner: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """Return an array that lies in another one of its class, and whose `base` that is.

    Args:
        owner: the other array, of a class of the notebook.
        dtype: type of the part's elements.
        shape: of the part: elements along each axis.
        strides: bytes between elements along each axis.
        offset: bytes from the owner's first element to the part's.
        writeable: whether the part can be written to.
    """
    import numpy as np

    cls: Any = type(owner)
    with _silent(cls):
        made = np.ndarray.__new__(cls, shape, dtype, owner, offset, strides)
    if not writeable:
        made.flags.writeable = False
    return made


def as_subclass(cls: Any, array: Any) -> Any:
    """Return an array as one of a subclass; `__array_finalize__` of the notebook is not called again."""
    import numpy as np

    if not is_notebooks(cls):
        return np.ndarray.view(array, cls)
    with _silent(cls):
        return np.ndarray.view(array, cls)


@contextmanager
def _silent(cls: Any) -> Iterator[None]:
    """Let nothing of the notebook's class run while an array of it is made.

    NumPy calls `__array_finalize__` whenever it makes an array of a subclass (documentation of subclassing).
    """
    import numpy as np

    # Race: of two threads that load arrays of one class, the second would keep the first one's stand-in.
    with _making:
        own = "__array_finalize__" in vars(cls)
        before = vars(cls).get("__array_finalize__")
        type.__setattr__(cls, "__array_finalize__", np.ndarray.__array_finalize__)  # does nothing
        try:
            yield
        finally:
            if own:
                type.__setattr__(cls, "__array_finalize__", before)
            else:
                type.__delattr__(cls, "__array_finalize__")


def _record(record: Any, pickler: NamespacePickler) -> Any:
    """Reduce a record that lies in an array, as `rows[0]` does; another one to an array of its own.

    NumPy's own pickling makes a record that ignores what is written to it.
    """
    import numpy as np

    owner = record.base
    if record.dtype.names is None:  # bytes, which nobody can write to
        return NotImplemented
    lies_in = isinstance(owner, np.ndarray) and owner.dtype == record.dtype
    if not lies_in or (owner.ndim > 1 and not owner.flags.c_contiguous):
        owner = np.array(record)
        pickler.keep.append(owner)  # its address must not be given to another object
    if owner.ndim == 0:
        return make_record, (owner, 0)
    start, step = owner.__array_interface__["data"][0], owner.strides[-1]
    place = (record.__array_interface__["data"][0] - start) // step if step else 0
    return make_record, (owner, place)


@stable_name
def make_record(owner: Any, place: int) -> Any:
    """Return a record that lies in an array: a write to it is one to the array.

    Args:
        owner: the array; of more than one dimension only when it is contiguous.
        place: the record's number in it.
    """
    import numpy as np

    return (
        owner[np.unravel_index(place, owner.shape)] if owner.ndim > 1 else owner[place if owner.ndim else ()]
    )


def _memmap(array: Any, pickler: NamespacePickler) -> Any:
    """Reduce the map of a file to the file, which must then be what it is now."""
    import numpy as np

    root = root_of(array)
    inside = {name: value for name, value in vars(array).items() if name != "_mmap"}
    if type(root) is np.memmap and root is not array:
        offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        place = array.dtype, array.shape, array.strides, offset, bool(array.flags.writeable)
        return make_part_of_map, (root, place, inside)
    if array._mmap is None or array.base is not array._mmap:
        return _subclass(array, pickler)
    if array.filename is None:
        raise pickle.PicklingError("a map of a file that has no name")
    arrays.refuse_shared(array)
    path, size = str(array.filename), array.nbytes
    order = "C" if array.flags.c_contiguous else "F"
    where = path, array.dtype, array.mode, array.offset, array.shape, order
    try:
        mark = _mark(path, array.offset, size)
    except OSError as error:
        raise pickle.PicklingError(f"a map of a file that cannot be read: {error}") from None
    # Copy on write: changes are in this process alone, and nothing but the content shows whether there are
    # any.
    if array.mode == "c" and (size > _READ or mark != digest_of(array.tobytes(order="K"))):
        content = array.view(np.ndarray).copy(order)
        pickler.keep.append(content)  # its address must not be given to another object
        return make_changed_map, (*where, content)
    return make_memmap, (*where, mark)


@stable_name
def make_memmap(path: str, dtype: Any, mode: str, offset: int, shape: Any, order: Any, mark: str) -> Any:
    """Return the map of a file.

    Args:
        path: absolute, of the file.
        dtype: type of the elements.
        mode: as `numpy.memmap` has it: `r`, `r+`, `w+` or `c`.
        offset: bytes from the beginning of the file to the first element.
        shape: elements along each axis.
        order: `C` or `F`.
        mark: what the file was like, see `_mark`.

    Raises:
        ValueError: the file is not what it was.
        OSError: the file cannot be opened.
    """
    import numpy as np

    # `w+` would empty the file.
    made: Any = np.memmap(path, dtype, "r+" if mode == "w+" else mode, offset, shape, order)  # type: ignore[call-overload]
    if _mark(path, offset, made.nbytes) != mark:
        raise ValueError(f"the file {path} has changed since")
    made.mode = mode
    return made


@stable_name
def make_changed_map(
    path: str, dtype: Any, mode: Any, offset: int, shape: Any, order: Any, content: Any
) -> Any:
    """Return the map of a file with changes that are not in the file.

    Args:
        path: absolute, of the file.
        dtype: type of the elements.
        mode: `c`: what is written stays in memory.
        offset: bytes from the beginning of the file to the first element.
        shape: elements along each axis.
        order: `C` or `F`.
        content: an array of this shape with all elements.

    Raises:
        OSError: the file cannot be opened.
    """
    import numpy as np

    made: Any = np.memmap(path, dtype, mode, offset, shape, order)
    made[...] = content
    return made


@stable_name
def make_part_of_map(root: Any, place: tuple[Any, ...], inside: dict[str, Any]) -> Any:
    """Return a part of the map of a file.

    Args:
        root: the map.
        place: dtype, shape, strides, offset and whether it can be written to, as for `arrays.make_view`.
        inside: attributes of the part, but the map that the root has.
    """
    import numpy as np

    made: Any = np.ndarray.view(arrays.make_view(root, *place), np.memmap)
    vars(made).update(inside, _mmap=root._mmap)
    return made


def _mark(path: str, offset: int, size: int) -> str:
    """Return what differs when the mapped bytes of a file do: their digest, or the file's size and time."""
    if size > _READ:
        status = Path(path).stat()
        return f"{status.st_size} {status.st_mtime_ns}"
    with Path(path).open("rb") as file:
        file.seek(offset)
        return digest_of(file.read(size))
