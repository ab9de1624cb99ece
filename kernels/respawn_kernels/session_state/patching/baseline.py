"""What modules were just after they were imported, to find what was assigned into them later.

The loader of source files is wrapped from the session's beginning on. The wrapper has the loader's own file
name, so that Python takes it out of tracebacks as it does with the loader (`remove_importlib_frames`,
Python/import.c). Modules that other loaders load are noted when somebody asks for the first time. Of a module
and of its classes the values are kept, which costs about 1 µs each.
"""

from __future__ import annotations

import hashlib
import operator
import sys
import threading
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from types import CodeType, FunctionType, ModuleType
from typing import Any, Protocol

from respawn_kernels.session_start import at_session_start
from respawn_kernels.session_state.patching.class_attributes import attributes_of, module_of, qualname_of
from respawn_kernels.session_state.patching.container_contents import (
    NOT_LOOKED_INTO,
    ContainerContents,
    KeptContainers,
    kept_by,
)
from respawn_kernels.session_state.patching.iterator_counts import DRAWING, number_of
from respawn_kernels.session_state.patching.module_origin import (
    is_beside_notebook,
    is_ours,
    mentions_notebook,
    source_of,
)
from respawn_kernels.session_state.patching.value_marks import can_change, mark


class Baseline:
    """Modules as their import left them."""

    def __init__(self) -> None:
        self.modules: dict[str, tuple[ModuleType, dict[str, Any]]] = {}
        """By the name of an import: the module, and its variables when the import ended."""
        self.classes: dict[type, dict[str, Any]] = {}
        """Their attributes."""
        self.local: dict[str, ModuleType] = {}
        """Modules that are not installed but lie beside the notebook: all their state is the notebook's."""
        self.sources: dict[str, str] = {}
        """By local module: a digest of the source that was imported."""
        self.reaching: set[str] = set()
        """Local modules whose source mentions the notebook's variables, as `import __main__` does."""
        self.marks: dict[str, dict[str, Hashable]] = {}
        """By local module and name: what a value that can change looked like."""
        self.codes: dict[tuple[str, str], CodeType] = {}
        """By local module and a function's path in it: its code."""
        self.kept: dict[str, KeptContainers] = {}
        """By package: the containers of its installed modules; one that several have is the first one's."""
        self.dispatchers: dict[tuple[str, str], Any] = {}
        """Functions made by `functools.singledispatch`, by module and name."""
        self.counts: dict[tuple[str, str, str], int] = {}
        """How far the counts of modules and classes were, by module, class and name."""
        self.numbers: dict[tuple[str, str], tuple[Any, dict[str, int]]] = {}
        """By module and class: the module or class itself, and its ints by name."""
        self.listeners: list[ImportListener] = []
        """Called when the notebook imports something: for the outermost import, in the main thread."""
        self._watching = False
        self._count = 0
        self._depth = 0
        self._contained: set[int] = set()
        """Addresses of what was visited in the search for containers."""
        self._contained_by: dict[str, set[int]] = {}
        """Of them, those that each module had first."""
        self._changed: set[int] = set()
        """Addresses of the containers that cells had changed when an import began."""

    def watch(self) -> None:
        """Begin: look at what is loaded, and at every module as soon as it is."""
        if self._watching:
            return
        self._watching = True
        self.look()
        _wrap_loader(self._began, self._ended)

    def look(self) -> None:
        """Note the modules that were not seen yet."""
        if len(sys.modules) == self._count:
            return
        self._count = len(sys.modules)
        for name, module in list(sys.modules.items()):
            known = self.modules.get(name)
            if known is not None and known[0] is module:
                self._add_submodules(module, known[1])
            elif issubclass(type(module), ModuleType):
                self.note(module, name)

    def look_at(self, hidden: Mapping[str, ModuleType]) -> None:
        """Note modules that are imported and do not show yet: what a cell sets in them once they do counts.

        Args:
            hidden: the modules by name; they are in no other module either.
        """
        for name, module in hidden.items():
            self.note(module, name)

    def _add_submodules(self, module: ModuleType, values: dict[str, Any]) -> None:
        """Add the submodules that a package has been given since it was noted."""
        now = vars(module)
        if len(now) != len(values):
            values.update(
                (key, value)
                for key, value in list(now.items())
                if key not in values and issubclass(type(value), ModuleType)
            )

    def look_again(self) -> None:
        """Note anew the modules that are not as they were noted: a forked kernel changes some as it comes up.

        Comparing all takes a tenth of the time that noting them takes. Those that do not show are left alone.
        """
        shown = sys.modules
        packages = {name.partition(".")[0] for name in shown}
        changed = {one.module for kept in self.kept_of(packages) for one in kept.changed()}
        changed.update(name for name, _, _ in self.counts)
        changed.update(
            str(attributes.get("__module__"))
            for cls, attributes in self.classes.items()
            if attributes.get("__module__") in shown and not _is_same(attributes, attributes_of(cls))
        )
        for name, (module, values) in list(self.modules.items()):
            if name in shown and (
                name in self.local or name in changed or not _is_same(values, vars(module))
            ):
                self.note(module, name)

    def note(
        self, module: ModuleType, name: str | None = None, before: Mapping[str, Any] | None = None
    ) -> None:
        """Note a module as it is now.

        Args:
            module: the module.
            name: under which it was imported; None for its own name.
            before: what it had before it was executed once more; what is left of that no import makes.
        """
        name = name or module.__name__
        # `multiprocessing` gives `__main__` another name; what lies in it must go with its last variable.
        if vars(module) is vars(sys.modules["__main__"]) or is_ours(name):
            return
        left = before if before is not None and name in self.local else {}
        values = {
            key: value
            for key, value in list(vars(module).items())
            if key[:2] == "__" or key not in left or left[key] is not value
        }
        self.modules[name] = module, values
        self._note_counts(module, name, "", values)
        for key, value in values.items():
            # By its type alone: `isinstance` asks the value, and some answer with a warning or an import.
            kind = type(value)
            if kind is type or issubclass(kind, type):
                if attributes_of(value).get("__module__") == name:
                    self.classes[value] = dict(attributes_of(value))
                    self._note_counts(value, name, qualname_of(value), self.classes[value])
            elif kind is FunctionType and getattr(value, "registry", None) is not None:
                self.dispatchers[name, key] = value
        if is_beside_notebook(module):
            self.local[name] = module
            if (source := source_of(module)) is not None:
                self.sources[name] = hashlib.sha256(source).hexdigest()
                if mentions_notebook(source):
                    self.reaching.add(name)
            self._note_codes(name, "", values)
            for cls in own_classes(module):
                self._note_codes(name, qualname_of(cls), attributes_of(cls))
            self.marks[name] = {
                key: mark(value)
                for key, value in values.items()
                if not key.startswith("__") and can_change(value)
            }
        elif name.partition(".")[0] not in NOT_LOOKED_INTO:
            self._keep(module, name)

    def _note_counts(self, owner: Any, module: str, cls: str, values: dict[str, Any]) -> None:
        numbers = dict[str, int]()
        for key, value in values.items():
            kind = type(value)
            if kind is int:
                numbers[key] = value
            elif kind in DRAWING and (number := number_of(value)) is not None:
                self.counts[module, cls, key] = number
        if numbers:
            self.numbers[module, cls] = owner, numbers
        else:
            self.numbers.pop((module, cls), None)

    def _note_codes(self, module: str, cls: str, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if type(value) is FunctionType:
                self.codes[module, f"{cls}.{key}" if cls else key] = value.__code__

    def _keep(self, module: ModuleType, name: str) -> None:
        """Note what a module's containers hold; they are kept alive, so that no address is given twice."""
        self._contained -= self._contained_by.pop(name, set())
        found = set[int]()
        contents = list(kept_by(module, name, self._contained, found))
        self._contained |= found
        self._contained_by[name] = found
        self.kept.setdefault(name.partition(".")[0], KeptContainers()).keep(name, contents)

    def kept_of(self, packages: Collection[str] | None = None) -> list[KeptContainers]:
        """Return the containers of each package, or of some packages.

        Args:
            packages: names of packages; None for all.
        """
        if packages is None:
            return list(self.kept.values())
        return [self.kept[package] for package in sorted(packages) if package in self.kept]

    def containers(self, packages: Collection[str] | None = None) -> Iterator[ContainerContents]:
        """Return the containers of installed modules, or of those of some packages."""
        return chain.from_iterable(self.kept_of(packages))

    @contextmanager
    def revealing(self, name: str) -> Iterator[None]:
        """Tell the listeners of the import of a hidden module, which executes nothing and notes nothing anew.

        Args:
            name: of the module.
        """
        if not self._watching:
            yield
            return
        self._began()
        try:
            yield
        finally:
            self._over(name, whole=True)

    def _began(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._depth += 1
            if self._depth == 1:
                self._changed = {id(one.container) for _, one in self._of_other_length()}
                for listener in self.listeners:
                    listener.import_began()

    def _ended(self, module: ModuleType, before: Mapping[str, Any], *, whole: bool) -> None:
        if whole:
            self.note(module, before=before)
        self._over(module.__name__, whole=whole)

    def _over(self, name: str, *, whole: bool) -> None:
        if threading.current_thread() is threading.main_thread():
            self._depth -= 1
            if self._depth == 0:
                self._keep_again()
            if self._depth == 0 and whole:
                for listener in self.listeners:
                    listener.import_ended(local=self.is_local(name))

    def _keep_again(self) -> None:
        """Note anew what an import put into containers of modules: another session gets it the same way."""
        for kept, one in self._of_other_length():
            if id(one.container) not in self._changed:
                kept.keep_again(one)

    def _of_other_length(self) -> list[tuple[KeptContainers, ContainerContents]]:
        return [
            (kept, one)
            for name, kept in self.kept.items()
            if name in sys.modules
            for one in kept.of_other_length()
        ]

    def is_of_import(self, name: str, key: str, value: Any) -> bool:
        """Return whether another session finds a value in a module by importing it: no cell put it there.

        Args:
            name: of the module.
            key: of the variable in it.
            value: what the variable is now.
        """
        if vars(sys.modules[name]).get("__name__") == "__main__":  # `multiprocessing` names it twice
            return False
        known = self.modules.get(name)
        return known is None or known[1].get(key) is value

    def is_installed(self, name: str, key: str, value: Any) -> bool:
        """Return whether a value is what the import of an installed module left in it.

        Args:
            name: of the module.
            key: of the variable in it.
            value: what the variable is now.
        """
        known = self.modules.get(name)
        return known is not None and known[1].get(key) is value and not self.is_local(name)

    def of_import(self, name: str, key: str) -> Any:
        """Return what a module had under a name when its import ended; None where it had nothing."""
        known = self.modules.get(name)
        return None if known is None else known[1].get(key)

    def replaced_builtins(self) -> dict[str, Any]:
        """Return Python's own builtins in whose place something else is."""
        now = sys.modules["builtins"].__dict__
        imported = self.modules["builtins"][1] if "builtins" in self.modules else {}
        return {
            name: value
            for name, value in imported.items()
            if name in now and now[name] is not value and not name.startswith("_")
        }

    def is_local(self, name: str) -> bool:
        """Return whether a module's state is the notebook's."""
        return name in self.local


baseline = Baseline()
at_session_start(baseline.look_again)


def _is_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a mapping has the same objects in the same order; nobody's code runs."""
    same = operator.is_
    try:
        return (
            len(before) == len(now)
            and all(map(same, before.values(), now.values()))
            and all(map(same, before, now))
        )
    except RuntimeError:  # a thread changes it
        return False


class ImportListener(Protocol):
    """Called before and after an import, to find what it changed."""

    def import_began(self) -> None:
        """Note what is before."""

    def import_ended(self, *, local: bool) -> None:
        """Note what is after; `local` says that the module lies beside the notebook."""


def own_classes(module: ModuleType) -> Iterator[type]:
    """Return the classes that a module offers and its package defines."""
    package = module.__name__.partition(".")[0]
    for value in list(vars(module).values()):
        if issubclass(type(value), type) and str(module_of(value)).partition(".")[0] == package:
            yield value


def _wrap_loader(began: Callable[[], None], ended: Callable[..., None]) -> None:
    loader: Any = sys.modules["_frozen_importlib_external"]._LoaderBasics
    original = loader.exec_module

    def exec_module(self: Any, module: Any) -> None:
        if is_ours(module.__name__):  # no look at all modules in each child that writes a checkpoint
            original(self, module)
            return
        whole, before = False, dict(vars(module))
        try:
            began()
            original(self, module)
            whole = True
        finally:
            ended(module, before, whole=whole)

    exec_module.__code__ = exec_module.__code__.replace(co_filename=original.__code__.co_filename)
    exec_module.__module__, exec_module.__qualname__ = original.__module__, original.__qualname__
    loader.exec_module = exec_module
