"""What is registered with modules of the standard library: dialects, types, reducers, virtual subclasses."""

from __future__ import annotations

import abc
import copyreg
import gc
import importlib
import operator
import os
import sys
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from typing import Any

from respawn_kernels.session_state.patching import baseline, mentioned_words
from respawn_kernels.session_state.probe.interface import NotSet, Parts


class StandardLibrary:
    """Small settings of modules of the standard library, each where its module is loaded.

    `csv` (dialects, size of a field), `calendar` (first day of the week), `tempfile` (directory, template),
    `copyreg` (numbers that stand for classes in pickles, so they are set before any pickle is loaded).
    """

    name = "#stdlib"
    first = True

    def fingerprint(self) -> Hashable:
        """Return them as text."""
        return repr(_settings())

    def capture(self) -> dict[str, Any] | None:
        """Return those that are not as in a new session."""
        return _settings() or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set them; their modules are loaded for that. Raises NotSet with those that could not be set."""
        failed: dict[str, str] = {}
        for key, one in value.items():
            module, _, what = key.partition(".")
            try:
                _GIVE[module](importlib.import_module(module), what, one)
            except Exception as error:  # noqa: BLE001  whatever another version refuses
                failed[key] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)


_DIALECT = (
    *("delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting"),
    *("skipinitialspace", "strict"),
)
_DIALECTS = {"excel", "excel-tab", "unix"}
_FIELD_SIZE = 131072


def _settings() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, read in _READ.items():
        module = sys.modules.get(name)
        if module is not None:
            found |= {f"{name}.{key}": value for key, value in read(module).items()}
    return found


def _csv(module: Any) -> dict[str, Any]:
    names = [name for name in module.list_dialects() if name not in _DIALECTS]
    found: dict[str, Any] = {
        name: {key: getattr(module.get_dialect(name), key) for key in _DIALECT} for name in names
    }
    size = module.field_size_limit()
    return found if size == _FIELD_SIZE else {**found, "": size}


def _set_csv(module: Any, name: str, value: Any) -> None:
    if name:
        module.register_dialect(name, **value)
    else:
        module.field_size_limit(value)


def _calendar(module: Any) -> dict[str, Any]:
    day = int(module.firstweekday())
    return {"": day} if day else {}


def _tempfile(module: Any) -> dict[str, Any]:
    found = {} if module.template == "tmp" else {"template": module.template}
    # It is set when it is first asked for; that alone is no change.
    if module.tempdir is not None and module.tempdir != _usual_directory(module):
        found["tempdir"] = module.tempdir
    return found


def _usual_directory(module: Any) -> str | None:
    return next((one for one in module._candidate_tempdir_list() if os.access(one, os.W_OK | os.X_OK)), None)


def _copyreg(module: Any) -> dict[str, Any]:
    return {f"{owner}:{name}": code for (owner, name), code in module._extension_registry.items()}


_READ: dict[str, Callable[[Any], dict[str, Any]]] = {
    "csv": _csv,
    "calendar": _calendar,
    "copyreg": _copyreg,
    "tempfile": _tempfile,
}
_GIVE: dict[str, Callable[[Any, str, Any], Any]] = {
    "csv": _set_csv,
    "calendar": lambda module, _, value: module.setfirstweekday(value),
    "copyreg": lambda module, name, code: module.add_extension(*name.split(":"), code),
    "tempfile": setattr,
}


class Reducers:
    """Reducers of `copyreg` that the notebook registered; those of libraries come with their import."""

    name = "#copyreg"

    def fingerprint(self) -> Hashable:
        """Return which functions are registered for classes of the notebook, or by it."""
        return tuple((id(cls), id(function)) for cls, function in self._found())

    def capture(self) -> list[tuple[type, Any]] | None:
        """Return classes and functions."""
        return self._found() or None

    def restore(self, value: list[tuple[type, Any]], shell: Any | None) -> None:
        """Register them."""
        for cls, function in value:
            copyreg.pickle(cls, function)

    def withdraw(self, value: list[tuple[type, Any]]) -> None:
        """Register them no longer."""
        for cls, function in value:
            if copyreg.dispatch_table.get(cls) is function:
                del copyreg.dispatch_table[cls]

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._of_notebook: list[tuple[type, Any]] = []

    def _found(self) -> list[tuple[type, Any]]:
        values = list(copyreg.dispatch_table.values())
        if len(values) != len(self._values) or not all(map(operator.is_, values, self._values)):
            self._values = values
            self._of_notebook = [
                (cls, function)
                for cls, function in list(copyreg.dispatch_table.items())
                if _of_notebook(cls) or _of_notebook(function)
            ]
        return self._of_notebook


def _of_notebook(value: Any) -> bool:
    return getattr(value, "__module__", None) == "__main__"


class VirtualSubclasses:
    """Classes registered with an abstract base class (PEP 3119), where one of both is the notebook's."""

    name = "#abc"
    before_fork = False

    def __init__(self) -> None:
        self._start = abc.get_cache_token()

    def fingerprint(self) -> Hashable:
        """Return the number that grows with each registration, a library's while it is imported included."""
        return abc.get_cache_token()

    def capture(self) -> list[tuple[type, type]] | None:
        """Return pairs of an abstract class and one registered with it."""
        if abc.get_cache_token() == self._start or "register" not in mentioned_words():
            return None
        return [
            (base, cls)
            for base in abstract_classes()
            for cls in _registered(base)
            if _of_notebook(base) or _of_notebook(cls)
        ] or None

    def restore(self, value: list[tuple[type, type]], shell: Any | None) -> None:
        """Register them."""
        for base, cls in value:
            base.register(cls)  # type: ignore[attr-defined]


