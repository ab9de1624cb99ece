"""Who looked into frames, where the variables of the notebook can be seen by name.

`sys._getframe` says so by an audit event. It counts when the frame is the notebook's, or leads to one by
`f_back`. Many callers want nothing but the name of a module or a line number; they are listed here. Everybody
else is taken to read every variable.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

from respawn_kernels.early_objects import put_back
from respawn_kernels.evidence.audit_hook import Handler, current_frame
from respawn_kernels.evidence.code_owner import is_machinery

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
        *(
            "aiohttp",
            "attr",
            "attrs",
            "bokeh",
            "distributed",
            "ipywidgets",
            "matplotlib",
            "narwhals",
            "scipy",
        ),
        *("six", "sqlalchemy", "tqdm"),
    }
)
"""Packages that look for the name of a module, or for a place in a file."""
_HARMLESS_FUNCTIONS = {
    # They ask whether the caller knows an object, by identity, and what instruction it is at.
    "pandas.core.common": {"is_local_in_caller_frame", "is_setitem_syntax_in_caller_frame"},
    "pandas.util._exceptions": {"find_stack_level"},
    "polars._utils.various": {"find_stacklevel"},
    "polars._warnings": {"_find_stacklevel", "find_stacklevel", "issue_warning"},
    "polars.functions.col": {"__getattr__"},
    # Annotations are resolved there by evaluating their text, which is seen or stands in the cell.
    "pydantic._internal._typing_extra": {"parent_frame_namespace"},
    "pydantic._internal._generics": {"_get_caller_frame_info"},
    "pydantic._internal._docs_extraction": {"_extract_source_from_frame"},
    "pydantic.main": {"create_model"},
    "xarray.core.utils": {"find_stack_level"},
    "xarray.util.deprecation_helpers": {"find_stack_level"},
}
"""Functions that do, in packages of which others read variables."""
_IPYTHON = "IPython.core.interactiveshell"
_THROUGH = {("inspect", "currentframe"), ("inspect", "stack"), ("inspect", "getouterframes")}
"""Functions that look for their callers."""
_IMPORTS = ("importlib._bootstrap", "_frozen_importlib")
_MAX_DEPTH = 500
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
    """Who looked into frames in one cell.

    Args:
        namespace: the notebook's globals.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.lookers: set[str] = set()
        self.unpickled: set[str] = set()
        """Names of the notebook's that something unpickled refers to."""
        self._namespace = namespace

    def clear(self) -> None:
        """Forget them."""
        self.lookers, self.unpickled = set(), set()

    def handlers(self) -> dict[str, Handler]:
        """Return what to call for which event."""
        others = {event: self._adder(name) for event, name in _EVERYTHING.items()}
        return {**others, "sys._getframe": self._getframe, "pickle.find_class": self._find_class}

    def _getframe(self, arguments: tuple[Any, ...]) -> None:
        caller = _caller()
        if caller is None or not arguments or type(arguments[0]) is not FrameType:
            return
        module = caller.f_globals.get("__name__")
        if type(module) is not str:
            module = "__main__"
        if module.partition(".")[0] in _HARMLESS or module in self.lookers:
            return
        if caller.f_code.co_name in _HARMLESS_FUNCTIONS.get(module, ()):
            return
        if is_machinery(module) and (module != _IPYTHON or not _ipython_looks(caller)):
            return
        if self._leads_to_notebook(arguments[0]):
            self.lookers.add(module)

    def _leads_to_notebook(self, frame: FrameType | None) -> bool:
        for _ in range(_MAX_DEPTH):
            if frame is None:
                return False
            if frame.f_globals is self._namespace:
                return True
            if str(frame.f_globals.get("__name__")).startswith(_IMPORTS):
                return False  # a module that is being imported looks for itself, not for who imports it
            frame = frame.f_back
        return True

    def _find_class(self, arguments: tuple[Any, ...]) -> None:
        if len(arguments) == 2 and arguments[0] == "__main__" and type(arguments[1]) is str:
            self.unpickled.add(arguments[1].partition(".")[0])

    def _adder(self, name: str) -> Handler:
        def add(_arguments: tuple[Any, ...]) -> None:
            self.lookers.add(name)
            if name == "gc":
                put_back()  # the event comes before the collector looks

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
