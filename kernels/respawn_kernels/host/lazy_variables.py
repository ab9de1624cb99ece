"""Variables that are loaded when code first uses them.

A variable that is pending is not in the namespace. Python looks for such a name in the builtins next, and a
namespace may have builtins of its own (`__builtins__`): here a dict that loads pending names in
`__missing__`. So the first use, wherever it is (a cell, a function, a comprehension, `eval`), finds the
value. What looks at the namespace itself (`globals()`, `%who`, `del`) does not ask the builtins: names that a
cell mentions are loaded before it runs, and all of them where its code may look at any.

When nothing is pending the namespace has its own builtins again. Limit: a function that was made meanwhile
keeps the builtins it was made with (`__builtins__` of functions, since Python 3.10); it finds the same, about
0.1 µs later for each builtin that it uses.
"""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, Protocol

from respawn_kernels.cell_code.mentioned_names import mentioned, named_by


class NotLoaded(RuntimeError):
    """A variable was used that the checkpoint holds but that cannot be loaded."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name} could not be loaded: {self.reason}"


class VariableSource(Protocol):
    """Where pending variables come from."""

    def load(self, names: Collection[str]) -> Mapping[str, Any]:
        """Return values of these and of the variables that share objects with them, as far as they load."""

    def release(self) -> None:
        """Refer no longer to what `load` returned: it has names now, and is freed with them."""

    def reason(self, name: str) -> str:
        """Return why a variable did not load, and forget that, so that its next use tries again."""


class _Builtins(dict[str, Any]):
    """A copy of the builtins that also knows what is pending."""

    __slots__ = ("find",)
    find: Callable[[str], Any]

    def __missing__(self, name: str) -> Any:
        return self.find(name)


class _Main(ModuleType):
    """`__main__` while names are pending, for code that asks the module, as `pickle.loads` does."""

    def __getattr__(self, name: str) -> Any:
        lazy = lazy_names(vars(self))
        if lazy.is_pending(name):
            return lazy.find(name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _BuiltinsModule(ModuleType):
    """`builtins` while names are pending: the copies of it follow what a cell assigns there."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _each_refresh()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        _each_refresh()


