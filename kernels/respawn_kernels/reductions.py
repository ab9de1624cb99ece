"""How arrays and tensors are taken apart, so that they share memory afterwards as they did before.

A NumPy array that owns its memory is a buffer; a view is its owner and a place in it. Text in an object array
is stored as one string and the length of each element. Tensors are places in their storage. Functions named
`make_…` are what streams call when they are loaded: old checkpoints need them, so they stay.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from respawn_kernels import builtin_reductions, session_reductions
from respawn_kernels.pickling import NamespacePickler, Reducer

TEXTS = 1000
"""Object arrays of at least this many elements are tried as text."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the libraries that are loaded in this process."""
    found: dict[type, Reducer] = {**session_reductions.reducers(), **builtin_reductions.reducers()}
    if (numpy := sys.modules.get("numpy")) is not None and hasattr(numpy, "ndarray"):
        from respawn_kernels import array_reductions

        found[numpy.ndarray] = _array
        found |= array_reductions.reducers()
    if sys.modules.get("pandas") is not None and hasattr(sys.modules["pandas"], "DataFrame"):
        from respawn_kernels import pandas_reductions

        found |= pandas_reductions.reducers()
    if sys.modules.get("polars") is not None and hasattr(sys.modules["polars"], "Series"):
        from respawn_kernels import polars_reductions

        found |= polars_reductions.reducers()
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "Tensor"):
        found[torch.Tensor] = _tensor
        found[torch.nn.Parameter] = _parameter
    if sys.modules.get("matplotlib.cbook") is not None:
        from respawn_kernels import matplotlib_reductions

        found |= matplotlib_reductions.reducers()
    if sys.modules.get("unittest.mock") is not None:
        from respawn_kernels import mock_reductions

        found |= mock_reductions.reducers()
    if sys.modules.get("traitlets") is not None:
        from respawn_kernels import traitlets_reductions

        found |= traitlets_reductions.reducers()
    return found


# NumPy


def _array(array: Any, pickler: NamespacePickler) -> Any:
    alone = id(array) in pickler.unaliased
    if array.dtype.kind == "O" and array.size >= TEXTS and (alone or array.base is None):
        from respawn_kernels.texts import pack

        packed = pack(array)
        if packed is not None:
            return packed
    root = array if alone or pickler.plains.get(id(array.base)) is array else root_of(array)
    place = array.dtype, array.shape, array.strides
    writeable = bool(array.flags.writeable)
    if root is not array:
        memory = memory_of(root, pickler)
        return make_view, (memory, *place, _address(array) - _address(memory), writeable)
    if array.dtype.hasobject or array.dtype.kind not in "biufcmMSUV":
        return NotImplemented
    owner = array.base.obj if isinstance(array.base, memoryview) else array.base
    if isinstance(owner, bytearray | bytes):
        import numpy as np

        offset = _address(array) - _address(np.frombuffer(owner, np.uint8))
        return make_view, (owner, *place, offset, writeable)
    if type(array.base).__name__ == "nditer":
        raise pickle.PicklingError("an element of a nditer, which lies in the array that it goes through")
    refuse_shared(array)
    same = array if alone else _standing_for(array, pickler)
    if same is not array:
        return make_view, (same, *place, 0, writeable)
    if array.flags.c_contiguous or array.flags.f_contiguous:
        order = "C" if array.flags.c_contiguous else "F"
        # As bytes: dates, for instance, cannot be given as a buffer of their own kind.
        memory = array.ravel(order="K").view("u1") if array.nbytes else array.ravel()
        return make_array, (pickle.PickleBuffer(memory), array.dtype, array.shape, order, writeable)
    return NotImplemented


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
    start = _address(root)
    return root if start <= low and high <= start + root.nbytes else array


def memory_of(root: Any, pickler: NamespacePickler) -> Any:
    """Return the array that stands for the memory of a root: of one of a subclass, the plain array of it."""
    import numpy as np

    if type(root) in (np.ndarray, np.memmap):
        return root
    if id(root) not in pickler.plains:
        pickler.keep.append(root)  # its address must not be given to another object
        pickler.plains[id(root)] = np.ndarray.view(root, np.ndarray)
    return pickler.plains[id(root)]


def _base(array: Any) -> Any:
    """Return what an array lies in; `as_strided` puts an object of its own between."""
    base = array.base
    return base.base if type(base).__name__ == "DummyArray" else base


