"""Loading groups of variables from a checkpoint, each when it is asked for.

A group is loaded as a whole and once; groups whose classes and functions it refers to by name come with it.
What cannot be loaded here (its library is missing, its blob is damaged) is a reason in `GroupLoader.failed`,
not an exception: the other variables are loaded all the same.
"""

from __future__ import annotations

import io
import threading
import weakref
from collections.abc import Iterable
from typing import Any, Protocol

from respawn_kernels.checkpoint.errors import CorruptBlob
from respawn_kernels.checkpoint.manifest import Extent, Group, Manifest
from respawn_kernels.pickling.iterator_warnings import unwarned
from respawn_kernels.pickling.namespace_pickler import NamespaceUnpickler, reason
from respawn_kernels.pickling.references import resolving
from respawn_kernels.streams.partial_load import salvage
from respawn_kernels.streams.stream_reader import StreamReader

_SHORT = 1 << 20
"""Streams of fewer bytes are copied into an `io.BytesIO`, which the unpickler in C reads faster."""


class BlobSource(Protocol):
    """Where the bytes of a checkpoint come from."""

    def extent(self, extent: Extent, manifest: Manifest) -> memoryview:
        """Return the bytes of an extent in private memory that may be written to.

        Args:
            extent: the pieces of blobs that it consists of.
            manifest: the checkpoint that it is of, whose list of blobs the pieces refer to.

        Raises:
            CorruptBlob: a blob is missing or damaged.
        """


class GroupLoader:
    """The variables of one checkpoint."""

    def __init__(self, manifest: Manifest, blobs: BlobSource, namespace: dict[str, Any]) -> None:
        """Begin; nothing is loaded yet.

        Args:
            manifest: the checkpoint.
            blobs: where its bytes come from.
            namespace: the live namespace; functions of the notebook get it as their globals.
        """
        self.manifest = manifest
        self.failed: dict[str, str] = {}
        """Why variables would not load, by name."""
        self._blobs = blobs
        self._namespace = namespace
        # The thread that loads a group comes here again for each group that it refers to by name.
        self._lock = threading.RLock()
        self._loaded: dict[int, dict[str, Any]] = {}
        self._handed_out: dict[str, weakref.ref[Any] | int] = {}
        """Variables that are held no longer, each as a reference that keeps nobody alive or as an address."""
        self._needed = {place for group in manifest.groups for place in group.requires}
        self._place = {f.name: place for place, group in enumerate(manifest.groups) for f in group.frames}

    def place(self, name: str) -> int | None:
        """Return the place of the group that holds a variable; None when there is none."""
        return self._place.get(name)

    def loaded(self, group: int) -> bool:
        """Return whether a group was loaded."""
        return group in self._loaded

    def adopt(self, group: int, values: dict[str, Any]) -> None:
        """Use values that are there already as those of a group: they are as the checkpoint has them."""
        with self._lock:
            self._loaded[group] = values

    def load(self, group: int) -> dict[str, Any]:
        """Return the variables of a group by name, without those that would not load (see `failed`)."""
        with self._lock:
            if group not in self._loaded:
                self._loaded[group] = {}  # classes that require each other are one group; this ends a loop
                self._loaded[group] = self._load(self.manifest.groups[group])
            return self._loaded[group]

    def value(self, name: str) -> Any:
        """Return one variable of the checkpoint.

        Raises:
            LookupError: it would not load; the message says why.
        """
        place = self._place.get(name)
        values = self.load(place) if place is not None else {}
        if name not in values:
            why = self.failed.get(name, "the checkpoint does not hold it")
            raise LookupError(f"{name} could not be loaded: {why}")
        return values[name]

    def came(self, group: int) -> bool:
        """Return whether a group was loaded and anything of it came back."""
        names = (frame.name for frame in self.manifest.groups[group].frames)
        return bool(self._loaded.get(group)) or any(name in self._handed_out for name in names)

    def is_from_here(self, name: str, value: Any) -> bool:
        """Return whether a value is the one that was loaded under a name."""
        found = self._loaded.get(self._place.get(name, -1), {})
        if name in found:
            return found[name] is value
        known = self._handed_out.get(name)
        return known() is value if isinstance(known, weakref.ref) else known == id(value)

    def release(self, groups: Iterable[int]) -> None:
        """Refer no longer to groups that were handed out: their variables are freed with their last names.

        Groups that others refer to by name stay: these must get the same classes and functions.

        Args:
            groups: their places; those that are not loaded are passed over.
        """
        with self._lock:
            for group in set(groups) - self._needed:
                values = self._loaded.get(group)
                if values:
                    self._handed_out |= {name: _mark(value) for name, value in values.items()}
                    self._loaded[group] = {}

    def again(self, names: Iterable[str]) -> None:
        """Forget groups that hold these names; their next use loads them once more, with new objects."""
        with self._lock:
            for name in names:
                self._loaded.pop(self._place.get(name, -1), None)
                self._handed_out.pop(name, None)
                self.failed.pop(name, None)

    def _load(self, group: Group) -> dict[str, Any]:
        names = [frame.name for frame in group.frames]
        try:
            stream = self._blobs.extent(group.stream, self.manifest)
            buffers = [self._blobs.extent(extent, self.manifest) for extent in group.buffers]
        except CorruptBlob as error:
            self.failed |= dict.fromkeys(names, str(error))
            return {}
        builtins = self._namespace.get("__builtins__")
        try:
            with resolving(self.value), unwarned():
                values, lost = self._unpickled(group, stream, buffers)
        finally:
            if builtins is not None:
                # cloudpickle puts a dict of its own here with each function that it loads.
                self._namespace["__builtins__"] = builtins
        self.failed |= lost
        return values

    def _unpickled(
        self, group: Group, stream: memoryview, buffers: list[memoryview]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        file = io.BytesIO(stream) if len(stream) < _SHORT else StreamReader(stream)
        unpickler = NamespaceUnpickler(file, self._namespace, buffers)
        try:
            unpickler.load()  # the preamble
            return {frame.name: unpickler.load() for frame in group.frames}, {}
        except Exception as error:  # noqa: BLE001  the reason is found again, variable by variable
            if len(group.frames) == 1:
                return {}, {group.frames[0].name: reason(error)}
            return salvage(stream, group.frames, buffers, self._namespace)


def _mark(value: Any) -> weakref.ref[Any] | int:
    if type(value).__module__ == "numpy":
        return id(value)  # `resize` refuses an array to which there is a weak reference
    try:
        return weakref.ref(value)
    except TypeError:
        return id(value)
