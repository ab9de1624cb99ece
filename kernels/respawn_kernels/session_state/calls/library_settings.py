"""The probe of what cells set through libraries: its value where that is to be had, else that it is lost."""

from __future__ import annotations

import importlib
import sys
from collections import deque
from collections.abc import Hashable, Mapping, Set
from types import FunctionType, ModuleType
from typing import Any

from respawn_kernels.cell_code.callbacks import named_by_callbacks
from respawn_kernels.session_state.calls.covered_settings import is_covered, is_seen
from respawn_kernels.session_state.calls.resolution import (
    UNKNOWN,
    Reached,
    acts_on_variable,
    dotted,
    installed,
    reach,
)
from respawn_kernels.session_state.calls.uses import ASSIGN, CALL, CALLED, PUT, Use, Uses
from respawn_kernels.session_state.patching.baseline import baseline
from respawn_kernels.session_state.patching.class_attributes import attributes_of
from respawn_kernels.session_state.patching.container_contents import ContainerContents
from respawn_kernels.session_state.patching.library_registries import changed_in, is_kept
from respawn_kernels.session_state.patching.patches import patched_in
from respawn_kernels.session_state.patching.value_marks import ATOMS
from respawn_kernels.session_state.probe.interface import Lost, Marks, NotSet, Parts

_CONTAINERS = (list, dict, set, deque)
_MAX_ELEMENTS = 1000
_CONTAINER_PARTS = ("#registries", "looked at")
"""What these show of a compiled function is not all: pyarrow lists its types, and keeps them in C++."""
_GONE: Any = object()
Setting = tuple[str, str, tuple[str, ...]]
"""How it is set, the module, and the names that lead to it."""