def _standing_for(array: Any, pickler: NamespacePickler) -> Any:
    """Return the array that stands for this one's memory: the first one met, of a tensor for instance."""
    key = (_address(array), array.nbytes)
    if not array.nbytes or not (array.flags.c_contiguous or array.flags.f_contiguous):
        return array
    known = pickler.roots.get(key, _nobody)()
    if known is None:
        pickler.roots[key] = weakref.ref(array)
        return array
    return known


def _nobody() -> None: ...


def bounds(array: Any) -> tuple[int, int]:
    """Return the first address of an array's memory and the one past its last."""
    low = high = _address(array)
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def make_array(data: Any, dtype: Any, shape: Any, order: Any, writeable: bool) -> Any:
    """Return an array on a buffer; one that came in the stream gets memory of its own."""
    import numpy as np

    array: Any = np.ndarray(shape, dtype, buffer=data, order=order)
    if isinstance(data, bytes | bytearray):
        array = array.copy(order=order)
    if not writeable:
        array.flags.writeable = False
    return array


def make_subclass(cls: type, array: Any, attributes: dict[str, Any] | None) -> Any:
    """Return an array as one of its subclasses, with what the object has besides its elements."""
    from respawn_kernels.array_reductions import as_subclass

    made = as_subclass(cls, array)
    if attributes:
        made.__dict__.update(attributes)
    return made


def make_view(root: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """Return an array that lies in the memory of another, or of a `bytes` or `bytearray`."""
    import numpy as np

    memory = root
    if isinstance(root, np.memmap):
        root = np.ndarray.view(root, np.ndarray)
    # A base may have been made read-only after a view of it was taken.
    frozen = writeable and isinstance(root, np.ndarray) and not root.flags.writeable
    if frozen:
        with suppress(ValueError):
            root.flags.writeable = True
    if isinstance(root, np.ndarray):
        memory = root.ravel(order="K") if dtype.hasobject else root.ravel(order="K").view(np.uint8)
    view: Any = np.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)
    if frozen:
        root.flags.writeable = False
    if not writeable:
        view.flags.writeable = False
    return view


def refuse_shared(array: Any) -> None:
    """Refuse memory that other processes change: a held child would not see the state before the cell.

    Raises PicklingError where this process is a forked child (see `shared`).
    """
    from respawn_kernels.shared import is_shared

    if array.nbytes and array.base is not None and is_shared(_address(array)):
        raise pickle.PicklingError("lies in memory that is shared with other processes")


# torch


def _tensor(tensor: Any, pickler: NamespacePickler) -> Any:
    if not _is_place(tensor):
        return NotImplemented
    memory = _storage_memory(tensor.untyped_storage(), pickler)
    place = tensor.dtype, tuple(tensor.size()), tuple(tensor.stride()), tensor.storage_offset()
    return make_tensor, (memory, *place, tensor.requires_grad, tensor.grad), dict(tensor.__dict__) or None


def _parameter(parameter: Any, pickler: NamespacePickler) -> Any:
    state = dict(parameter.__dict__) or None
    return make_parameter, (parameter.data, parameter.requires_grad, parameter.grad), state


def _is_place(tensor: Any) -> bool:
    """Whether a tensor is nothing but a place in a storage of this process's memory."""
    import torch

    plain = tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_quantized
    computed = tensor.is_conj() or tensor.is_neg() or not tensor.is_leaf or tensor._backward_hooks
    return plain and not computed


def _storage_memory(storage: Any, pickler: NamespacePickler) -> Any:
    """Return an array that stands for a storage: the same one for all tensors that lie in it."""
    import numpy as np

    size = storage.nbytes()
    if size == 0:
        return np.empty(0, np.uint8)
    memory = np.frombuffer((ctypes.c_char * size).from_address(storage.data_ptr()), np.uint8)
    found = _standing_for(memory, pickler)
    pickler.keep.append(found)
    return found


def make_tensor(
    memory: Any, dtype: Any, size: Any, stride: Any, offset: int, requires_grad: bool, grad: Any
) -> Any:
    """Return a tensor that lies in an array's memory."""
    import torch

    tensor = torch.empty(0, dtype=dtype)
    if memory.nbytes:
        storage = torch.from_numpy(memory.ravel(order="K").view("u1")).untyped_storage()
    else:
        storage = tensor.untyped_storage()
    tensor.set_(storage, offset, size, stride)
    tensor.requires_grad = requires_grad
    tensor.grad = grad
    return tensor


def make_parameter(data: Any, requires_grad: bool, grad: Any) -> Any:
    """Return a parameter of a module with its gradient."""
    import torch

    parameter = torch.nn.Parameter(data, requires_grad)
    parameter.grad = grad
    return parameter
