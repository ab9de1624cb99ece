"""What the containers of installed modules held when their import ended, to find what came in later.

Libraries register what they are given in a dict, a list or a set of a module, of one of its classes or of an
object that the module keeps. A look at a container costs as much as a copy of it. Limits: containers deeper
than three steps, of more than 20,000 entries, and what a library keeps in C.
"""

from __future__ import annotations

import logging
import operator
from collections import OrderedDict, defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from types import FunctionType, ModuleType
from typing import Any

from respawn_kernels.session_state.patching.class_attributes import attributes_of
from respawn_kernels.session_state.probe.write_marks import WriteMarks

ATTRIBUTE, ITEM = "attribute", "item"
Step = tuple[str, Any]
"""How a value leads to the next: ATTRIBUTE or ITEM, and the attribute's name or the key."""

_MAX = 20_000
_DEEPEST = 3
_IN_PYTHON = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: a class that was made while Python ran."""
_KEYS = (str, int, bool, type(None))
_LOGGING = (logging.Logger, logging.Handler)
"""Whose attributes the probe of logging restores, whatever class they have."""

NOT_LOOKED_INTO = frozenset(
    [
        *("IPython", "ipykernel", "jupyter_client", "traitlets", "comm", "zmq", "tornado", "debugpy"),
        *(
            "asyncio",
            "_asyncio",
            "concurrent",
            "multiprocessing",
            "threading",
            "_weakrefset",
            "weakref",
            "ctypes",
        ),
        *("importlib", "_frozen_importlib", "_frozen_importlib_external", "zipimport", "sys", "gc", "typing"),
        *("linecache", "tracemalloc", "copyreg", "logging", "warnings", "mimetypes", "cloudpickle"),
        *("atexit", "signal", "os", "posix", "builtins", "functools", "abc", "_abc", "pickle", "inspect"),
    ]
)
"""Packages whose containers other probes restore, or change while a kernel runs cells."""


@dataclass(frozen=True, slots=True)
class ContainerContents:
    """A container, and what it held."""

    module: str
    path: tuple[Step, ...]
    """From the module."""
    container: Any
    """A dict, a list or a set; of an object, its attributes."""
    of_object: bool
    keys: tuple[Any, ...]
    """Of a list or set: empty."""
    values: tuple[Any, ...]

    @property
    def place(self) -> str:
        """The path as people write it."""
        parts = (f".{key}" if by == ATTRIBUTE else f"[{key!r}]" for by, key in self.path)
        return self.module + "".join(parts)

    def now(self) -> ContainerContents:
        """Return it as it is now."""
        keys, values = entries(self.container)
        return replace(self, keys=keys, values=values)

    def is_as_before(self) -> bool:
        """Return whether it holds the same objects; nobody's code runs."""
        container, values = self.container, self.values
        if len(container) != len(values):
            return False
        if not values:
            return True
        if type(container) is dict:
            try:
                same = all(map(operator.is_, values, container.values()))
                return same and all(map(operator.is_, self.keys, container))
            except RuntimeError:  # a thread changes it: a copy is compared
                pass
        keys, now = entries(container)
        return all(map(operator.is_, values, now)) and all(map(operator.is_, self.keys, keys))


