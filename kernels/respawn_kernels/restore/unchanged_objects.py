"""What cells leave unchanged that run on a restored state, to make what a checkpoint cannot hold.

Whatever such a cell changed gets the checkpoint's value again, as a new object; the rest stays the object
that it is, since what the cell made may refer to it (`rows = (parse(line) for line in lines)`). A variable
has changed when its pickle makes something else than before. Only what the cell may reach is compared: the
names in it, what shares objects with them, the global names that functions among these read, and those that
functions of the notebook read which somebody else calls: handlers, hooks, callbacks.
"""

from __future__ import annotations

import gc
import hashlib
import io
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudpickle import cloudpickle as _internals

from respawn_kernels import session_state
from respawn_kernels.capture.grouping import binding
from respawn_kernels.capture.ownership import immutables, nobodys
from respawn_kernels.cell_code.callbacks import named_by_callbacks
from respawn_kernels.cell_code.mentioned_names import mentioned
from respawn_kernels.cell_code.write_set import write_set_of
from respawn_kernels.checkpoint.manifest import Manifest, UnstoredVariable
from respawn_kernels.checkpoint.placeholder import Placeholder
from respawn_kernels.host.prompt_results import Results, is_result
from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.introspection.descriptions import type_name
from respawn_kernels.pickling.iterator_warnings import unwarned
from respawn_kernels.pickling.namespace_pickler import PREAMBLE, NamespacePickler
from respawn_kernels.reducers.arrays import reducers
from respawn_kernels.streams import stream_comparison

_MAX_OBJECTS = 1_000_000
"""Objects that a variable leads to; no more than these are searched."""


class Unchanged:
    """The groups of variables of a state, and what they were before the cells ran."""

    def __init__(self, manifest: Manifest, shell: Any, sources: Iterable[str]) -> None:
        """Note what the variables are that the cells may reach; to be called before they run.

        Args:
            manifest: the state, which was restored into the shell.
            shell: the IPython shell.
            sources: the cells, as they stand in the notebook.
        """
        self.manifest = manifest
        self._namespace: dict[str, Any] = shell.user_ns
        self._names = [[frame.name for frame in group.frames] for group in manifest.groups]
        self._place = {name: place for place, names in enumerate(self._names) for name in names}
        self._marks: dict[int, _Mark | None] = {}
        self._known = set(self._namespace)
        self._results = Results(shell)
        self._named = self._named_now()
        self._look([as_python(shell, source) for source in sources])

    def put_results_back(self) -> None:
        """Forget the results of the cells, and those that are going to be restored."""
        self._results.put_back([name for name in self._place if is_result(name)])

    def places(self) -> set[int]:
        """Return the places of the groups that are in the namespace as they were, with what they refer to."""
        groups, self._named = self.manifest.groups, self._named_now()
        kept = {place for place in range(len(groups)) if self._is_whole(place) and self._is_as_before(place)}
        while lost := {place for place in kept if not kept.issuperset(groups[place].requires)}:
            kept -= lost
        return kept

    def parted(self, kept: Collection[int]) -> list[UnstoredVariable]:
        """Return what the cells made that refers to objects which a restore is going to replace.

        Args:
            kept: places of the groups that are not restored again.

        Returns:
            Variables that the state does not hold, with the reason why they cannot stay.
        """
        replaced: dict[int, str] = {}
        for place, names in enumerate(self._names):
            if place not in kept and self._is_whole(place):
                replaced |= dict.fromkeys(self._objects(names), names[0])
        unstored = {item.name: item for item in self.manifest.unstored}
        found: list[UnstoredVariable] = []
        for name in sorted(unstored.keys() & self._namespace.keys()):
            value = self._namespace[name]
            if type(value) is not Placeholder and (other := _leads_to(value, replaced, self._namespace)):
                why = f"it was made again from {other}, which has its stored value again, in another object"
                found.append(UnstoredVariable(name, type_name(value), why, unstored[name].cell))
        return found

    def _look(self, sources: Iterable[str]) -> None:
        reached = [named_by_callbacks(session_state.capture().values())]
        for source in sources:
            reached += [write_set_of(source), mentioned(source)]
        names: set[str] = set()
        for some in reached:
            names |= self._place.keys() if some is None else some
        waiting = [place for name in names if (place := self._place.get(name)) is not None]
        while waiting:
            place = waiting.pop()
            if place not in self._marks and self._is_whole(place):
                self._marks[place], reads = self._mark(place)
                reads |= {
                    name
                    for required in self.manifest.groups[place].requires
                    for name in self._names[required]
                }
                waiting += [other for name in reads if (other := self._place.get(name)) is not None]

    def _is_whole(self, place: int) -> bool:
        """Return whether a group consists of variables that are all there, and of no part of the session."""
        values = [self._namespace.get(name, Placeholder) for name in self._names[place]]
        return all(name[0] != "#" for name in self._names[place]) and not any(
            one is Placeholder or type(one) is Placeholder for one in values
        )

    def _is_as_before(self, place: int) -> bool:
        if place not in self._marks:
            return self._known.issuperset(self._names[place])
        before, (now, _) = self._marks[place], self._mark(place)
        return before is not None and now is not None and before.is_like(now)

    def _mark(self, place: int) -> tuple[_Mark | None, set[str]]:
        """Return a mark of a group's variables, None where there is none, and the names that they read."""
        try:
            pickler, mark = self._pickled(self._names[place])
        except Exception:  # noqa: BLE001  it is somebody's class that is pickled
            return None, set(self._place)
        return mark, pickler.reads | pickler.required

    def _objects(self, names: list[str]) -> Mapping[int, Any]:
        """Return the objects in variables whose identity can be seen, by id."""
        try:
            pickler, _ = self._pickled(names)
        except Exception:  # noqa: BLE001  it is somebody's class that is pickled
            return {id(value): value for name in names if (value := self._namespace[name]) is not None}
        return binding(pickler.memo.copy(), immutables(), pickler.by_value, nobodys())

    def _named_now(self) -> dict[int, str]:
        """Return the functions and classes of the notebook that are variables, by their `id`."""
        return {
            id(value): name
            for name in self._place
            if isinstance(value := self._namespace.get(name), type | types.FunctionType)
            and value.__module__ == "__main__"
        }

    def _pickled(self, names: list[str]) -> tuple[NamespacePickler, _Mark]:
        digest, file = hashlib.blake2b(), io.BytesIO()

        def keep(buffer: Any) -> bool:
            with buffer.raw() as memory:
                digest.update(memory)
            return False

        pickler = _ReferencePickler(file, self._namespace, keep, reducers=reducers(), named=self._named)
        pickler.start({id(self._namespace[name]) for name in names} & self._named.keys())
        file.write(PREAMBLE)
        places = []
        for name in names:
            start = file.tell()
            with unwarned():
                pickler.dump(self._namespace[name])
            places.append((start, file.tell()))
        return pickler, _Mark(file.getvalue(), places, digest.digest())


