"""How arrays and tensors are taken apart, so that they share memory afterwards as they did before.

A NumPy array that owns its memory is a buffer that leaves the stream (pickle protocol 5, PEP 574); a view is
its owner and a place in it. Text in an object array is stored as one string and the length of each element.
Tensors are places in their storage. Addresses are those of `__array_interface__`.

pickle's own way copies: an array and a view of it come back as two arrays, and a write to one of them does
not show in the other.
"""

from __future__ import annotations

import ctypes
import math
import pickle
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from respawn_kernels.memory.array_memory import address, root_of
from respawn_kernels.memory.exposed_memory import owns_memory
from respawn_kernels.memory.owned_memory import is_copied
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name
from respawn_kernels.reducers import borrowed_memory, python_objects, session_objects

TEXTS = 1000
"""Object arrays of at least this many elements are tried as text."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the libraries that are loaded in this process.

    None is imported for it: a library that is not loaded has no objects. A module may be partly imported
    only, so each is asked for a class before it is used.
    """
    found: dict[type, Reducer] = {**session_objects.reducers(), **python_objects.reducers()}
    if (numpy := sys.modules.get("numpy")) is not None and hasattr(numpy, "ndarray"):
        from respawn_kernels.reducers import array_subclasses

        found[numpy.ndarray] = _array
        found |= dict.fromkeys({type(numpy.dtype(code)) for code in numpy.typecodes["All"]}, _dtype)
        found |= array_subclasses.reducers()
    if sys.modules.get("pandas") is not None and hasattr(sys.modules["pandas"], "DataFrame"):
        from respawn_kernels.reducers import pandas_blocks

        found |= pandas_blocks.reducers()
    if sys.modules.get("polars") is not None and hasattr(sys.modules["polars"], "Series"):
        from respawn_kernels.reducers import polars_frames

        found |= polars_frames.reducers()
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "Tensor"):
        found[torch.Tensor] = _tensor
        found[torch.nn.Parameter] = _parameter
    if (booster := getattr(sys.modules.get("lightgbm"), "Booster", None)) is not None:
        found[booster] = _booster
    found |= borrowed_memory.reducers()
    if sys.modules.get("matplotlib.cbook") is not None:
        from respawn_kernels.reducers import matplotlib_callbacks

        found |= matplotlib_callbacks.reducers()
    if sys.modules.get("unittest.mock") is not None:
        from respawn_kernels.reducers import mocks

        found |= mocks.reducers()
    if sys.modules.get("traitlets") is not None:
        from respawn_kernels.reducers import traits

        found = {**traits.reducers(), **found}  # parts of the session stay such
    return found


# NumPy


def _array(array: Any, pickler: NamespacePickler) -> Any:
    """Reduce an array: it is text, a view of another array or of an object with memory, or a buffer."""
    alone = id(array) in pickler.unaliased
    if array.dtype.kind == "O" and array.size >= TEXTS and (alone or array.base is None):
        from respawn_kernels.reducers.object_strings import pack

        packed = pack(array)
        if packed is not None:
            return packed
    root = array if alone or pickler.plains.get(id(array.base)) is array else root_of(array)
    place = array.dtype, array.shape, array.strides
    writeable = bool(array.flags.writeable)
    if root is not array:
        memory = memory_of(root, pickler)
        if memory is root and root.base is not None and _owner_of(root) is None:
            # NumPy would take the owner of the memory for the base, not the array between
            # (PyArray_SetBaseObject).
            memory = _standing_for(root, pickler)
        return make_view, (memory, *place, address(array) - address(memory), writeable)
    if array.dtype.hasobject or array.dtype.kind not in "biufcmMSUV":
        return NotImplemented
    owner = _owner_of(array)
    if owner is not None and array.nbytes:
        import numpy as np

        refuse_shared(array)

        offset = address(array) - address(np.frombuffer(owner, np.uint8))
        if isinstance(array.base, memoryview) and array.flags.c_contiguous:
            return make_held, (owner, array.dtype, array.shape, offset, writeable)
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


def _dtype(dtype: Any, _pickler: NamespacePickler) -> Any:
    """Reduce a type of elements of which NumPy has one object to that one; pickle would make another."""
    import numpy as np

    return (np.dtype, (dtype.str,)) if np.dtype(dtype.str) is dtype else NotImplemented


def _booster(booster: Any, pickler: NamespacePickler) -> Any:
    """Refuse a model of lightgbm that may be trained further: it would be stored without its data."""
    if getattr(booster, "train_set", None) is not None:
        raise pickle.PicklingError("a model that may be trained further, whose data lightgbm keeps in C++")
    return pickler.reduced_otherwise(booster)


def _owner_of(array: Any) -> Any:
    """Return the object of Python whose memory an array was given, such as a `bytearray`; None for others."""
    owner = array.base.obj if isinstance(array.base, memoryview) else array.base
    return owner if isinstance(owner, bytes) or owns_memory(owner) else None


