"""Assignments into modules and foreign classes: `settings.URL = …`, `pd.DataFrame.total = f`.

What counts is what differs from what the import left, and

- in a module that lies beside the notebook, everything: its state is the notebook's;
- in an installed one, what comes from the notebook or from another package, what a cell names where it sets
  attributes, and what a setter that a cell names was given (`urllib.request.install_opener`).

The rest is what the library does by itself, such as filling its caches.
"""

from __future__ import annotations

import importlib
from collections.abc import Container, Hashable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from respawn_kernels.session_state.patching.assigned_names import (
    mentioned_words,
    set_attributes,
    sets_computed_names,
    written_words,
)
from respawn_kernels.session_state.patching.baseline import baseline, own_classes
from respawn_kernels.session_state.patching.class_attributes import attributes_of, module_of, qualname_of
from respawn_kernels.session_state.patching.function_attributes import set_on_functions
from respawn_kernels.session_state.patching.module_differences import (
    Differences,
    VisibleDifferences,
    differences,
    same_objects,
)
from respawn_kernels.session_state.patching.setters import set_by
from respawn_kernels.session_state.patching.value_marks import ATOMS, can_change, mark
from respawn_kernels.session_state.patching.value_origin import is_own, package_in_loops
from respawn_kernels.session_state.patching.visible_modules import visible_modules
from respawn_kernels.session_state.probe.interface import Marks, NotSet, Parts

_GONE = "gone"
_SET = "set"
_ELSEWHERE: dict[str, set[str]] = {
    "sys": {
        *("stdout", "stderr", "stdin", "path", "modules", "meta_path", "path_hooks", "excepthook"),
        *("unraisablehook", "breakpointhook", "displayhook", "dont_write_bytecode", "ps1", "ps2", "ps3"),
        *("last_type", "last_value", "last_traceback", "last_exc", "path_importer_cache"),
    },
    "threading": {"excepthook"},
    "warnings": {"filters", "_filters_version", "showwarning", "formatwarning", "onceregistry"},
    "logging": {
        "lastResort",
        "raiseExceptions",
        "_warnings_showwarning",
        "_logRecordFactory",
        "_loggerClass",
    },
    "tempfile": {"tempdir", "template"},
    "decimal": {"DefaultContext"},
    "builtins": {"input"},
    "getpass": {"getpass"},
    "mimetypes": {"_db", "inited", "types_map", "common_types", "encodings_map", "suffix_map"},
}
"""What other probes restore, and what the interpreter sets by itself."""

_FRONT_END = ("builtins", "typing", "abc", "IPython", "ipykernel", "matplotlib_inline")
"""What these packages put into others they put there again in each kernel."""


class Patches:
    """What was assigned into modules and classes."""

    name = "#patches"
    before_fork = False

    def __init__(self) -> None:
        self._visible = VisibleDifferences()

    def fingerprint(self) -> Hashable:
        """Return what was assigned where the notebook can see it.

        Those are modules beside the notebook, modules that are variables and those that cells import by their
        names, with their classes. Elsewhere `capture` finds what this does not.
        """
        baseline.look()
        words, mentioned, stored = written_words(), mentioned_words(), set_attributes()
        found: list[tuple[str, Hashable]] = []
        local = [(module, _now_of(module)) for module in baseline.local.values()]
        for module, now in (*local, *self._visible.look()):
            for name, value in _differing(module, now, words):
                found.append((f"{module.__name__}.{name}", tuple(map(_short, value))))
            for name, attribute, value in set_on_functions(module, mentioned, stored):
                found.append((f"{module.__name__}.{name}.{attribute}", _short(value)))
        own = (cls for module in baseline.local.values() for cls in own_classes(module))
        for cls in (*own, *self._visible.changed_classes()):
            known, attributes = baseline.classes.get(cls, {}), attributes_of(cls)
            if known and (len(known) != len(attributes) or any(name in attributes for name in stored)):
                differing = _differing_attributes(cls, known, words)
                of = f"{module_of(cls)}.{qualname_of(cls)}"
                found += [(f"{of}.{name}", (id(cls), *map(_short, value))) for name, value in differing]
        return Marks(found)

    def capture(self) -> Parts | None:
        """Return what was assigned, by dotted name: module, class, attribute and value."""
        baseline.look()
        found = Parts(_patches())
        if package_in_loops():
            found = Parts((place, one) for place, one in found.items() if not _is_in_asyncio(*one))
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Assign again; the modules are imported for that. Raises NotSet with what could not be assigned."""
        failed: dict[str, str] = {}
        for key, (module, path, name, kind, *what) in value.items():
            try:
                owner: Any = importlib.import_module(module)
                for part in path.split(".") if path else ():
                    owner = getattr(owner, part)
                if kind == _GONE:
                    if name in vars(owner):
                        delattr(owner, name)
                elif vars(owner).get(name, _GONE) is not what[0]:
                    setattr(owner, name, what[0])
            except Exception as error:  # noqa: BLE001  importing and setting run anybody's code
                failed[key] = f"{type(error).__name__}: {error}"
        if failed:
            raise NotSet(failed)


def patched_in(packages: Container[str]) -> dict[str, Hashable]:
    """Return values that differ when assignments of cells into some packages do, by dotted name.

    What one library puts into another is left out.

    Args:
        packages: names of the packages whose modules and classes are compared.
    """
    words = written_words()
    return {
        place: tuple(map(_short, value))
        for place, value in _patches(packages)
        if _is_of_cells(*value, words=words)
    }


def _is_in_asyncio(module: str, _path: str, _name: str, kind: str, *what: Any) -> bool:
    """Return whether an assignment into asyncio is none of the notebook's own."""
    return module.partition(".")[0] == "asyncio" and not (kind == _SET and is_own(what[0]))


