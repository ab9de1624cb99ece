"""How objects of C libraries are taken apart that lie in the memory of an array, or of a bytearray.

Such an object refers to the memory alone. By itself it is stored as its library stores it, with a copy. Only
where the owner of the memory is stored in the same group does it become a place in the owner. A picture that
Pillow reads from a file, with several frames, needs the file and is refused.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Mapping
from typing import Any

from respawn_kernels.introspection.class_tree import subclasses
from respawn_kernels.memory.exposed_memory import bytes_of
from respawn_kernels.pickling.namespace_pickler import NamespacePickler, Reducer
from respawn_kernels.rebuild import stable_name

_MAPPED = ("1", "L", "I;16", "I;16L", "I;16B", "I", "F", "RGBX", "RGBA", "CMYK")
"""Modes of Pillow that lie in the memory that they were given, and have no palette."""


def reducers() -> Mapping[type, Reducer]:
    """Return the reductions for the libraries that are loaded in this process."""
    found: dict[type, Reducer] = {}
    if (arrow := getattr(sys.modules.get("pyarrow"), "Buffer", None)) is not None:
        found[arrow] = _buffer
    if (image := getattr(sys.modules.get("PIL.Image"), "Image", None)) is not None:
        found[image] = _image
    if (file := getattr(sys.modules.get("PIL.ImageFile"), "ImageFile", None)) is not None:
        found |= dict.fromkeys(subclasses(file), _image_file)
    for module, name in (("scipy.spatial._ckdtree", "cKDTree"), ("scipy.spatial._kdtree", "KDTree")):
        if (tree := getattr(sys.modules.get(module), name, None)) is not None:
            found[tree] = _tree
    return found


def _buffer(buffer: Any, pickler: NamespacePickler) -> Any:
    found = pickler.lenders.find(buffer.address, buffer.size)
    return NotImplemented if found is None else (make_arrow_buffer, (*found, buffer.size))


@stable_name
def make_arrow_buffer(owner: Any, offset: int, size: int) -> Any:
    """Return Arrow's buffer of memory that another object owns.

    Args:
        owner: an array or another object that owns memory.
        offset: bytes from the beginning of the owner's memory.
        size: bytes of the buffer.
    """
    arrow: Any = importlib.import_module("pyarrow")
    return arrow.py_buffer(bytes_of(owner)[offset : offset + size])


def _image(image: Any, pickler: NamespacePickler) -> Any:
    from respawn_kernels.memory.exposed_memory import image_memory

    place = image_memory(image) if image.mode in _MAPPED else None
    found = pickler.lenders.find(place[0], place[1] - place[0]) if place is not None else None
    if found is None:
        return NotImplemented
    inside = {name: value for name, value in vars(image).items() if name != "_im"}
    return make_image, (*found, image.mode, image.size), inside, None, None, fill_image


def _image_file(image: Any, pickler: NamespacePickler) -> Any:
    """Refuse what Pillow would store as the frame that is shown, without what `seek` needs."""
    # Once the picture that is shown was read, some formats have the file under the second name alone.
    files = (getattr(image, name, None) for name in ("fp", "_fp"))
    if any(file is not None for file in files) and getattr(image, "is_animated", False):
        raise pickle.PicklingError("an open file with several pictures")
    return pickler.reduced_otherwise(image)


@stable_name
def make_image(owner: Any, offset: int, mode: str, size: tuple[int, int]) -> Any:
    """Return an image in memory that another object owns.

    Args:
        owner: an array or another object that owns memory.
        offset: bytes from the beginning of the owner's memory to the first pixel.
        mode: Pillow's name for the kind of pixels, one of `_MAPPED`, such as `RGBA`.
        size: width and height in pixels.
    """
    from PIL import Image

    return Image.frombuffer(mode, size, bytes_of(owner)[offset:], "raw", mode, 0, 1)


@stable_name
def fill_image(image: Any, inside: dict[str, Any]) -> None:
    """Set the attributes of an image."""
    vars(image).update(inside)


def _tree(tree: Any, _pickler: NamespacePickler) -> Any:
    """Store the points of a tree as they are: SciPy would copy them."""
    reduced = tree.__reduce_ex__(5)
    state, data = reduced[2], tree.data
    if type(state) is not tuple or getattr(state[1], "shape", None) != data.shape:
        return NotImplemented
    return *reduced[:2], (state[0], data, *state[2:]), *reduced[3:]
