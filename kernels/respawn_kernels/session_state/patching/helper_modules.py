"""The state of modules that lie beside the notebook, as far as it cannot be decided whether it changed.

A generator of random numbers, an iterator, a cache, a connection look the same before and after they are
used. So all of them are kept: as variables of a module, as attributes of its classes, and in its functions as
attributes, defaults, closures and caches. `Patches` keeps what is plain data in a variable of a module, where
it changed.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Hashable, Iterator
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any

from respawn_kernels.introspection.lru_caches import CACHED, cache_content, fill_cache
from respawn_kernels.session_state.patching.baseline import baseline, own_classes
from respawn_kernels.session_state.patching.class_attributes import attributes_of
from respawn_kernels.session_state.patching.module_origin import source_digest
from respawn_kernels.session_state.patching.value_marks import ATOMS, is_complete, mark
from respawn_kernels.session_state.probe.interface import Lost, NotSet, Parts

_VALUE, _CELL, _CACHE, _SOURCE = "value", "cell", "cache", "source"
State = tuple[str, str, str, str, Any]
"""Module, path of the owner in it, name, kind, value."""
_DESCRIPTORS = (staticmethod, classmethod)
_STATELESS = (
    *(type, ModuleType, FunctionType, BuiltinFunctionType),
    *(property, GetSetDescriptorType, MemberDescriptorType, *_DESCRIPTORS),
)


class Helpers:
    """What modules beside the notebook hold that may change unseen."""

    name = "#helpers"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return nothing: a change cannot be seen; a call into a module reads and writes what it keeps."""
        return None

    def capture(self) -> Parts | None:
        """Return the values by their dotted names."""
        baseline.look()
        found = Parts()
        for state in _all_states():
            *place, kind, value = state
            content = _content(value) if kind == _CACHE else value
            found[_where(state)] = content if type(content) is Lost else (*place, kind, content)
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Put them back; the modules are imported for that. Raises NotSet with what could not be."""
        failed: dict[str, str] = {}
        for key, (module, path, name, kind, one) in value.items():
            try:
                owner: Any = importlib.import_module(module)
                for part in path.split(".") if path else ():
                    owner = getattr(owner, part)
                if kind == _SOURCE:
                    if source_digest(owner) != one:
                        failed[key] = "its source was edited since, so it is as importing it makes it"
                else:
                    _set(owner, name, kind, one)
            except Exception as error:  # noqa: BLE001  importing and setting run anybody's code
                failed[key] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)


def helper_parts() -> list[str]:
    """Return the dotted names of what modules beside the notebook hold now."""
    return [_where(state) for state in _all_states()]


def _all_states() -> Iterator[State]:
    for name, module in list(baseline.local.items()):
        yield from _states(name, module)


def _where(state: State) -> str:
    module, path, key, *_ = state
    return ".".join(part for part in (module, path, key) if part)


def _set(owner: Any, name: str, kind: str, value: Any) -> None:
    if kind == _CACHE:
        function = vars(owner)[name]
        function.cache_clear()
        fill_cache(function, value)
    elif kind == _CELL:
        cells = dict(zip(owner.__code__.co_freevars, owner.__closure__, strict=True))
        cells[name].cell_contents = value
    elif vars(owner).get(name) is not value:
        setattr(owner, name, value)


def _states(name: str, module: ModuleType) -> Iterator[State]:
    if name in baseline.sources:
        yield name, "", "", _SOURCE, baseline.sources[name]
    _, before = baseline.modules.get(name, (module, {}))
    marks = baseline.marks.get(name, {})
    # What `Patches` finds is its own.
    as_imported = {
        key: value
        for key, value in list(vars(module).items())
        if before.get(key) is value and (key not in marks or mark(value) == marks[key])
    }
    yield from _of_namespace(name, "", as_imported)
    for cls in own_classes(module):
        if cls.__module__ == name:
            known = baseline.classes.get(cls, {})
            own = {key: value for key, value in attributes_of(cls).items() if known.get(key) is value}
            yield from _of_namespace(name, cls.__qualname__, own)


def _of_namespace(module: str, path: str, values: dict[str, Any]) -> Iterator[State]:
    for key, value in values.items():
        function = value.__func__ if issubclass(type(value), _DESCRIPTORS) else value
        if type(function) is FunctionType and function.__module__ == module:
            if getattr(function, "registry", None) is None:  # `singledispatch` has a probe of its own
                yield from _of_function(module, f"{path}.{key}" if path else key, function)
        elif type(value) is CACHED:
            if value.__module__ == module:
                yield module, path, key, _CACHE, value
        elif key[:2] != "__" and key != "_abc_impl" and _may_hold(value) and (path or not is_complete(value)):
            yield module, path, key, _VALUE, value


def _of_function(module: str, path: str, function: FunctionType) -> Iterator[State]:
    for key, value in vars(function).items():
        if key != "__wrapped__" and not issubclass(type(value), _STATELESS):
            yield module, path, key, _VALUE, value
    if baseline.codes.get((module, path), function.__code__) is not function.__code__:
        yield module, path, "__code__", _VALUE, function.__code__
    for key in ("__defaults__", "__kwdefaults__"):
        value = getattr(function, key)
        if value is not None and any(map(_may_hold, value.values() if isinstance(value, dict) else value)):
            yield module, path, key, _VALUE, value
    for key, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # it is empty
            continue
        if key != "__class__" and _may_hold(value):
            yield module, path, key, _CELL, value


def _content(function: Any) -> Any:
    try:
        return cache_content(function)
    except pickle.PicklingError as error:
        return Lost(str(error))


def _may_hold(value: Any) -> bool:
    """Return whether a value may change in place."""
    kind = type(value)
    return kind not in ATOMS and kind is not CACHED and not issubclass(kind, _STATELESS)