class KeptContainers:
    """The containers that the modules of a package keep, and what they held when an import ended."""

    def __init__(self) -> None:
        self._modules: dict[str, list[ContainerContents]] = {}
        self._all: list[ContainerContents] | None = None
        self._marks: WriteMarks | None = None

    def __iter__(self) -> Iterator[ContainerContents]:
        return iter(self._contents())

    def keep(self, module: str, contents: list[ContainerContents]) -> None:
        """Note what a module keeps, instead of what it kept before."""
        if contents:
            self._modules[module] = contents
        else:
            self._modules.pop(module, None)
        self._all = None

    def of_other_length(self) -> list[ContainerContents]:
        """Return those that hold more or less; that costs a tenth of comparing what they hold."""
        return [one for one in self._contents() if len(one.container) != len(one.values)]

    def keep_again(self, kept: ContainerContents) -> None:
        """Note anew what one of them holds."""
        contents = self._modules[kept.module]
        at = next(at for at, one in enumerate(contents) if one is kept)
        contents[at] = kept.now()
        self._all = None

    def changed(self) -> Iterator[ContainerContents]:
        """Return those that do not hold the same objects; all are looked at after each cell."""
        contents = self._contents()
        if self._marks is None:
            self._marks = WriteMarks(one.container for one in contents)
        marks = self._marks
        for at in marks.differing():
            if contents[at].is_as_before():
                marks.note(at)
            else:
                yield contents[at]

    def _contents(self) -> list[ContainerContents]:
        if self._all is None:
            self._all = [one for module in self._modules.values() for one in module]
            self._marks = None
        return self._all


def entries(container: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return keys and values of a dict, or nothing and the elements of a list or set."""
    if isinstance(container, dict):
        return tuple(dict.keys(container)), tuple(dict.values(container))
    kind: Any = list if isinstance(container, list) else set
    return (), tuple(kind.__iter__(container))


def kept_by(
    module: ModuleType, name: str, seen: Container[int], found: set[int]
) -> Iterator[ContainerContents]:
    """Return the containers that a module keeps, each once.

    Args:
        module: the module, whose import has ended.
        name: under which it was imported.
        seen: ids of values that other modules had before.
        found: gets the ids of this module's.
    """
    waiting: list[tuple[tuple[Step, ...], Any]] = [
        (((ATTRIBUTE, key),), value) for key, value in vars(module).items() if key[:2] != "__"
    ]
    while waiting:
        path, value = waiting.pop()
        kind = type(value)
        if kind in _PLAIN or id(value) in found or id(value) in seen:
            continue
        if issubclass(kind, type):
            # Another module, which had it before, may not be the one that it calls its own.
            if len(path) == 1 and attributes_of(value).get("__module__") == name:
                found.add(id(value))
                waiting += _data(path, attributes_of(value).items())
            continue
        found.add(id(value))
        container = _container(value)
        if container is None or len(container) > _MAX:
            continue
        keys, values = entries(container)
        of_object = container is not value
        yield ContainerContents(name, path, container, of_object, keys, values)
        if keys and len(path) < _DEEPEST:
            by = ATTRIBUTE if of_object else ITEM
            waiting += [((*path, (by, k)), v) for k, v in zip(keys, values, strict=True) if type(k) in _KEYS]


def find(module: ModuleType, path: tuple[Step, ...]) -> Any:
    """Return the container at the end of a path. Raises LookupError or AttributeError when there is none."""
    value: Any = module
    for by, key in path:
        if by == ITEM:
            value = dict.__getitem__(value, key)
        else:
            inside = attributes_of(value) if isinstance(value, type) else vars(value)
            value = inside[key]
    container = _container(value)
    if container is None:
        raise LookupError("it is no container any more")
    return container


def _data(path: tuple[Step, ...], items: Any) -> list[tuple[tuple[Step, ...], Any]]:
    return [((*path, (ATTRIBUTE, key)), value) for key, value in items if key[:2] != "__"]


_PLAIN = frozenset(
    [type(None), bool, int, float, complex, str, bytes, tuple, frozenset, FunctionType, ModuleType]
)
_EXACT = (dict, list, set, defaultdict, OrderedDict)


def _container(value: Any) -> Any:
    """Return a value that is a container, or the attributes of an object of a class in Python; else None."""
    kind = type(value)
    if kind in _EXACT or issubclass(kind, dict | list | set):
        return value
    if kind.__flags__ & _IN_PYTHON and not issubclass(kind, ModuleType):
        if str(kind.__module__).partition(".")[0] in NOT_LOOKED_INTO or issubclass(kind, _LOGGING):
            return None
        try:
            inside = object.__getattribute__(value, "__dict__")
        except AttributeError:
            return None
        return inside if type(inside) is dict else None
    return None
