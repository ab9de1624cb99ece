"""Which code objects run in a cell, seen by `sys.monitoring` (PEP 669, Python 3.12 and later).

One event for each code object and cell: every event is disabled at its first, and all are enabled again when
the next cell starts. It watches all code and finds its owner by the globals of the frame, so it sees lambdas
that a library calls, code that `exec`, a dataclass or a restored function brought, and copies that
`code.replace()` made.

What runs while another tool's own function runs (a trace function, an audit hook) is not seen, nor is what is
not Python code: compiled functions, and functions that a library such as Numba compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import CodeType
from typing import Any

from respawn_kernels.evidence.addresses import HashCalls
from respawn_kernels.evidence.audit_hook import current_frame
from respawn_kernels.evidence.code_names import CodeNames, is_module_level, names_of, reaches_notebook
from respawn_kernels.evidence.code_owner import is_library_file, is_machinery, is_stateless, serves_both

_NAME = "respawn"
_TOOLS = (4, 3, 5)
"""Debuggers (0), coverage (1), profilers (2) and optimizers (5) have numbers of their own (PEP 669); a tool
that looks for a free one takes 3 first."""
_MAX_UNSORTED = 5_000
_MAX_DEPTH = 50
_monitoring: Any = getattr(sys, "monitoring", None)

Look = Callable[[CodeType, Any], bool]
"""Called with a code object that starts and its frame; returns whether to be called again in this cell."""


class CodeWatch:
    """The code objects that ran since the last `start_cell`, by their owners.

    Args:
        namespace: the notebook's globals.
        looks: by module, what is called when one of its functions starts.
    """

    def __init__(self, namespace: dict[str, Any], looks: Mapping[str, Look]) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.everything = False
        """Whether code ran that reaches the namespace as a whole."""
        self.libraries: set[str] = set()
        self._namespace = namespace
        self._looks = looks
        self._files: dict[str, str] = {}
        """Modules by the names of their files, where all code of the file is a library's."""
        self._ran_files: set[str] = set()
        self._ran: list[CodeType] = []
        self._beside: dict[int, CodeType] = {}
        """Code of modules that lie beside the notebook, by its address: some events come each time."""
        self._cell: frozenset[str] = frozenset()
        self._names: dict[int, tuple[CodeType, CodeNames]] = {}
        self._failed: str | None = None
        self._callbacks: dict[int, Any] = {}
        self.hashes = HashCalls(getattr(_monitoring, "DISABLE", None))
        self._tool, self._why_not = self._take_tool()

    def start_cell(self) -> None:
        """Forget what ran, and watch what runs from now on."""
        self.reads, self.writes, self.libraries, self.everything = set(), set(), set(), False
        self._ran_files.clear()
        self._ran.clear()
        self._beside.clear()
        self.hashes.found.clear()
        self._failed = None
        if self._tool is not None:
            # Other tools' disabled events come again too, as each tool must expect; there is no other way to
            # have the events of code whose objects are not at hand.
            _monitoring.set_events(self._tool, sum(self._callbacks))
            _monitoring.restart_events()

    def end_cell(self, cell_files: frozenset[str]) -> str | None:
        """Stop watching; `reads`, `writes`, `everything` and `libraries` have what ran from now on.

        Args:
            cell_files: the file names of the cell's own code, which is not counted.

        Returns:
            Why the code that ran could not be watched; None when it was.
        """
        if self._tool is None:
            return self._why_not
        disturbed = self._who_disturbed()
        _monitoring.set_events(self._tool, 0)
        self._cell = cell_files
        self._sort()
        # Copies: this very code is watched too, and so are other threads.
        found = self.libraries.copy()
        found.update(map(self._files.__getitem__, self._ran_files.copy()))
        self.libraries = {name for name in found if not is_machinery(name) and not is_stateless(name)}
        return self._failed or disturbed

    def leave(self) -> None:
        """Watch no more."""
        if self._tool is not None and _monitoring.get_tool(self._tool) == _NAME:
            _monitoring.set_events(self._tool, 0)
            for event in (*self._callbacks, _monitoring.events.CALL):
                _monitoring.register_callback(self._tool, event, None)
            _monitoring.free_tool_id(self._tool)
        self._tool, self._why_not = None, "it is not watched any more"

    def _take_tool(self) -> tuple[int | None, str | None]:
        if _monitoring is None:
            version = ".".join(map(str, sys.version_info[:2]))
            return None, f"Python {version} cannot tell which code runs; 3.12 and later can"
        for tool in _TOOLS:
            with suppress(ValueError):
                _monitoring.use_tool_id(tool, _NAME)
                self._listen(tool)
                return tool, None
        return None, "other tools hold all numbers of sys.monitoring that are free to use"

    def _listen(self, tool: int) -> None:
        events = _monitoring.events
        ran, thrown = self._on_start(), self._on_throw()
        self._callbacks = {events.PY_START: ran, events.PY_RESUME: ran, events.PY_THROW: thrown}
        for event, callback in self._callbacks.items():
            _monitoring.register_callback(tool, event, callback)
        # This event is enabled only for code that names `hash`; see `_other`.
        _monitoring.register_callback(tool, events.CALL, self.hashes.callback())

    def _on_start(self) -> Callable[[CodeType, int], Any]:
        files, ran_files, other, disable = self._files, self._ran_files.add, self._other, _monitoring.DISABLE

        # Nothing is caught here: what a signal's handler raises meanwhile is the notebook's.
        def started(code: CodeType, _offset: int) -> Any:
            name = code.co_filename
            if name in files:
                ran_files(name)
            elif other(code):
                return None
            return disable

        return started

    def _on_throw(self) -> Callable[[CodeType, int, BaseException], None]:
        def thrown(code: CodeType, _offset: int, _error: BaseException) -> None:
            if code.co_filename in self._files:
                self._ran_files.add(code.co_filename)
            else:
                self._other(code)  # this event cannot be disabled

        return thrown

    def _other(self, code: CodeType) -> bool:
        """Note code by its owner that is not known to be a library's; return whether to be called again."""
        frame: Any = current_frame().f_back.f_back
        scope = frame.f_globals
        module = scope.get("__name__")
        if type(module) is not str and scope is not self._namespace:
            return False  # text that was executed with a namespace of its own
        if scope is self._namespace or module == "__main__":
            self._ran.append(code)
            if "hash" in code.co_names and self._tool is not None:
                _monitoring.set_local_events(self._tool, code, _monitoring.events.CALL)
            if len(self._ran) > _MAX_UNSORTED:
                self._sort()
            return False
        look = self._looks.get(module)
        if look is not None:
            self.libraries.add(module)
            return look(code, frame)
        by_caller = serves_both(module, code.co_filename)
        if by_caller and _serves_machinery(frame):
            return True  # the notebook may call it yet
        if is_library_file(code.co_filename):
            if not by_caller:
                self._files[code.co_filename] = module
        elif not is_machinery(module):
            self._beside[id(code)] = code
        if module in sys.modules:  # named tuples and their like bring names of their own
            self.libraries.add(module)
        return False

    def _sort(self) -> None:
        """Note what the notebook's code that ran may read and bind."""
        # Race: threads append meanwhile; only what was copied is deleted.
        ran = self._ran[:]
        del self._ran[: len(ran)]
        try:
            self.everything |= any(map(_reaches_notebook, list(self._beside.values())))
            for code in {id(code): code for code in ran}.values():
                self._count(code)
        except Exception as error:  # noqa: BLE001  it never fails a cell; the record says that it failed
            self._failed = f"{type(error).__name__}: {error}"

    def _count(self, code: CodeType) -> None:
        if code.co_filename in self._cell and is_module_level(code):
            return
        if id(code) not in self._names:
            if len(self._names) > _MAX_UNSORTED:
                self._names.clear()
            self._names[id(code)] = code, names_of(code)
        _, names = self._names[id(code)]
        self.reads |= names.reads
        self.writes |= names.writes
        self.everything |= names.everything

    def _who_disturbed(self) -> str | None:
        if _monitoring.get_tool(self._tool) != _NAME:
            return f"another tool took number {self._tool} of sys.monitoring"
        for event, callback in self._callbacks.items():
            if _monitoring.register_callback(self._tool, event, callback) is not callback:
                return f"another tool took events of number {self._tool} of sys.monitoring"
        if _monitoring.get_events(self._tool) != sum(self._callbacks):
            return f"another tool turned off events of number {self._tool} of sys.monitoring"
        return None


def _reaches_notebook(code: CodeType) -> bool:
    # `if __name__ == "__main__"` at the end of a module looks at nothing.
    return reaches_notebook(code) and not (is_module_level(code) and "__name__" in code.co_names)


def _serves_machinery(frame: Any) -> bool:
    """Whether code runs for what runs cells, such as IPython, and not for the notebook."""
    for _ in range(_MAX_DEPTH):
        frame = frame.f_back
        if (
            frame is None
        ):  # a thread that runs nothing but Python's own library, as no thread of IPython's does
            return False
        module = str(frame.f_globals.get("__name__"))
        if not serves_both(module, frame.f_code.co_filename) and not is_stateless(module):
            return is_machinery(module)
    return False