class LazyNames:
    """The pending variables of one namespace. Threads may share it."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self._pending: dict[str, VariableSource] = {}
        self._loading: set[str] = set()
        self._meanwhile: set[str] = set()
        """Names that are loaded while they are being loaded already: once, or it would not end."""
        self._lock = threading.RLock()
        self._own: Any = None
        self._builtins = _Builtins()
        self._builtins.find = self.find
        self.stopped = False
        """A person interrupted a loading: what is pending raises KeyboardInterrupt until the cell is over."""
        self.settled: list[Callable[[], None]] = []
        """Called when nothing is pending any more."""

    @property
    def pending(self) -> list[str]:
        """The names that are not loaded yet."""
        return list(self._pending)

    def is_pending(self, name: str) -> bool:
        """Return whether a name is not loaded yet."""
        return name in self._pending

    def begin(self, names: Iterable[str], store: VariableSource) -> None:
        """Let names be loaded from a store when they are used; what they were is removed.

        A name that hides a builtin is loaded at once, because Python would find the builtin.

        Args:
            names: the variables.
            store: where they are loaded from.
        """
        with self._lock:
            names = list(names)
            for name in names:
                self.namespace.pop(name, None)
            self._pending |= dict.fromkeys(names, store)
            self.refresh()
            if self._pending and self.namespace.get("__builtins__") is not self._builtins:
                self._own = self.namespace.get("__builtins__", builtins)
                self.namespace["__builtins__"] = self._builtins
                self._change_main(ModuleType, _Main)
                builtins.__class__ = _BuiltinsModule
            self.load([name for name in names if hasattr(builtins, name)])
            self.settle()

    def forget(self, names: Iterable[str] | None = None) -> None:
        """Let names, or all, not be pending any more."""
        with self._lock:
            for name in list(self._pending) if names is None else names:
                self._pending.pop(name, None)
            self.settle()

    def find(self, name: str) -> Any:
        """Return the value of a name that is not in the namespace.

        Raises:
            KeyError: there is no such name, and Python makes a NameError of it.
            NotLoaded: it is pending and cannot be loaded.
            KeyboardInterrupt: a person has interrupted the loading for this cell.
        """
        if name in self._pending:
            with self._lock:
                store = self._pending.get(name)
                if store is not None and name not in self._loading:
                    if self.stopped:
                        raise KeyboardInterrupt
                    try:
                        self.load([name])
                    except LookupError as error:  # Python would make a NameError of it
                        raise NotLoaded(name, f"{type(error).__name__}: {error}") from error
                    if name not in self.namespace:
                        raise NotLoaded(name, store.reason(name))
        if name in self._loading and name not in self.namespace:
            # Code of the notebook runs while names are loaded, such as a finder of modules, and needs one.
            return self._loaded_meanwhile(name)
        if name in self.namespace:  # Race: another thread was loading it
            return self.namespace[name]
        return vars(builtins)[name]

    def _loaded_meanwhile(self, name: str) -> Any:
        store = self._pending.get(name)
        values: Mapping[str, Any] = {}
        if store is not None and name not in self._meanwhile:
            self._meanwhile.add(name)
            try:
                values = store.load([name])
            finally:
                self._meanwhile.discard(name)
        return values[name] if name in values else vars(builtins)[name]

    def load(self, names: Iterable[str]) -> None:
        """Load those of the names that are pending; what does not load stays pending."""
        with self._lock:
            wanted: dict[int, tuple[VariableSource, list[str]]] = {}
            for name in names:
                if name in self._pending and name not in self._loading:
                    store = self._pending[name]
                    wanted.setdefault(id(store), (store, []))[1].append(name)
            for store, some in wanted.values():
                self._loading.update(some)
                try:
                    values = store.load(some)
                finally:
                    self._loading.difference_update(some)
                for name, value in values.items():
                    if self._pending.get(name) is store:
                        del self._pending[name]
                        self.namespace.setdefault(name, value)
                del values
                if not self._loading:  # else code that runs while names are loaded may ask for these
                    store.release()

    def load_for(self, source: str) -> None:
        """Load what a cell mentions, directly or through functions, before it runs.

        Nothing is raised for what does not load: the cell may not come to use it.
        """
        with suppress(Exception), self._lock:
            self.prune()
            self.load_through(mentioned(source))
            self.settle()

    def load_read_by(self, values: Iterable[Any]) -> None:
        """Load what functions read, or the methods of classes and of objects, directly or through others.

        Nothing is raised for what does not load: they may not come to use it.
        """
        for value in values:
            with suppress(Exception), self._lock:
                self.load_through(named_by(value))

    def load_through(self, todo: set[str] | None) -> None:
        """Load names and what the functions, classes and objects of these names read; everything for None."""
        seen = set[str]()
        while todo is not None and todo - seen:
            new = todo - seen
            seen |= new
            self.load(new)
            todo = set()
            for name in new & self.namespace.keys():
                through = named_by(self.namespace[name])
                if through is None:
                    self.load(self.pending)
                    return
                todo |= through
        if todo is None:
            self.load(self.pending)

    def prune(self) -> None:
        """Drop names that somebody has bound meanwhile: they are theirs now."""
        with self._lock:
            for name in [name for name in self._pending if name in self.namespace]:
                del self._pending[name]
            self.settle()

    def refresh(self) -> None:
        """Copy what changed in the builtins."""
        now = vars(builtins)
        self._builtins.update(now)
        for name in self._builtins.keys() - now.keys():
            del self._builtins[name]

    def settle(self) -> None:
        """Give the namespace its own builtins back when nothing is pending."""
        with self._lock:
            if self._pending or self._own is None:
                return
            if self.namespace.get("__builtins__") is self._builtins:
                self.namespace["__builtins__"] = self._own
            self._own = None
            self._change_main(_Main, ModuleType)
            builtins.__class__ = ModuleType
            settled, self.settled = self.settled, []
            for call in settled:
                call()

    def _change_main(self, before: type, after: type) -> None:
        module = sys.modules.get("__main__")
        if module is not None and vars(module) is self.namespace and type(module) is before:
            module.__class__ = after


_of_namespace: list[LazyNames] = []


def _each_refresh() -> None:
    for lazy in _of_namespace:
        lazy.refresh()


def lazy_names(namespace: dict[str, Any]) -> LazyNames:
    """Return the pending variables of a namespace: always the same, since functions keep its builtins."""
    for lazy in _of_namespace:
        if lazy.namespace is namespace:
            return lazy
    lazy = LazyNames(namespace)
    _of_namespace.append(lazy)
    return lazy