@dataclass(frozen=True)
class _Mark:
    """What variables are: their pickles, where each lies in the stream, and a digest of their memory."""

    stream: bytes
    places: list[tuple[int, int]]
    memory: bytes

    def is_like(self, other: _Mark) -> bool:
        """Return whether both make the same; which equal texts are one object does not count."""
        if self.memory != other.memory or self.stream == other.stream:
            return self.memory == other.memory
        try:
            made = [stream_comparison.made_by(one.stream, one.places) for one in (self, other)]
        except stream_comparison.TooLarge:
            return False
        same = stream_comparison.Likeness()
        return all(same.difference(*pair) is None for pair in zip(*made, strict=True))


def as_python(shell: Any, source: str) -> str:
    """Return a cell as IPython transforms it, or as it is where its transformers refuse it."""
    try:
        return str(shell.transform_cell(source))
    except Exception:  # noqa: BLE001  input transformers are anybody's, and the cell will raise it again
        return source


class _ReferencePickler(NamespacePickler):
    """Pickles code without its file name, which has the process id of the kernel that compiled it."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is types.CodeType:
            return _internals._code_reduce(obj.replace(co_filename=""))
        return super().reducer_override(obj)


def _leads_to(value: Any, wanted: Mapping[int, str], namespace: dict[str, Any]) -> str | None:
    """Return the variable of the first wanted object that a value leads to, or None.

    Args:
        value: where the search begins.
        wanted: names of variables by the ids of their objects.
        namespace: not searched, since every function of the notebook leads to it.
    """
    seen: set[int] = {id(namespace)}
    waiting = [value]
    while waiting and len(seen) < _MAX_OBJECTS:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if id(one) in wanted:
            return wanted[id(one)]
        waiting += _referents(one)
    return None


def _referents(one: Any) -> Iterable[Any]:
    """Return what an object holds. Modules, library classes and globals of functions lead everywhere."""
    kind = type(one)
    if issubclass(kind, types.ModuleType) or (issubclass(kind, type) and not is_notebooks(one)):
        return ()
    if kind is types.FunctionType:
        return (one.__closure__, one.__defaults__, one.__kwdefaults__, one.__dict__)
    return gc.get_referents(one)
