"""What cells put into containers of installed libraries: registered types, tags, formats, search paths.

A library changes its containers by itself too, most of all its caches. What counts is

- what comes from the notebook: its functions, classes and their instances, and what its variables are;
- what a cell names: the container (`urllib.parse.uses_netloc.append(scheme)`), the object whose method
  changes it (`np.ma.masked_print_option.set_display("n/a")`), or the text that came in
  (`ET.register_namespace("ex", uri)`);
- all that was put into one of `_WHOLE`, where a library keeps a notebook's data.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from respawn_kernels.namespace import live_shell
from respawn_kernels.session_state.patching.assigned_names import named_pairs, set_attributes, written_words
from respawn_kernels.session_state.patching.baseline import baseline
from respawn_kernels.session_state.patching.container_contents import (
    ContainerContents,
    entries,
    find,
)
from respawn_kernels.session_state.patching.value_marks import ATOMS
from respawn_kernels.session_state.patching.value_origin import is_own
from respawn_kernels.session_state.patching.visible_modules import visible_modules
from respawn_kernels.session_state.probe.interface import Marks, NotSet, Parts

_WHOLE = frozenset(
    [
        "fsspec.implementations.memory.MemoryFileSystem.store",
        "fsspec.implementations.memory.MemoryFileSystem.pseudo_dirs",
    ]
)
_ELSEWHERE = ("rcParams", "_global_config", "_csv._dialects", "cache")
"""Containers that other probes restore, or that a library fills by itself."""

_SET, _GONE, _ALL = "set", "gone", "all"
Change = tuple[Any, ...]
"""What to do: set (an element, or a key and its value), take away (an element or key), or set all."""


class Registries:
    """What was put into containers of installed libraries, or taken out of them."""

    name = "#registries"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return the changes in packages that are variables of the notebook; `capture` finds the others."""
        packages = {module.__name__.partition(".")[0] for module in visible_modules()}
        return Marks((key, _mark(change)) for kept in _changed(packages) for key, change in _changes(kept))

    def capture(self) -> Parts | None:
        """Return the changes by where they are: module, path, and what to do."""
        found = Parts()
        for kept in _changed():
            found |= {key: (kept.module, kept.path, *change) for key, change in _changes(kept)}
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Make the same changes; the modules are imported for that. Raises NotSet with what could not be."""
        failed: dict[str, str] = {}
        for key, (module, path, *change) in value.items():
            try:
                _do(find(importlib.import_module(module), path), *change)
            except Exception as error:  # noqa: BLE001  importing runs anybody's code
                failed[key] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)

    def withdraw(self, value: dict[str, Any]) -> None:
        """Take out what was put in for classes and other objects of the notebook."""
        for module, path, *change in value.values():
            with suppress(Exception):  # the container is gone
                _undo(find(importlib.import_module(module), path), *change)


def changed_in(packages: Collection[str]) -> dict[str, Hashable]:
    """Return values that differ when the changes in containers of some packages do, by where they are."""
    return {key: _mark(change) for kept in _changed(packages) for key, change in _changes(kept)}


def is_kept(kept: ContainerContents, name: str | None = None) -> bool:
    """Return whether a container's changes are among those that are kept.

    Args:
        kept: the container, as it was after its import.
        name: the key or attribute that is asked for; None: any.
    """
    if any(one in kept.place for one in _ELSEWHERE):
        return False
    return any(name is None or what[1] == name for _, what in _changes(kept))


def _changed(packages: Collection[str] | None = None) -> Iterator[ContainerContents]:
    baseline.look()
    for containers in baseline.kept_of(packages):
        for kept in containers.changed():
            if not any(one in kept.place for one in _ELSEWHERE):
                yield kept


def _changes(kept: ContainerContents) -> Iterator[tuple[str, Change]]:
    """Return what was done to a container, of what counts: a name, and how to do it again."""
    if isinstance(kept.container, dict):
        yield from _changes_of_dict(kept)
    elif isinstance(kept.container, list):
        yield from _changes_of_list(kept)
    else:
        yield from _changes_of_set(kept)


def _changes_of_dict(kept: ContainerContents) -> Iterator[tuple[str, Change]]:
    named, place = _is_named(kept), kept.place
    keys, values = entries(kept.container)
    before = dict(zip(map(_Same, kept.keys), map(_Same, kept.values), strict=True))
    now = {_Same(key): _Same(value) for key, value in zip(keys, values, strict=True)}
    for key, value in now.items():
        if before.get(key) != value and (named or _counts(kept, key.value, value.value)):
            yield f"{place}[{_short(key.value)}]", (_SET, key.value, value.value)
    for key in before.keys() - now.keys():
        if named or _counts(kept, key.value, None):
            yield f"{place}[{_short(key.value)}]", (_GONE, key.value)


def _changes_of_list(kept: ContainerContents) -> Iterator[tuple[str, Change]]:
    """Return how to set a list as a whole: old elements by their places, since they may be any objects."""
    _, values = entries(kept.container)
    places = {_Same(value): at for at, value in enumerate(kept.values)}
    new = [value for value in values if _Same(value) not in places]
    if _is_named(kept) or any(_is_of_notebook(one) or _is_written(one) for one in new):
        elements = [(places.get(_Same(value)), None if _Same(value) in places else value) for value in values]
        yield kept.place, (_ALL, elements)


def _changes_of_set(kept: ContainerContents) -> Iterator[tuple[str, Change]]:
    named, place = _is_named(kept), kept.place
    before, now = (set(map(_Same, one)) for one in (kept.values, entries(kept.container)[1]))
    for one in now - before:
        if named or _is_of_notebook(one.value) or _is_written(one.value):
            yield f"{place}[{_short(one.value)}]", (_SET, one.value)
    for one in before - now:
        if named or _is_written(one.value):
            yield f"{place}[{_short(one.value)}]", (_GONE, one.value)


def _do(container: Any, kind: str, *what: Any) -> None:
    """Change a container by the methods of dict, list and set; those of its class may run any code."""
    if kind == _ALL:
        before = _as_imported(container)
        list.__setitem__(
            container, slice(None), [value if at is None else before[at] for at, value in what[0]]
        )
    elif isinstance(container, dict):
        if kind == _SET:
            dict.__setitem__(container, *what)
        else:
            dict.pop(container, what[0], None)
    elif kind == _SET:
        set.add(container, what[0])
    else:
        set.discard(container, what[0])


def _undo(container: Any, kind: str, *what: Any) -> None:
    """Take an element or key out again that is an object of the notebook; what has a name is set anew."""
    if kind != _SET or type(what[0]) in ATOMS:
        return
    if isinstance(container, dict):
        if dict.get(container, what[0]) is what[1]:
            dict.__delitem__(container, what[0])
    else:
        set.discard(container, what[0])


def _as_imported(container: list[Any]) -> Sequence[Any]:
    """Return what a list held after its import: a session may be restored more than once."""
    known = (kept.values for kept in baseline.containers() if kept.container is container)
    return next(known, list.copy(container))


class _Same:
    """A value that equals the same object, or an atom of its type and value; no code of its class runs."""

    __slots__ = ("_mark", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._mark: Hashable = (type(value), value) if type(value) in ATOMS else id(value)

    def __hash__(self) -> int:
        return hash(self._mark)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._mark == other._mark


def _is_named(kept: ContainerContents) -> bool:
    """Return whether a variable is a container, or a cell names it, its place, or a method of its object."""
    if kept.place in _WHOLE or any(one is kept.container for one in _variables()):
        return True
    names = [kept.module.rpartition(".")[2], *(key for _, key in kept.path)]
    pairs = named_pairs()
    if any(pair in pairs for pair in pairwise(names)):
        return True
    # `np.ma.masked_print_option.set_display(text)`: the module that has the object may be another one.
    namespace = getattr(live_shell(), "user_ns", {})
    own = not kept.of_object or names[-1] in namespace
    return not own and any(first == names[-1] for first, _ in pairs)


def _variables() -> list[Any]:
    return list(getattr(live_shell(), "user_ns", {}).values())


def _counts(kept: ContainerContents, key: Any, value: Any) -> bool:
    if kept.of_object:
        return key in set_attributes() or _is_of_notebook(value)
    if is_own(key) or _is_of_notebook(value) or _is_written(key):
        return True
    return type(key) is str and _is_written(value)


def _is_of_notebook(value: Any) -> bool:
    """Return whether a value comes from the notebook, or is an object that a variable is: a started patch."""
    kind = type(value)
    if is_own(value):
        return True
    if kind in ATOMS or issubclass(kind, type | ModuleType | FunctionType | BuiltinFunctionType):
        return False
    return any(one is value for one in _variables())


def _is_written(value: Any) -> bool:
    """Return whether a value is a text that cells have; one letter may be anything."""
    return type(value) is str and len(value) > 1 and value in written_words()


def _mark(change: Change) -> Hashable:
    return tuple(
        tuple((at, id(value)) for at, value in one) if type(one) is list else _Same(one) for one in change
    )


def _short(key: Any) -> str:
    if type(key) in ATOMS:
        return repr(key)[:60]
    return str(getattr(key, "__qualname__", type(key).__qualname__))