def abstract_classes() -> Iterator[type]:
    """Return all abstract classes of this process."""
    seen: set[type] = set()
    waiting: list[type] = [object]
    cls: type
    while waiting:
        for cls in type.__subclasses__(waiting.pop()):
            if cls not in seen:
                seen.add(cls)
                waiting.append(cls)
                if issubclass(type(cls), abc.ABCMeta):  # `isinstance` would ask the class
                    yield cls


def _registered(base: type) -> list[type]:
    dump: Any = getattr(sys.modules["abc"], "_get_dump", None)
    if dump is None:
        return list(getattr(base, "_abc_registry", ()))
    return [cls for ref in dump(base)[0] if (cls := ref()) is not None]


class MimeTypes:
    """What was added to the tables of `mimetypes`, changed in them, or taken out."""

    name = "#mimetypes"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return what differs."""
        return tuple((self.capture() or {}).items())

    def capture(self) -> dict[tuple[str, str], str | None] | None:
        """Return what a new database has otherwise, by table and key; None for what is gone."""
        module = sys.modules.get("mimetypes")
        database = getattr(module, "_db", None)
        if module is None or database is None or not module.inited:
            return None
        found: dict[tuple[str, str], str | None] = {}
        fresh = _tables(_fresh_types(module))
        for title, table in _tables(database).items():
            before = fresh[title]
            found |= {(title, key): value for key, value in table.items() if before.get(key) != value}
            found |= {(title, key): None for key in before.keys() - table.keys()}
        return found or None

    def restore(self, value: dict[tuple[str, str], str | None], shell: Any | None) -> None:
        """Make the same changes."""
        mimetypes: Any = importlib.import_module("mimetypes")
        if mimetypes._db is None:
            mimetypes.init()
        tables = _tables(mimetypes._db)
        for (title, key), one in value.items():
            if one is None:
                tables[title].pop(key, None)
            elif title in _STRICT:
                mimetypes.add_type(one, key, strict=_STRICT[title])
            else:
                tables[title][key] = one


_STRICT = {"common_types": False, "types_map": True}
"""The tables of types, and whether the standard has them."""


def _tables(database: Any) -> dict[str, dict[str, str]]:
    types = {title: database.types_map[strict] for title, strict in _STRICT.items()}
    return {**types, "encodings_map": database.encodings_map, "suffix_map": database.suffix_map}


@cache
def _fresh_types(module: Any) -> Any:
    # A database that is made before the module is initialized would replace the module's.
    fresh = module.MimeTypes()
    for file in filter(os.path.isfile, module.knownfiles):
        fresh.read(file)
    return fresh


class Dispatch:
    """Implementations that the notebook registered with generic functions (`singledispatch`, PEP 443)."""

    name = "#singledispatch"
    before_fork = False

    def fingerprint(self) -> Hashable:
        """Return how many all of these functions have; None while there is none."""
        return sum(len(function.registry) for function in baseline.dispatchers.values()) or None

    def capture(self) -> Parts | None:
        """Return class and implementation, where one of both is the notebook's."""
        found = Parts()
        for (module, name), function in baseline.dispatchers.items():
            for cls, call in list(function.registry.items()):
                if _of_notebook(cls) or _of_notebook(call):
                    found[f"{module}.{name} {cls.__qualname__}"] = (module, name, cls, call)
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Register them; the modules are loaded for that."""
        for module, name, kind, call in value.values():
            getattr(importlib.import_module(module), name).register(kind, call)

    def withdraw(self, value: dict[str, Any]) -> None:
        """Register them no longer: `functools` has no call for that."""
        for module, name, kind, call in value.values():
            function = getattr(importlib.import_module(module), name)
            # `registry` is a read-only view of the dict that is meant.
            [registry] = gc.get_referents(function.registry)
            if registry.get(kind) is call:
                del registry[kind]
                function._clear_cache()
