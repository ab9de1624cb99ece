"""Modules that are imported already and do not show until a notebook imports them.

A notebook that finds `matplotlib.pyplot` imported where it asked for `matplotlib` alone works in a warm
kernel and fails in a plain one. So what was imported before the fork is taken out of `sys.modules` and off
its parent packages. The import of a hidden module puts it back, with all that its own code has imported, as
its execution would have, and adds the filters of warnings that the module has added. What else an import does
elsewhere has happened already.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

_bootstrap: Any = importlib.import_module("importlib._bootstrap")
"""The import system (importlib reference): `_load_unlocked` executes each module that an import finds."""


class HiddenModules:
    """A finder of what is imported and hidden; it stands before all others in `sys.meta_path`."""

    def __init__(self) -> None:
        """Begin with nothing hidden."""
        self._hidden: dict[str, ModuleType] = {}
        self._imports: dict[str, dict[str, None]] = {}
        """Which modules each one's code imports, in order."""
        self._bound: set[str] = set()
        """Submodules that were an attribute of their package."""
        self._filters: dict[str, list[Any]] = {}
        """Which filters of warnings each module has added, the last one first."""
        self.around: Callable[[str], AbstractContextManager[Any]] = nullcontext
        """What surrounds the import of a hidden module, by its name."""

    @property
    def modules(self) -> Mapping[str, ModuleType]:
        """What is hidden, by name."""
        return self._hidden

    def load(self, names: Sequence[str]) -> None:
        """Import modules, and hide all that came with them; also when one raises what an import raises."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for name in names:
            before, filters = set(sys.modules), list(warnings.filters)
            try:
                with self._recording():
                    importlib.import_module(name)
            finally:
                warnings.filters[:] = filters  # type: ignore[index]  # it is a list, whatever typeshed says
                self._hide([one for one in sys.modules if one not in before])

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a hidden module is brought back; None for one that is to be found as ever.

        Args:
            name: The module's full name.
            path: Where its package looks for it; None for one without a package.
            target: The module that is loaded anew; None for a first import.
        """
        module = self._hidden.get(name)
        if module is None or target is not None:
            return None
        found = _found_otherwise(self, name, path)
        known = module.__spec__
        if found is None or known is None or found.origin != known.origin:
            return None  # another module of this name comes first now
        found.loader = cast("Any", _Revealing(self, found.loader))
        return found

    def reveal(self, name: str) -> None:
        """Put what a module's code had imported back into `sys.modules`; the module itself is there.

        Args:
            name: The module's full name; one that is not hidden any more is left alone.
        """
        if self._hidden.pop(name, None) is None:
            return  # Race: another thread has imported what imports it.
        for one in self._imports.get(name, ()):
            module = self._hidden.get(one)
            if module is not None and one not in sys.modules:
                sys.modules[one] = module
                self.reveal(one)
                sys.modules[one] = sys.modules.pop(one)  # an import, too, comes after what it has brought
                self._bind(one)
        adding: Any = warnings
        for one in reversed(self._filters.pop(name, ())):
            adding._add_filter(*one, append=False)

    def _bind(self, name: str) -> None:
        package, _, last = name.rpartition(".")
        if name in self._bound and package in sys.modules:
            setattr(sys.modules[package], last, sys.modules[name])

    def _hide(self, modules: Sequence[str]) -> None:
        names = [name for name in modules if not _is_shared(name)]
        for name in names:
            package, _, last = name.rpartition(".")
            parent, module = sys.modules.get(package) or self._hidden.get(package), sys.modules[name]
            if parent is not None and vars(parent).get(last) is module:
                self._bound.add(name)
                delattr(parent, last)
        for name in names:
            self._hidden[name] = sys.modules.pop(name)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Note meanwhile what each module's code imports, also where that is there already."""
        original, load, executing = builtins.__import__, _bootstrap._load_unlocked, list[str]()

        def noting(
            name: str,
            globals: Mapping[str, Any] | None = None,
            locals: Mapping[str, Any] | None = None,
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> ModuleType:
            found = original(name, globals, locals, fromlist or (), level)
            if executing:
                self._note(executing[-1], _imported(name, globals or {}, fromlist or (), level))
            return found

        def loading(spec: ModuleSpec) -> ModuleType:
            if executing:
                self._note(executing[-1], [spec.name])  # by `importlib.import_module`, say
            executing.append(spec.name)
            before, filters = set(sys.modules), list(warnings.filters)
            try:
                module: ModuleType = load(spec)
            finally:
                executing.pop()
                known = [*filters, *self._all_filters()]
                self._filters[spec.name] = [one for one in warnings.filters if one not in known]
                self._note(spec.name, (one for one in sys.modules if one not in before and one != spec.name))
            return module

        builtins.__import__, _bootstrap._load_unlocked = noting, loading
        try:
            yield
        finally:
            builtins.__import__, _bootstrap._load_unlocked = original, load

    def _all_filters(self) -> list[Any]:
        return [one for filters in self._filters.values() for one in filters]

    def _note(self, importer: str, names: Iterable[str]) -> None:
        self._imports.setdefault(importer, {}).update(dict.fromkeys(names))


def _is_shared(name: str) -> bool:
    """Return whether a module is none that code imports: Cython's modules keep their common types in it."""
    return name.startswith("_cython_") and getattr(sys.modules[name], "__spec__", None) is None


class _Revealing:
    """A loader whose module was executed before."""

    def __init__(self, hidden: HiddenModules, loader: Any) -> None:
        self._hidden = hidden
        self._loader = loader
        self._spec: ModuleSpec | None = None
        """As the module's execution left it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module; a copy that somebody asks for beside `import` is made anew."""
        name = spec.name
        module = self._hidden.modules.get(name) or sys.modules.get(name)
        if module is None or sys._getframe(2).f_code.co_name != "_load_unlocked":
            spec.loader = self._loader
            made: ModuleType | None = self._loader.create_module(spec)
            return made
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Show the module with its imports."""
        assert self._spec is not None  # noqa: S101  set as the module was created
        module.__spec__ = self._spec
        with self._hidden.around(self._spec.name):
            self._hidden.reveal(self._spec.name)


def _found_otherwise(first: HiddenModules, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is not first:
            spec = finder.find_spec(name, path)
            if spec is not None:
                return spec
    return None


def _imported(name: str, importer: Mapping[str, Any], fromlist: Sequence[str], level: int) -> Iterator[str]:
    """Yield the names of the modules that one statement has imported."""
    if level:
        package = str(importer.get("__package__") or "")
        base = package.rsplit(".", level - 1)[0] if level > 1 else package
        name = f"{base}.{name}" if name else base
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
    for one in fromlist:
        if f"{name}.{one}" in sys.modules:
            yield f"{name}.{one}"
