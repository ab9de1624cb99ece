"""Pickling of a live namespace, so that it comes back as one.

cloudpickle takes functions and classes of the notebook by value. What differs here:

- functions of the notebook refer to *the namespace itself* instead of a copy of the globals they read, so
  that a restored function sees later changes;
- a function or class that has a name of its own in the namespace is referred to by that name from other
  variables, so that instances do not have to be loaded together with everything else of their class;
- what stands for the session (its output streams, its shell) is taken by reference, while open files are
  refused instead of being read into memory;
- arrays, tables and tensors are reduced by `reductions`, which keeps views as views.
"""

from __future__ import annotations

import builtins
import io
import pickle
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType, FunctionType
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as _internals

from respawn_kernels.names import live_shell
from respawn_kernels.own_streams import name_of, own_stream

PROTOCOL = 5
NAMESPACE_MEMO = 0
"""The place of the namespace in the memo of both sides, so no object needs to be asked whether it is it."""
PREAMBLE = b"\x80\x05\x8c\x09namespaceQ\x94."
"""A pickle of its own before all others in a stream: it asks for the namespace and memoizes it first."""

_FILES = (
    io.FileIO,
    io.TextIOWrapper,
    io.BufferedReader,
    io.BufferedWriter,
    io.BufferedRandom,
    io.BufferedRWPair,
)

_BY_VALUE = (_internals._make_function, _internals._make_skeleton_class, _internals._make_skeleton_enum)

Reducer = Callable[[Any, "NamespacePickler"], Any]
_resolver: ContextVar[Callable[[str], Any]] = ContextVar("respawn_named")


class NamespacePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler for the values of one namespace.

    Several dumps into one stream share one memo: objects that two variables share are written once.
    """

    def __init__(
        self,
        file: Any,
        namespace: dict[str, Any],
        buffer_callback: Callable[[pickle.PickleBuffer], object],
        *,
        reducers: Mapping[type, Reducer] | None = None,
        named: Mapping[int, str] | None = None,
    ) -> None:
        """Make a pickler.

        Args:
            file: where the stream goes.
            namespace: the live namespace.
            buffer_callback: is asked of each buffer whether it stays in the stream.
            reducers: how objects of exact types are reduced.
            named: functions and classes of the notebook that are variables, by their `id`.
        """
        super().__init__(file, protocol=PROTOCOL, buffer_callback=buffer_callback)
        self._namespace = namespace
        self._shell = live_shell()
        self._reducers = reducers or {}
        self._named = named or {}
        self._home: Collection[int] = ()
        self.reads: set[str] = set()
        """Global names that the functions seen since `start` refer to."""
        self.required: set[str] = set()
        """Variables that were referred to by name since `start`."""
        self.keep: list[Any] = []
        """What must outlive the pickling, since its address stands for it."""
        self.by_value: set[int] = set()
        """Ids of the functions and classes that were pickled by value since `start`."""
        self.roots: dict[tuple[int, int], Callable[[], Any]] = {}
        """Who stands for a piece of memory, by address and size: a reference, weak where it can be."""
        self.unaliased: set[int] = set()
        """Ids of arrays whose memory is stored as their own, whoever else it belongs to."""
        self.start(())

    def start(self, home: Collection[int]) -> None:
        """Begin a stream of its own.

        Args:
            home: ids of the named functions and classes that this stream holds by value.
        """
        self._home = home
        self.memo = {id(self._namespace): (NAMESPACE_MEMO, self._namespace)}
        self.globals_ref = {id(self._namespace): self._namespace}
        self.reads, self.required, self.by_value = set(), set(), set()

    def reducer_override(self, obj: Any) -> Any:
        """Say how an object that is not a plain builtin is pickled."""
        reducer = self._reducers.get(type(obj))
        if reducer is not None:
            return reducer(obj, self)
        name = self._named.get(id(obj))
        if name is not None and id(obj) not in self._home:
            self.required.add(name)
            return named_value, (name,)
        if obj is self._shell and obj is not None:
            return _the_shell, ()
        if isinstance(obj, io.IOBase):
            if (name := name_of(obj)) is not None:
                return own_stream, (name,)
            if isinstance(obj, _FILES):
                for name in ("stdout", "stderr", "stdin"):
                    if obj is getattr(sys, name):
                        return getattr, (sys, name)
                raise pickle.PicklingError(f"{'a closed' if obj.closed else 'an open'} file")
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented:
            return reduced
        if reduced[0] in _BY_VALUE:
            self.by_value.add(id(obj))
        return _untracked(reduced) if reduced[0] is _internals._make_skeleton_class else reduced

    def _dynamic_function_reduce(self, func: FunctionType) -> Any:
        reduced = super()._dynamic_function_reduce(func)
        reduced[2][1]["__closure__"] = None  # its cells are shared by others: they come with the arguments
        if func.__globals__ is self._namespace:
            reduced[2][1]["__globals__"] = {}
            self.reads.update(_internals._extract_code_globals(func.__code__))
        return reduced

    def _function_getnewargs(self, func: FunctionType) -> Any:
        code, base_globals, name, defaults, _ = super()._function_getnewargs(func)
        return code, base_globals, name, defaults, func.__closure__


class NamespaceUnpickler(pickle.Unpickler):
    """The other side: what referred to the namespace refers to the live one."""

    def __init__(self, file: Any, namespace: dict[str, Any], buffers: Any) -> None:
        super().__init__(file, buffers=buffers)
        self._namespace = namespace

    def persistent_load(self, pid: str) -> Any:
        """Answer the preamble."""
        if pid != "namespace":
            raise pickle.UnpicklingError(f"unknown reference {pid!r}")
        return self._namespace

    def find_class(self, module: str, name: str) -> Any:
        """Return what a stream names; functions of the notebook are made with its own builtins."""
        if name == "_make_function" and module == _internals.__name__:
            return _make_function
        return super().find_class(module, name)


def _make_function(code: CodeType, globals: dict[str, Any], name: str, defaults: Any, cells: Any) -> Any:
    # cloudpickle's puts builtins of its own into the namespace, which knows pending names by its builtins.
    globals.setdefault("__builtins__", builtins)
    return FunctionType(code, globals, name, defaults, cells)


@contextmanager
def resolving(resolve: Callable[[str], Any]) -> Iterator[None]:
    """Answer references by name with `resolve` while streams are loaded in this context."""
    token = _resolver.set(resolve)
    try:
        yield
    finally:
        _resolver.reset(token)


def named_value(name: str) -> Any:
    """Return the variable of the checkpoint that a stream refers to by name."""
    try:
        resolve = _resolver.get()
    except LookupError:
        raise pickle.UnpicklingError(f"{name} can only be loaded together with its checkpoint") from None
    return resolve(name)


def reason(error: BaseException) -> str:
    """Return in one short line why something could not be pickled or loaded."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, (TypeError, pickle.PickleError)):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= 200 else text[:199] + "…"


def _untracked(reduced: Any) -> Any:
    """Drop the mark by which cloudpickle gives back a class that this process has already.

    A class that the checkpoint holds must not overwrite the attributes of the live one.
    """
    function, (constructor, name, bases, options, _, extra), *rest = reduced
    return function, (constructor, name, bases, options, None, extra), *rest


def _the_shell() -> Any:
    return live_shell()
