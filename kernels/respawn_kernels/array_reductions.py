"""How arrays of subclasses are taken apart: masked ones, records, maps of files, the notebook's own.

Each is a plain array, whose memory it may share with others, and what its `__dict__` has besides.

Functions named `make_…` and `fill_…` are what streams call when they are loaded: old checkpoints need them,
so they stay.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from respawn_kernels import reductions
from respawn_kernels.class_reductions import is_notebooks
from respawn_kernels.digest import digest_of
from respawn_kernels.pickling import NamespacePickler, Reducer

_READ = 256 << 20
"""Of a mapped file up to so many bytes, the content is compared; of a larger one, its size and time."""
_making = threading.RLock()


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the subclasses of arrays that there are."""
    import numpy as np

    masked: Any = getattr(sys.modules.get("numpy.ma"), "MaskedArray", np.ndarray)
    own = (np.ndarray.__reduce__, masked.__reduce__)
    found: dict[type, Reducer] = {cls: _subclass for cls in _subclasses(np.ndarray) if cls.__reduce__ in own}
    found[np.memmap] = _memmap
    found[np.void] = _record
    return found


def _subclasses(cls: type) -> Iterator[type]:
    each: type
    for each in type.__subclasses__(cls):
        yield each
        yield from _subclasses(each)


def _subclass(array: Any, pickler: NamespacePickler) -> Any:
    import numpy as np

    if _is_part(array):
        place = array.dtype, array.shape, array.strides, _start(array) - _start(array.base)
        return _filled(make_part, (array.base, *place, bool(array.flags.writeable)), array)
    if reductions.root_of(array) is array:
        plain = reductions.memory_of(array, pickler)
    else:
        plain = np.ndarray.view(array, np.ndarray)
        pickler.keep.append(plain)  # its address must not be given to another object
    return _filled(reductions.make_subclass, (type(array), plain, None), array)


def _filled(make: Any, arguments: tuple[Any, ...], array: Any) -> Any:
    """Return how an array is made, and then given what it has besides: that may lead back to the array."""
    inside = dict(getattr(array, "__dict__", {}))
    return (make, arguments, inside, None, None, fill_attributes) if inside else (make, arguments)


def fill_attributes(array: Any, inside: dict[str, Any]) -> None:
    """Give an array what it has besides its elements."""
    vars(array).update(inside)


def _is_part(array: Any) -> bool:
    """Tell whether an array lies in another one of its class, of the notebook, which is its `base`."""
    owner = array.base
    if type(owner) is not type(array) or not is_notebooks(type(array)) or not array.nbytes:
        return False
    if array.dtype.hasobject or owner.dtype.hasobject or not hasattr(array, "__dict__"):
        return False
    whole = owner.flags.c_contiguous or owner.flags.f_contiguous
    # What is writable in a base that is not can only be made past it.
    if not whole or owner.flags.writeable < array.flags.writeable:
        return False
    low, high = reductions.bounds(array)
    return _start(owner) <= low and high <= _start(owner) + int(owner.nbytes)


def _start(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def make_part(owner: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """Return an array that lies in another one of its class, and whose `base` that is."""
    import numpy as np

    cls: Any = type(owner)
    with _silent(cls):
        made = np.ndarray.__new__(cls, shape, dtype, owner, offset, strides)
    if not writeable:
        made.flags.writeable = False
    return made


def as_subclass(cls: Any, array: Any) -> Any:
    """Return a view of a class; what the notebook does when a view is made was done already."""
    import numpy as np

    if not is_notebooks(cls):
        return np.ndarray.view(array, cls)
    with _silent(cls):
        return np.ndarray.view(array, cls)


@contextmanager
def _silent(cls: Any) -> Iterator[None]:
    """Let nothing of the notebook's class run while an array of it is made."""
    import numpy as np

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


def _record(record: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a record that lies in an array, as `rows[0]` does; others are values."""
    import numpy as np

    owner = record.base
    if not isinstance(owner, np.ndarray) or owner.dtype != record.dtype or owner.ndim > 1:
        return NotImplemented
    if owner.ndim == 0:
        return make_record, (owner, 0)
    start, step = owner.__array_interface__["data"][0], owner.strides[0]
    place = (record.__array_interface__["data"][0] - start) // step if step else 0
    return make_record, (owner, place)


def make_record(owner: Any, place: int) -> Any:
    """Return a record that lies in an array."""
    return owner[place] if owner.ndim else owner[()]


def _memmap(array: Any, pickler: NamespacePickler) -> Any:
    """Reduce the map of a file to the file, which must then be what it is now."""
    import numpy as np

    root = reductions.root_of(array)
    inside = {name: value for name, value in vars(array).items() if name != "_mmap"}
    if type(root) is np.memmap and root is not array:
        offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        place = array.dtype, array.shape, array.strides, offset, bool(array.flags.writeable)
        return make_part_of_map, (root, place, inside)
    if array._mmap is None or array.base is not array._mmap:
        return _subclass(array, pickler)
    if array.filename is None:
        raise pickle.PicklingError("a map of a file that has no name")
    reductions.refuse_shared(array)
    path, size = str(array.filename), array.nbytes
    order = "C" if array.flags.c_contiguous else "F"
    where = path, array.dtype, array.mode, array.offset, array.shape, order
    try:
        mark = _mark(path, array.offset, size)
    except OSError as error:
        raise pickle.PicklingError(f"a map of a file that cannot be read: {error}") from None
    if array.mode == "c" and (size > _READ or mark != digest_of(array.tobytes(order="K"))):
        content = array.view(np.ndarray).copy(order)
        pickler.keep.append(content)  # its address must not be given to another object
        return make_changed_map, (*where, content)
    return make_memmap, (*where, mark)


def make_memmap(path: str, dtype: Any, mode: str, offset: int, shape: Any, order: Any, mark: str) -> Any:
    """Return the map of a file. Raises ValueError when the file is not what it was."""
    import numpy as np

    made: Any = np.memmap(path, dtype, "r+" if mode == "w+" else mode, offset, shape, order)  # type: ignore[call-overload]
    if _mark(path, offset, made.nbytes) != mark:
        raise ValueError(f"the file {path} has changed since")
    made.mode = mode
    return made


def make_changed_map(
    path: str, dtype: Any, mode: Any, offset: int, shape: Any, order: Any, content: Any
) -> Any:
    """Return the map of a file with changes that are not in the file."""
    import numpy as np

    made: Any = np.memmap(path, dtype, mode, offset, shape, order)
    made[...] = content
    return made


def make_part_of_map(root: Any, place: tuple[Any, ...], inside: dict[str, Any]) -> Any:
    """Return a part of the map of a file."""
    import numpy as np

    made: Any = np.ndarray.view(reductions.make_view(root, *place), np.memmap)
    vars(made).update(inside, _mmap=root._mmap)
    return made


def _mark(path: str, offset: int, size: int) -> str:
    if size > _READ:
        told = Path(path).stat()
        return f"{told.st_size} {told.st_mtime_ns}"
    with Path(path).open("rb") as file:
        file.seek(offset)
        return digest_of(file.read(size))
