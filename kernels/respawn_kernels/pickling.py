"""Pickling of a live namespace, so that it comes back as one.

cloudpickle takes functions and classes of the notebook by value. Two things differ here: functions that the
notebook defined refer to *the namespace itself* instead of a copy of the globals they read, so that a
restored function sees later changes; and things that stand for the session (its output streams, its shell)
are taken by reference, while open files are refused instead of being read into memory.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import cloudpickle

from respawn_kernels.names import live_shell

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


class NamespacePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler for the values of one namespace.

    Several dumps into one stream share one memo: objects that two variables share are written once.
    """

    def __init__(
        self, file: Any, namespace: dict[str, Any], buffer_callback: Callable[[pickle.PickleBuffer], object]
    ) -> None:
        super().__init__(file, protocol=PROTOCOL, buffer_callback=buffer_callback)
        self._namespace = namespace
        self._shell = live_shell()
        self.memo = {id(namespace): (NAMESPACE_MEMO, namespace)}
        self.globals_ref[id(namespace)] = namespace

    def reducer_override(self, obj: Any) -> Any:
        """Say how an object that is not a plain builtin is pickled."""
        if obj is self._shell and obj is not None:
            return _the_shell, ()
        if isinstance(obj, io.IOBase):
            for name in ("stdout", "stderr", "stdin"):
                if obj is getattr(sys, name):
                    return getattr, (sys, name)
            if isinstance(obj, _FILES):
                raise pickle.PicklingError(f"{'a closed' if obj.closed else 'an open'} file")
        return super().reducer_override(obj)

    def _dynamic_function_reduce(self, func: FunctionType) -> Any:
        reduced = super()._dynamic_function_reduce(func)
        if func.__globals__ is self._namespace:
            reduced[2][1]["__globals__"] = {}
        return reduced


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


def reason(error: BaseException) -> str:
    """Return in one short line why something could not be pickled or loaded."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, (TypeError, pickle.PickleError)):
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= 200 else text[:199] + "…"


def _the_shell() -> Any:
    return live_shell()
