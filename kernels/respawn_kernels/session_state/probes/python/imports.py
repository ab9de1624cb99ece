"""Where modules come from, and which ones there are: path, finders, loaded modules, other names of them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Hashable, Mapping
from types import ModuleType
from typing import Any

from respawn_kernels.session_start import at_session_start
from respawn_kernels.session_state.patching import baseline, written_words
from respawn_kernels.session_state.patching.visible_modules import visible_modules
from respawn_kernels.session_state.probe.duplicates import is_twin
from respawn_kernels.session_state.probe.interface import Lost, NotSet, Parts

_path_before: list[str] = []


@at_session_start
def _note_path() -> None:
    _path_before[:] = sys.path


class ImportPath:
    """`sys.path`, entry by entry in its order: a module of the same name may lie in two of them.

    Entries that the kernel began with are named by their place, for another kernel may lie elsewhere.
    """

    name = "#sys.path"
    first = True

    def fingerprint(self) -> Hashable:
        """Return the entries."""
        return hash(tuple(map(str, sys.path)))

    def capture(self) -> list[Any] | None:
        """Return the entries: a place among those at the beginning, or what was added."""
        if sys.path == _path_before:
            return None
        return [_path_before.index(entry) if entry in _path_before else entry for entry in sys.path] + [
            len(_path_before)
        ]

    def restore(self, value: list[Any], shell: Any | None) -> None:
        """Set the path; what this session has added by itself stays, at the end."""
        *entries, count = value
        now = _translated(entries, count)
        own = [entry for entry in sys.path if entry not in now and entry not in _path_before]
        sys.path[:] = [*now, *own]
        importlib.invalidate_caches()


def _translated(entries: list[Any], count: int) -> list[str]:
    """Return a recorded path with the entries that this kernel began with in the place of the other's."""
    if count == len(_path_before):
        return [_path_before[entry] if isinstance(entry, int) else entry for entry in entries]
    # Another installation: its own entries keep together where the first of the other's was.
    first = next((place for place, entry in enumerate(entries) if isinstance(entry, int)), len(entries))
    return [
        *(entry for entry in entries[:first]),
        *_path_before,
        *(entry for entry in entries[first:] if not isinstance(entry, int)),
    ]


class Finders:
    """Finders and path hooks that the notebook put into `sys.meta_path` and `sys.path_hooks`."""

    name = "#finders"
    first = True
    before_fork = False

    def __init__(self) -> None:
        self._start = {id(one) for one in (*sys.meta_path, *sys.path_hooks)}

    def fingerprint(self) -> Hashable:
        """Return which ones of the notebook there are."""
        return tuple((key, id(one)) for key, one in self._found().items())

    def capture(self) -> Parts | None:
        """Return those of the notebook, with their places; those of libraries come with their import."""
        return self._found() or None

    def _found(self) -> Parts:
        found = Parts()
        for name in ("meta_path", "path_hooks"):
            for place, one in enumerate(getattr(sys, name)):
                cls = one if isinstance(one, type) else type(one)
                module = getattr(one, "__module__", cls.__module__)
                if id(one) not in self._start and "__main__" in (cls.__module__, module):
                    found[f"{name}.{place}"] = one
        return found

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Put them where they were."""
        for key, one in value.items():
            name, _, place = key.partition(".")
            if one not in (finders := getattr(sys, name)):
                finders.insert(int(place), one)

    def withdraw(self, value: dict[str, Any]) -> None:
        """Take them out."""
        for key, one in value.items():
            finders = getattr(sys, key.partition(".")[0])
            finders[:] = [other for other in finders if not is_twin(other, one)]


class PackagePaths:
    """Directories that were added to the path of a package: its submodules may lie there."""

    name = "#packages"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return them, of packages that the notebook can see; `capture` finds the others.

        To look at each module after each cell takes long: after a fork the memory of all of them is shared.
        """
        seen = {module.__name__: module for module in (*baseline.local.values(), *visible_modules())}
        return tuple((name, *added) for name, added in _added_places(seen).items())

    def capture(self) -> dict[str, list[str]] | None:
        """Return them by the package's name."""
        return _added_places(sys.modules) or None

    def restore(self, value: dict[str, list[str]], shell: Any | None) -> None:
        """Import the packages and add what that does not. Raises NotSet with those that cannot be."""
        failed: dict[str, str] = {}
        for name, added in value.items():
            try:
                places: Any = importlib.import_module(name).__path__
            except Exception as error:  # noqa: BLE001  importing runs anybody's code
                failed[name] = f"{type(error).__name__}: {error}"
            else:
                places.extend(place for place in added if place not in places)
        if failed:
            raise NotSet(failed)


