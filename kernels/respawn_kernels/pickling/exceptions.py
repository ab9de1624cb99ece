"""How exceptions are taken apart: past their constructors, with causes, notes, and their traceback as text.

A traceback is made of frames, and Python cannot make a frame that is not running. What is shown of it can be
made: the restored exception has a traceback of stand-ins, which name the same files, functions and lines, and
the text of those lines is put into `linecache`. They have no local variables. Notes (PEP 678) are attributes.

Streams call the functions with a stable name when they are loaded, see `rebuild`.
"""

from __future__ import annotations

import linecache
import sys
import types
from pathlib import Path
from types import CodeType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from respawn_kernels.introspection.class_origin import is_notebooks
from respawn_kernels.rebuild import stable_name

_OWN = {"__traceback__", "__cause__", "__context__", "__suppress_context__", "args", "__dict__"}
_MAX_FRAMES = 200
_HOOKS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def reduce_exception(error: BaseException) -> Any:
    """Return how an exception is made again; NotImplemented when its library has a way of its own."""
    cls = type(error)
    builtin = next(one for one in cls.__mro__ if one.__module__ == "builtins")
    between = cls.__mro__[: cls.__mro__.index(builtin)]
    if any(name in vars(one) for one in between if not is_notebooks(one) for name in _HOOKS):
        return NotImplemented
    fields = {}
    for one in builtin.__mro__:
        for name, slot in vars(one).items():
            if name not in _OWN and isinstance(slot, GetSetDescriptorType | MemberDescriptorType):
                try:
                    fields[name] = slot.__get__(error)
                except AttributeError:
                    continue
    links = error.__cause__, error.__context__, error.__suppress_context__
    inside = dict(vars(error)) if hasattr(error, "__dict__") else {}
    state = error.args, fields, links, inside, _frames(error.__traceback__)
    first = error.args if issubclass(builtin, BaseExceptionGroup) else ()
    return make_exception, (cls, builtin, first), state, None, None, fill_exception


@stable_name
def make_exception(cls: type, builtin: Any, first: tuple[Any, ...]) -> BaseException:
    """Return an exception without its content.

    Args:
        cls: its class.
        builtin: the built-in exception among the bases of the class, whose `__new__` makes it.
        first: arguments of that: message and exceptions of a group (PEP 654), empty for all others.
    """
    made: BaseException = builtin.__new__(cls, *first)
    return made


@stable_name
def fill_exception(error: BaseException, state: tuple[Any, ...]) -> None:
    """Set the arguments, fields, links, attributes and traceback of an exception."""
    arguments, fields, (cause, context, suppress), inside, trace = state
    error.args = arguments
    for name, value in fields.items():
        slot = next(vars(one)[name] for one in type(error).__mro__ if name in vars(one))
        try:
            if slot.__get__(error) is not value:
                slot.__set__(error, value)
        except (AttributeError, TypeError):
            continue  # it cannot be set: it is made of the arguments
    error.__cause__, error.__context__ = cause, context
    error.__suppress_context__ = suppress
    vars(error).update(inside)
    error.__traceback__ = _traceback_of(trace)


def _frames(trace: types.TracebackType | None) -> list[tuple[str, str, int, str]]:
    """Return file, function, line and its text for each frame of a traceback."""
    found: list[tuple[str, str, int, str]] = []
    while trace is not None and len(found) < _MAX_FRAMES:
        code, space = trace.tb_frame.f_code, trace.tb_frame.f_globals
        text = linecache.getline(code.co_filename, trace.tb_lineno, space)
        found.append((code.co_filename, code.co_qualname, trace.tb_lineno, text))
        trace = trace.tb_next
    return found


def _traceback_of(frames: list[tuple[str, str, int, str]]) -> types.TracebackType | None:
    """Return a traceback of stand-ins."""
    trace = None
    for file, name, line, text in reversed(frames):
        if text and not Path(file).exists():
            _remember_line(file, line, text)
        frame = _frame_of(file, name, line)
        trace = types.TracebackType(trace, frame, 0, line)
    return trace


def _remember_line(file: str, line: int, text: str) -> None:
    known = linecache.cache.get(file)
    if known is not None and (len(known) == 1 or len(known[2]) >= line):
        return  # it is there, or its loader knows
    lines = [*(known[2] if known is not None else ()), *["\n"] * line][:line]
    lines[line - 1] = text
    linecache.cache[file] = (sum(map(len, lines)), None, lines, file)


def _frame_of(file: str, name: str, line: int) -> types.FrameType:
    code: CodeType = _stand_in.__code__
    code = code.replace(
        co_filename=file, co_name=name.rpartition(".")[2], co_qualname=name, co_firstlineno=line
    )
    space: dict[str, Any] = {"__name__": "respawn", "sys": sys}
    frame: types.FrameType = types.FunctionType(code, space)()
    return frame


def _stand_in() -> Any:
    return sys._getframe()