class LibrarySettings:
    """What cells set in installed libraries and no other probe sees.

    A call's effect is lost. What is assigned to an attribute of a library's object, or put into a container
    of such an object, is read from there, as far as one gets there by names.
    """

    name = "#settings"
    before_fork = False

    def __init__(self) -> None:
        self._uses = Uses()
        self._settings: dict[str, Setting] = {}
        self._new: set[str] = set()
        """What was set since `new` was called last."""
        self._given: set[str] | None = set()
        """Variables that functions which calls gave to libraries may reach by name; None: everything."""
        self._seen: dict[str, Hashable] = {}
        """Assignments and changes of registries in the packages that calls named before, by dotted name."""

    def fingerprint(self) -> Hashable:
        """Return nothing: `note` finds what each cell sets."""
        return None

    def note(
        self,
        source: str,
        namespace: Mapping[str, Any],
        before: Mapping[str, Hashable],
        after: Mapping[str, Hashable],
        changed: Set[str],
    ) -> set[str]:
        """Note a cell that has finished; return what it set that no other probe saw.

        Args:
            source: the cell, as Python.
            namespace: the notebook's variables.
            before: the fingerprints of the session's state before the cell, by part.
            after: those after it.
            changed: the parts that changed, and not by imports.

        Returns:
            Dotted names of what was set.
        """
        uses, names = self._uses.read(source)
        reached = [(use, one) for use in uses if (one := reach(use, namespace)) is not None]
        for use, _ in reached:  # also where a probe sees all else: the library calls later what it was given
            self._give(use.given, namespace)
        found = {one.title: (use, one) for use, one in reached if not is_covered(one.packages, one.title)}
        if not found:
            return set()
        named = {package for name in names if (package := installed(namespace.get(name))) is not None}
        packages = {package for _, one in found.values() for package in one.packages}
        marks = _packages_of_marks(before, after)
        marks["looked at"] = self._look(packages, before)
        settings: dict[str, Setting] = {}
        for title, (use, one) in found.items():
            setting = _setting(use, one, namespace)
            if setting is None:
                continue
            passed_over = _CONTAINER_PARTS if one.is_compiled else ()
            visible = {part: marks[part] for part in marks if part not in passed_over}
            if use.kind == CALL and is_seen(one.packages, title, changed, named, visible):
                continue
            _, module, path = setting
            settings[dotted(module, path)] = setting
        self._settings |= settings
        self._new |= settings.keys()
        return set(settings)

    def reached(self) -> set[str] | None:
        """Return the variables that a library may reach through what calls gave to it; None for all."""
        return self._given

    def new(self) -> set[str]:
        """Return what was set since this was asked last."""
        found, self._new = self._new, set()
        return found

    def capture(self) -> Parts | None:
        """Return how to set it again, by its dotted name."""
        found = Parts()
        for title, (kind, module, names) in self._settings.items():
            value = _value(kind, module, names)
            found[title] = value if type(value) is Lost else (kind, module, names, value)
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set it; the modules are imported for that. Raises NotSet with what could not be set."""
        failed: dict[str, str] = {}
        for title, (kind, module, names, one) in value.items():
            try:
                importlib.import_module(module)
                owner = _at(module, names if kind == PUT else names[:-1])
                if kind == PUT:
                    _fill(owner, one)
                else:
                    setattr(owner, names[-1], one)
            except Exception as error:  # noqa: BLE001  importing and setting run anybody's code
                failed[title] = f"{type(error).__name__}: {error}"
            else:
                self._settings[title] = (kind, module, names)
        if failed:
            raise NotSet(failed)

    def _give(self, names: Set[str], namespace: Mapping[str, Any]) -> None:
        found = named_by_callbacks(namespace[name] for name in names & namespace.keys())
        if found is None or self._given is None:
            self._given = None
        else:
            self._given |= found | names

    def _look(self, packages: Set[str], before: Mapping[str, Hashable]) -> set[str]:
        """Return the packages in which there are assignments or changes of registries that are new."""
        baseline.look()
        known = {key for part in before.values() if isinstance(part, Marks) for key, _ in part}
        now = {**patched_in(packages), **changed_in(packages)}
        new = [key for key, mark in now.items() if self._seen.get(key, _GONE) != mark]
        new = [key for key in new if key in self._seen or key not in known]
        self._seen |= now
        return {key.partition(".")[0] for key in new}


def _setting(use: Use, reached: Reached, namespace: Mapping[str, Any]) -> Setting | None:
    """Return what was set; None when nothing was, or another probe has it."""
    if use.kind == CALL:
        if acts_on_variable(use, reached, namespace):
            return None
        return CALL, reached.module, reached.names
    if use.kind == PUT:
        owner = reached.owner
        if not isinstance(owner, _CONTAINERS):
            return None
        kept = _kept(owner)
        if kept is not None and _has(kept):
            return None
        return PUT, reached.module, reached.names[:-1]
    name, owner = reached.names[-1], reached.owner
    if issubclass(type(owner), (ModuleType, type)):
        inside = attributes_of(owner) if issubclass(type(owner), type) else vars(owner)
        return None if name in inside else (ASSIGN, reached.module, reached.names)
    if type(owner) is FunctionType:
        return None  # attributes of functions are among the assignments
    attributes = getattr(owner, "__dict__", None) if owner is not UNKNOWN else None
    if type(attributes) is dict and name in attributes:
        kept = _kept(attributes)
        if kept is not None and _has(kept, name):
            return None
    return ASSIGN, reached.module, reached.names


def _kept(container: Any) -> ContainerContents | None:
    return next((kept for kept in baseline.containers() if kept.container is container), None)


def _has(kept: ContainerContents, name: str | None = None) -> bool:
    """Return whether a container holds what its library's import left, or another probe has its changes."""
    return kept.is_as_before() or is_kept(kept, name)


def _value(kind: str, module: str, names: tuple[str, ...]) -> Any:
    lost = Lost(f"what {dotted(module, names)} set is kept where it cannot be seen", "setting")
    if kind == CALL or CALLED in names:
        return lost
    try:
        value = _at(module, names)
    except Exception:  # noqa: BLE001  anybody's code may answer
        return lost
    if kind == PUT:
        return _content(value, lost)
    return value


def _content(container: Any, lost: Lost) -> Any:
    if not isinstance(container, _CONTAINERS) or len(container) > _MAX_ELEMENTS:
        return lost
    elements = [*container, *container.values()] if isinstance(container, dict) else list(container)
    if any(type(one) not in ATOMS for one in elements):
        return lost
    return dict(container) if isinstance(container, dict) else elements


def _fill(container: Any, content: Any) -> None:
    container.clear()
    if isinstance(container, dict | set):
        container.update(content)
    else:
        container.extend(content)


def _at(module: str, names: tuple[str, ...]) -> Any:
    value: Any = sys.modules[module]
    for name in names:
        value = getattr(value, name)
    return value


def _packages_of_marks(before: Mapping[str, Hashable], after: Mapping[str, Hashable]) -> dict[str, Set[str]]:
    found: dict[str, Set[str]] = {}
    for part, marks in after.items():
        if isinstance(marks, Marks):
            old = before.get(part)
            new = set(marks).difference(old if isinstance(old, Marks) else ())
            found[part] = {key.partition(".")[0] for key, _ in new}
    return found


settings = LibrarySettings()