def memory_of(root: Any, pickler: NamespacePickler) -> Any:
    """Return the array that stands for the memory of a root: of one of a subclass, the plain array of it."""
    import numpy as np

    if type(root) in (np.ndarray, np.memmap):
        return root
    if id(root) not in pickler.plains:
        pickler.keep.append(root)  # its address must not be given to another object
        pickler.plains[id(root)] = np.ndarray.view(root, np.ndarray)
    return pickler.plains[id(root)]


def _standing_for(array: Any, pickler: NamespacePickler) -> Any:
    """Return the array that stands for this one's memory: the first one met, of a tensor for instance."""
    key = (address(array), array.nbytes)
    if not array.nbytes or not (array.flags.c_contiguous or array.flags.f_contiguous):
        return array
    known = pickler.roots.get(key, _nobody)()
    if known is None:
        # Weak: when this array is gone, its address may be that of another one.
        pickler.roots[key] = weakref.ref(array)
        return array
    return known


def _nobody() -> None: ...


@stable_name
def make_array(data: Any, dtype: Any, shape: Any, order: Any, writeable: bool) -> Any:
    """Return an array on a buffer, or with a copy of it as memory of its own; see `memory.owned_memory`.

    Args:
        data: the bytes of its elements: mapped memory, or `bytes` where they were in the stream.
        dtype: type of the elements.
        shape: elements along each axis.
        order: `C` or `F`: how the elements follow each other in the bytes.
        writeable: whether it can be written to.
    """
    import numpy as np

    array: Any = np.ndarray(shape, dtype, buffer=data, order=order)
    if is_copied(data):
        array = array.copy(order=order)
    if not writeable:
        array.flags.writeable = False
    return array


@stable_name
def make_subclass(cls: type, array: Any, attributes: dict[str, Any] | None) -> Any:
    """Return an array as one of a subclass, with what the object has besides its elements.

    Args:
        cls: the subclass.
        array: a plain array, whose memory the new one has.
        attributes: of the new one; None in streams that give them by `fill_array_attributes`.
    """
    from respawn_kernels.reducers.array_subclasses import as_subclass

    made = as_subclass(cls, array)
    if attributes:
        made.__dict__.update(attributes)
    return made


@stable_name
def make_view(root: Any, dtype: Any, shape: Any, strides: Any, offset: int, writeable: bool) -> Any:
    """Return an array that lies in the memory of another, or of an object of Python that has some.

    Args:
        root: a contiguous array, or an object such as a `bytearray`.
        dtype: type of the view's elements.
        shape: of the view: elements along each axis.
        strides: bytes between elements along each axis.
        offset: bytes from the beginning of the root's memory to the view's first element.
        writeable: whether the view can be written to.
    """
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
        # The root is contiguous, so `ravel` returns a view and copies nothing.
        memory = root.ravel(order="K") if dtype.hasobject else root.ravel(order="K").view(np.uint8)
    view: Any = np.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)
    if frozen:
        root.flags.writeable = False
    if not writeable:
        view.flags.writeable = False
    return view


@stable_name
def make_held(owner: Any, dtype: Any, shape: Any, offset: int, writeable: bool) -> Any:
    """Return an array in the memory of an object of Python, which cannot be resized then (PEP 3118).

    Args:
        owner: the object, such as a `bytearray` or an `array.array`.
        dtype: type of the elements.
        shape: elements along each axis.
        offset: bytes from the beginning of the owner's memory to the first element.
        writeable: whether the array can be written to.
    """
    import numpy as np

    made: Any = np.asarray(memoryview(owner))
    if (made.dtype, made.shape) != (dtype, shape):
        made = np.frombuffer(owner, dtype, math.prod(shape), offset)
    if made.shape != shape:
        made.shape = shape  # a view would have another base
    if not writeable:
        made.flags.writeable = False
    return made


def refuse_shared(array: Any) -> None:
    """Refuse memory that other processes change: a held child would not see the state before the cell.

    Raises:
        pickle.PicklingError: it is such memory, and this process a forked child (see `memory.shared_memory`).
    """
    from respawn_kernels.memory.shared_memory import is_shared

    if array.nbytes and array.base is not None and is_shared(address(array)):
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


@stable_name
def make_tensor(
    memory: Any, dtype: Any, size: Any, stride: Any, offset: int, requires_grad: bool, grad: Any
) -> Any:
    """Return a tensor that lies in an array's memory.

    Args:
        memory: an array of bytes that stands for the whole storage; empty for an empty storage.
        dtype: type of the tensor's elements.
        size: elements along each dimension.
        stride: elements, not bytes, from one to the next along each dimension.
        offset: elements from the beginning of the storage.
        requires_grad: whether operations on it are recorded for autograd.
        grad: its gradient, a tensor or None.
    """
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


@stable_name
def make_parameter(data: Any, requires_grad: bool, grad: Any) -> Any:
    """Return a parameter of a module with its gradient.

    Args:
        data: its tensor.
        requires_grad: whether operations on it are recorded for autograd.
        grad: its gradient, a tensor or None.
    """
    import torch

    parameter = torch.nn.Parameter(data, requires_grad)
    parameter.grad = grad
    return parameter