def _added_places(modules: Mapping[str, ModuleType]) -> dict[str, list[str]]:
    """Return what the paths of packages have beside the directory that each lies in."""
    found = {}
    for name, module in list(modules.items()):
        inside = vars(module) if issubclass(type(module), ModuleType) else {}
        places, file = inside.get("__path__"), inside.get("__file__")
        if type(places) is list and len(places) > 1 and isinstance(file, str):
            found[name] = [place for place in places if place != os.path.dirname(file)]  # noqa: PTH120  quick
    return found


class LoadedModules:
    """The modules that were loaded since the session began.

    A module that registers something, prints something or is a part of another one (`xml.dom`) does so when
    it is imported. They are imported again at once in a run; in a debug notebook those of a package that is
    loaded.
    """

    name = "#modules"
    before_fork = False
    _OURS = ("respawn", "respawn_kernels", "respawn_widgets")

    def __init__(self) -> None:
        self._start = set(sys.modules)

    def fingerprint(self) -> Hashable:
        """Return nothing: what an import does is seen in other parts, and whose code ran is known."""
        return None

    def capture(self) -> list[str] | None:
        """Return their names in the order in which their import began."""
        return [
            name
            for name, module in list(sys.modules.items())
            if name not in self._start
            and name.partition(".")[0] not in self._OURS
            and _found_by_name(name, module)
        ] or None

    def restore(self, value: list[str], shell: Any | None) -> None:
        """Import them. Raises NotSet with those that could not be; a part of a library may be missing."""
        failed: dict[str, str] = {}
        for name in value:
            try:
                if name not in sys.modules:
                    importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  importing runs anybody's code
                if "." not in name:
                    failed[name] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)


def _found_by_name(name: str, module: Any) -> bool:
    spec = vars(module).get("__spec__") if issubclass(type(module), ModuleType) else None
    return spec is not None and getattr(spec, "name", "") == name and spec.loader is not None


class ModuleNames:
    """Entries of `sys.modules` that import did not make: other names of modules, and modules made by hand."""

    name = "#sys.modules"
    before_fork = False

    def __init__(self) -> None:
        self._start = set(sys.modules)

    def fingerprint(self) -> Hashable:
        """Return which ones there are."""
        return tuple((name, id(module)) for name, module in self._made())

    def capture(self) -> Parts | None:
        """Return what they stand for."""
        found = Parts()
        for name, module in self._made():
            target = getattr(getattr(module, "__spec__", None), "name", None)
            if issubclass(type(module), ModuleType) and sys.modules.get(str(target)) is module:
                found[name] = module
            elif issubclass(type(module), ModuleType):
                found[name] = Lost("a module that was made by hand; make it again", "module")
            else:
                found[name] = module
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them."""
        sys.modules.update(value)

    def _made(self) -> list[tuple[str, Any]]:
        """Return entries whose names stand in a cell: libraries make some, too."""
        named = [name for name in written_words() if name in sys.modules and name not in self._start]
        return [(n, sys.modules[n]) for n in sorted(named) if not _found_by_name(n, sys.modules[n])]
