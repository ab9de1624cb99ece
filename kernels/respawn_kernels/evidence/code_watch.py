"""Which code objects run in a cell, seen by `sys.monitoring` (Python 3.12 and later).

One event for each code object and cell: every event is disabled at its first, and all are enabled again when
the next cell starts. It sees lambdas that a library calls, code that `exec` or a restored function brought,
and copies that `code.replace()` made, for it watches all code and tells afterwards whose it is.

What runs while another tool's own function runs (a trace function, an audit hook) is not seen, nor is what is
not Python code: compiled functions, and functions that a library such as Numba compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import Any

from respawn_kernels.evidence.code_names import Names, is_module_level, names_of
from respawn_kernels.evidence.module_names import ModuleNames, is_machinery

_NAME = "respawn"
_TOOLS = (3, 4, 5)
"""Debuggers (0), coverage (1) and profilers (2) have numbers of their own; 5 is for optimizers."""
_MAX_UNSORTED = 5_000
_monitoring: Any = getattr(sys, "monitoring", None)


class CodeWatch:
    """The code objects that ran since the last `start_cell`, by whose they are."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.libraries: set[str] = set()
        self._modules = ModuleNames()
        self._files: set[str] = set()
        """Names of files that are known to be libraries'."""
        self._ran_files: set[str] = set()
        self._ran: list[CodeType] = []
        self._cell = ""
        self._names: dict[int, tuple[CodeType, Names]] = {}
        self._failed: str | None = None
        self._callbacks: dict[int, Any] = {}
        self._tool, self._why_not = self._take_tool()

    def start_cell(self) -> None:
        """Forget what ran, and watch what runs from now on."""
        self.reads, self.writes, self.libraries = set(), set(), set()
        self._ran_files.clear()
        self._ran.clear()
        self._failed = None
        if self._tool is not None:
            # Other tools' disabled events come again too, as each tool must expect; there is no other way to
            # have the events of code whose objects are not at hand.
            _monitoring.restart_events()

    def end_cell(self, cell_file: str) -> str | None:
        """Sort what ran into `reads`, `writes` and `libraries`.

        Args:
            cell_file: the file name of the cell's own code, which is not counted.

        Returns:
            Why the code that ran could not be watched; None when it was.
        """
        if self._tool is None:
            return self._why_not
        self._cell = cell_file
        self._sort()
        found = (self._modules.of(name) for name in self._ran_files)
        self.libraries |= {name for name in found if name is not None and not is_machinery(name)}
        return self._failed or self._who_disturbed()

    def leave(self) -> None:
        """Watch no more."""
        if self._tool is not None and _monitoring.get_tool(self._tool) == _NAME:
            _monitoring.set_events(self._tool, 0)
            for event in self._callbacks:
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
        _monitoring.set_events(tool, sum(self._callbacks))

    def _on_start(self) -> Callable[[CodeType, int], Any]:
        files, ran_files, ran = self._files, self._ran_files.add, self._ran
        append, disable = ran.append, _monitoring.DISABLE

        # Nothing is caught here: what a signal's handler raises meanwhile is the notebook's.
        def started(code: CodeType, _offset: int) -> Any:
            name = code.co_filename
            if name in files:
                ran_files(name)
            else:
                append(code)
                if len(ran) > _MAX_UNSORTED:
                    self._sort()
            return disable

        return started

    def _on_throw(self) -> Callable[[CodeType, int, BaseException], None]:
        started = self._on_start()

        def thrown(code: CodeType, offset: int, _error: BaseException) -> None:
            started(code, offset)  # this event cannot be disabled

        return thrown

    def _sort(self) -> None:
        """Tell whose the code is that ran and whose file was not known."""
        ran = self._ran[:]
        del self._ran[: len(ran)]
        try:
            for code in {id(code): code for code in ran}.values():
                if self._modules.of(code.co_filename) is None:
                    self._count(code)
                else:
                    self._files.add(code.co_filename)
                    self._ran_files.add(code.co_filename)
        except Exception as error:  # noqa: BLE001  it never fails a cell; the record says that it failed
            self._failed = f"{type(error).__name__}: {error}"

    def _count(self, code: CodeType) -> None:
        if code.co_filename == self._cell and is_module_level(code):
            return
        if id(code) not in self._names:
            if len(self._names) > _MAX_UNSORTED:
                self._names.clear()
            self._names[id(code)] = code, names_of(code)
        _, names = self._names[id(code)]
        self.reads |= names.reads
        self.writes |= names.writes

    def _who_disturbed(self) -> str | None:
        if _monitoring.get_tool(self._tool) != _NAME:
            return f"another tool took number {self._tool} of sys.monitoring"
        for event, callback in self._callbacks.items():
            if _monitoring.register_callback(self._tool, event, callback) is not callback:
                return f"another tool took events of number {self._tool} of sys.monitoring"
        if _monitoring.get_events(self._tool) != sum(self._callbacks):
            return f"another tool turned off events of number {self._tool} of sys.monitoring"
        return None