def _is_of_cells(module: str, path: str, name: str, kind: str, *what: Any, words: set[str]) -> bool:
    if kind == _GONE or name in words or is_own(what[0], words):
        return True
    known = baseline.modules.get(module)
    return not path and known is not None and name in set_by(known[0], mentioned_words())


def _patches(packages: Container[str] | None = None) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return what was assigned, by dotted name: module, class, attribute and value.

    Args:
        packages: whose modules and classes are looked at; None: all.
    """
    words, mentioned, stored = written_words(), mentioned_words(), set_attributes()
    for name, (module, values) in list(baseline.modules.items()):
        if packages is not None and name.partition(".")[0] not in packages:
            continue
        for key, value in _differing(module, differences(values, vars(module)), words):
            yield f"{module.__name__}.{key}", (module.__name__, "", key, *value)
        for key, attribute, one in set_on_functions(module, mentioned, stored):
            yield f"{module.__name__}.{key}.{attribute}", (module.__name__, key, attribute, _SET, one)
    # Not `list(items())`: ten thousand tuples at once have the collector look at all that the process has.
    for cls, before in zip(list(baseline.classes), list(baseline.classes.values()), strict=True):
        if packages is not None and str(module_of(cls)).partition(".")[0] not in packages:
            continue
        if not same_objects(before, attributes_of(cls)):
            for key, value in _differing_attributes(cls, before, words):
                place = f"{module_of(cls)}.{qualname_of(cls)}.{key}"
                yield place, (module_of(cls), qualname_of(cls), key, *value)


def _short(value: Any) -> Hashable:
    return (
        value if value is _SET or value is _GONE else (id(value), mark(value) if can_change(value) else None)
    )


def _now_of(module: ModuleType) -> Differences:
    _, before = baseline.modules.get(module.__name__, (module, vars(module)))
    return differences(before, vars(module))


def _differing(
    module: ModuleType, now: Differences, words: set[str]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    name, local = module.__name__, baseline.is_local(module.__name__)
    elsewhere = _ELSEWHERE.get(name, ())
    if local:
        yield from ((key, (_SET, value)) for key, value in _changed_in_place(module, now))
    for key, value in now.other:
        if issubclass(type(value), ModuleType) or key in elsewhere or _is_pythons(key, value):
            continue
        if local or _comes_from_cells(module, key, value, words):
            yield key, (_SET, value)
    for key in now.gone:
        if (local or key in words) and key[:2] != "__" and key not in elsewhere:
            yield key, (_GONE,)


def _changed_in_place(module: ModuleType, now: Differences) -> Iterator[tuple[str, Any]]:
    variables, others = vars(module), {key for key, _ in now.other}
    for key, before in baseline.marks.get(module.__name__, {}).items():
        if key in variables and key not in others and mark(variables[key]) != before:
            yield key, variables[key]


def _is_pythons(key: str, value: Any) -> bool:
    """Return whether Python sets a name in a module; the notebook may replace what a statement calls."""
    hook = key in ("__build_class__", "__import__") and getattr(value, "__module__", None) == "__main__"
    return key[:2] == key[-2:] == "__" and not hook


_OF_EVERY_CLASS = ("__doc__", "__abstractmethods__", "_abc_impl", "__annotations__")


def _differing_attributes(
    cls: type, before: Mapping[str, Any], words: set[str]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    local = baseline.is_local(module_of(cls))
    for name, value in list(attributes_of(cls).items()):
        if before.get(name, _GONE) is value or name in _OF_EVERY_CLASS:
            continue
        if local or name in words or _is_foreign(value, module_of(cls)) or _holds_own(name, value):
            yield name, (_SET, value)


def _comes_from_cells(module: ModuleType, key: str, value: Any, words: set[str]) -> bool:
    if key in words or _is_foreign(value, module.__name__) or _holds_own(key, value):
        return True
    if key in set_by(module, mentioned_words()):
        return True
    return sets_computed_names() and type(value) in ATOMS and module in visible_modules()


def _can_be_put(value: Any) -> bool:
    """Return whether a value may stand for another: a function, a class, a mock, and no helper object."""
    kinds = (FunctionType, BuiltinFunctionType, MethodType, type, partial)
    return isinstance(value, kinds) or type(value).__module__ == "unittest.mock"


def _holds_own(name: str, value: Any) -> bool:
    return "cache" not in name and is_own(value, written_words() if can_change(value) else ())


def _is_foreign(value: Any, module: str) -> bool:
    """Return whether a value comes from the notebook, or from another package than a module's own."""
    package = module.partition(".")[0]
    for one in (value, *(getattr(value, name, None) for name in ("__func__", "fget", "func", "_accessor"))):
        origin = getattr(one, "__module__", None)
        if type(origin) is str and not issubclass(type(one), ModuleType):
            if origin == "__main__":
                return True
            if _can_be_put(one) and origin.partition(".")[0] not in (package, *_FRONT_END):
                return True
    return type(value).__module__ == "__main__"
