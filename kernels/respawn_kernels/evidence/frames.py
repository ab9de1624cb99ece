"""Who looked into frames, where the variables of the notebook can be seen by name.

`sys._getframe` says so by an audit event. Many callers want nothing but the name of a module or a line
number; they are listed here. Everybody else is taken to read every variable.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

from respawn_kernels.evidence.audit import Handler, current_frame
from respawn_kernels.evidence.libraries import is_machinery

_HARMLESS = frozenset(
    {
        *(
            "abc",
            "asyncio",
            "collections",
            "concurrent",
            "dataclasses",
            "enum",
            "importlib",
            "logging",
            "optparse",
        ),
        *(
            "threading",
            "traceback",
            "tracemalloc",
            "types",
            "typing",
            "typing_extensions",
            "unittest",
            "warnings",
        ),
        *("attr", "attrs", "six", "tqdm"),
    }
)
"""Packages that look for the name of a module or for a place in a file."""
_HARMLESS_FUNCTIONS = frozenset(
    {
        ("pandas.util._exceptions", "find_stack_level"),
        ("polars._utils.various", "find_stacklevel"),
        ("matplotlib._api", "warn_external"),
        ("xarray.core.utils", "find_stack_level"),
        ("xarray.util.deprecation_helpers", "find_stack_level"),
    }
)
"""Functions that do, in packages of which others read variables."""
_IPYTHON = "IPython.core.interactiveshell"
_THROUGH = {("inspect", "currentframe"), ("inspect", "stack"), ("inspect", "getouterframes")}
"""Functions that look for their callers."""
_EVERYTHING = {
    "gc.get_objects": "gc",
    "gc.get_referrers": "gc",
    "gc.get_referents": "gc",
    "sys._current_frames": "sys._current_frames",
    "sys.settrace": "sys.settrace",
    "sys.setprofile": "sys.setprofile",
}
"""Other events after which code sees every variable, and what it is called in the record."""


class FrameEvents:
    """Who looked into frames in one cell."""

    def __init__(self) -> None:
        self.lookers: set[str] = set()
        self.unpickled: set[str] = set()
        """Names of the notebook's that something unpickled refers to."""

    def clear(self) -> None:
        """Forget them."""
        self.lookers, self.unpickled = set(), set()

    def handlers(self) -> dict[str, Handler]:
        """Return what to call for which event."""
        others = {event: self._adder(name) for event, name in _EVERYTHING.items()}
        return {**others, "sys._getframe": self._getframe, "pickle.find_class": self._find_class}

    def _getframe(self, _arguments: tuple[Any, ...]) -> None:
        caller = _caller()
        if caller is None:
            return
        module = caller.f_globals.get("__name__")
        if type(module) is not str:
            module = "__main__"
        if module.partition(".")[0] in _HARMLESS or (module, caller.f_code.co_name) in _HARMLESS_FUNCTIONS:
            return
        if module == _IPYTHON and not _ipython_looks(caller):
            return
        if module != _IPYTHON and is_machinery(module):
            return
        self.lookers.add(module)

    def _find_class(self, arguments: tuple[Any, ...]) -> None:
        if len(arguments) == 2 and arguments[0] == "__main__" and type(arguments[1]) is str:
            self.unpickled.add(arguments[1].partition(".")[0])

    def _adder(self, name: str) -> Handler:
        def add(_arguments: tuple[Any, ...]) -> None:
            self.lookers.add(name)

        return add


def _caller() -> FrameType | None:
    """Return the frame of the function that asked for a frame; called by a handler."""
    frame: FrameType | None = current_frame().f_back.f_back.f_back  # this function, the handler, the hook
    while frame is not None and (frame.f_globals.get("__name__"), frame.f_code.co_name) in _THROUGH:
        frame = frame.f_back
    return frame


def _ipython_looks(frame: FrameType) -> bool:
    """Whether IPython itself looks up variables: in the text of a magic line, or for somebody else's magic.

    What its own magics execute is code that is seen as such.
    """
    name = frame.f_code.co_name
    if name == "var_expand":
        text = frame.f_locals.get("cmd")
        return type(text) is not str or "$" in text or "{" in text
    if name == "get_local_scope" and frame.f_back is not None:
        magic = frame.f_back.f_locals.get("fn")
        return not str(getattr(magic, "__module__", "")).startswith("IPython.")
    return name not in ("safe_execfile", "run_line_magic", "run_cell_magic")
