"""Records the evidence of each cell that a kernel runs, in the spool, before the request is answered.

It never fails a cell: what goes wrong here ends as a record that says so. It leaves nothing in the user's
namespace. A process that the notebook forks records nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Any

from respawn_kernels.evidence import audit
from respawn_kernels.evidence.code_watch import CodeWatch
from respawn_kernels.evidence.files import FileEvents
from respawn_kernels.evidence.frames import FrameEvents
from respawn_kernels.evidence.going_on import GoingOn
from respawn_kernels.evidence.looks import Looks
from respawn_kernels.evidence.outside import OutsideEvents
from respawn_kernels.evidence.paths import Paths, places
from respawn_kernels.evidence.record import CellEvidence
from respawn_kernels.evidence.run_directory import RunDirectory
from respawn_kernels.names import user_names
from respawn_kernels.originals import getpid
from respawn_kernels.session_state import changed_by_imports, fingerprints, note_settings, reaching_notebook

MAX_NAMES = 4_000
MAX_MODULES = 500
MAX_PLACES = 250
_current: Watch | None = None


def watch(shell: Any, spool: Path) -> None:
    """Record the evidence of the cells that `shell` runs from now on in `spool`; of one kernel, one watch.

    Args:
        shell: IPython's shell.
        spool: gets a directory `evidence` with a file for each cell, named by its execution count.
    """
    global _current
    leave()
    directory = spool / "evidence"
    directory.mkdir(parents=True, exist_ok=True)
    own = [str(spool), str(getattr(shell, "ipython_dir", spool))]
    _current = Watch(shell, directory, own)
    _current.follow()


def leave() -> None:
    """Record nothing any more, and see nothing: what a child of the kernel does is nobody's cell."""
    global _current
    audit.stop()
    if _current is not None:
        _current.leave()
        _current = None


def forget_state() -> None:
    """Note that the session's state was restored: no cell changed it."""
    if _current is not None:
        _current.forget_state()


class Watch:
    """What is remembered of a kernel from cell to cell."""

    def __init__(self, shell: Any, directory: Path, own: list[str]) -> None:
        self._shell = shell
        self._directory = directory
        self._process = getpid()
        self._files = FileEvents()
        self._looks = Looks(self._files.look)
        self._code = CodeWatch(shell.user_ns, self._looks.by_module())
        self._frames = FrameEvents(shell.user_ns)
        self._outside = OutsideEvents()
        run = os.getcwd()  # noqa: PTH109  as text, like all paths here
        self._paths = Paths(run, own)
        self._run_directory = RunDirectory(run, self._paths.kept)
        self._going_on = GoingOn(shell)
        self._processes = False
        self._state: dict[str, Hashable] | None = None
        """The parts of the session's state as they were after the cell before; None: not known."""
        self._names: dict[str, int] = {}
        """The user's names when the cell began, and which objects they stood for."""
        self._running: list[Any] = []
        """IPython's word on each cell that runs: more than one when a cell runs cells."""
        self._request = ""
        self._failed: str | None = None
        self._handlers = {
            **self._files.handlers(),
            **self._frames.handlers(),
            **self._outside.handlers(),
        }

    def follow(self) -> None:
        """Have IPython tell when cells begin and end."""
        events = self._shell.events
        events.register("pre_run_cell", self._before)
        events.register("post_run_cell", self._after)

    def forget_state(self) -> None:
        """Compare the session's state with what it will be when the next cell begins."""
        self._state = None

    def leave(self) -> None:
        """Be told no more, and stop watching code."""
        for event, function in (("pre_run_cell", self._before), ("post_run_cell", self._after)):
            with suppress(ValueError):  # the notebook removed it
                self._shell.events.unregister(event, function)
        self._code.leave()

    def _before(self, info: Any) -> None:
        request = _request_of(self._shell)
        if self._running and request == self._request:  # a cell that runs cells
            self._running.append(info)
            return
        self._running, self._request, self._failed = [info], request, None
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001  a cell never fails because of its evidence
            self._failed = _text(error)

    def _begin(self) -> None:
        self._come_last()
        for part in (self._files, self._frames, self._outside, self._looks):
            part.clear()
        if self._state is None:
            self._state = fingerprints()
        self._run_directory.begin()
        self._names = self._bindings()
        self._code.start_cell()
        audit.listen(self._handlers)

    def _come_last(self) -> None:
        """Be told of a cell's end after the notebook's own callbacks were."""
        events = self._shell.events
        if events.callbacks["post_run_cell"][-1:] != [self._after]:
            with suppress(ValueError):
                events.unregister("post_run_cell", self._after)
            events.register("post_run_cell", self._after)

    def _after(self, result: Any) -> None:
        info = getattr(result, "info", None)
        if not self._running or (
            info is not self._running[-1] and not str(getattr(info, "raw_cell", "-")).strip()
        ):
            return  # an empty cell, of whose begin IPython does not tell
        while self._running and self._running.pop() is not info and info in self._running:
            continue
        if self._running:
            return
        audit.stop()
        if getpid() != self._process:
            return
        count = getattr(result, "execution_count", None) or self._shell.execution_count - 1
        try:
            record = self._record(count, finished=bool(getattr(result, "success", False)))
        # Nor does a cell that has ended; an interrupt comes too late for it.
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
            record = CellEvidence(unwatched=f"it could not be told: {_text(error)}", overflow=True)
        if self._failed is not None:
            record = CellEvidence(unwatched=f"it could not be watched: {self._failed}", overflow=True)
        # Not by way of a temporary file: nobody reads it before the request is answered, and whoever finds a
        # part of it (the disk is full) takes the cell for unwatched.
        with suppress(OSError, KeyboardInterrupt):
            (self._directory / f"{count}.json").write_bytes(record.to_json().encode())

    def _record(self, count: int, *, finished: bool) -> CellEvidence:
        unwatched = self._code.end_cell(_files_of_cell(self._shell, count))
        before = self._state or {}
        changed = self._changed()
        by_import = changed & changed_by_imports()
        settings = self._settings(count, before, changed - by_import) if finished else set()
        self._processes |= "process" in self._outside.seen()
        opened, written = self._opened_and_written()
        reads = self._code.reads | self._frames.unpickled
        # Text given to `exec` with a namespace of its own binds names, too, but not the notebook's.
        writes = self._code.writes & {*self._names, *self._shell.user_ns}
        whole = {"__main__"} if self._code.everything else set()
        if unwatched is not None:  # any of its functions may have run
            whole |= reaching_notebook()
        bound = self._bound()
        sets = (reads, writes, bound, opened, written)
        return CellEvidence(
            unwatched=unwatched,
            reads=_bounded(reads),
            writes=_bounded(writes),
            bound=_bounded(bound),
            libraries=_packages(self._code.libraries),
            frames=_bounded(self._frames.lookers | self._looks.readers | whole),
            changed=_bounded(changed),
            by_import=_bounded(by_import),
            settings=_bounded(settings),
            opened=_bounded(opened),
            written=_bounded(written),
            files_unwatched=self._run_directory.why_not,
            outside=_bounded(self._outside.seen()),
            going_on=tuple(self._going_on.names(processes=self._processes)),
            overflow=self._files.overflow or any(len(names) > MAX_NAMES for names in sets),
        )

    def _opened_and_written(self) -> tuple[set[str], set[str]]:
        opened = self._kept(self._files.opened)
        counted = {path for path in self._files.written if self._paths.is_written(path)}
        written = self._kept(counted) | self._run_directory.changes()
        passing = self._paths.passing(opened, written) - self._run_directory.known
        opened, written = opened - passing, written - passing
        self._run_directory.know(sorted(opened | written))
        return places(opened, MAX_PLACES), places(written, MAX_PLACES)

    def _bindings(self) -> dict[str, int]:
        namespace = self._shell.user_ns
        return {name: id(namespace[name]) for name in user_names(namespace)}

    def _bound(self) -> set[str]:
        """Return the names that stand for another object than they did."""
        before, after = self._names, self._bindings()
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    def _changed(self) -> set[str]:
        """Return the parts of the session's state that differ from what they were."""
        before, after = self._state or {}, fingerprints()
        self._state = after
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    def _settings(self, count: int, before: dict[str, Hashable], changed: set[str]) -> set[str]:
        """Return what the cell set in libraries that is not among the session's state."""
        inputs: list[str] = getattr(self._shell.history_manager, "input_hist_parsed", [])
        if not 0 < count < len(inputs):
            return set()
        return note_settings(inputs[count], self._shell.user_ns, before, self._state or {}, changed)

    def _kept(self, paths: set[str]) -> set[str]:
        return {kept for path in paths if (kept := self._paths.kept(path)) is not None}


def _bounded(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names)[:MAX_NAMES])


def _packages(modules: set[str]) -> tuple[str, ...]:
    """Return modules by name, or their packages where there are many: the cell imported large libraries."""
    if len(modules) > MAX_MODULES:
        return tuple(sorted({f"{name.partition('.')[0]}.*" for name in modules}))[:MAX_NAMES]
    return tuple(sorted(modules))


def _request_of(shell: Any) -> str:
    """Return the id of the request that is being answered; empty outside a kernel."""
    parent: Callable[[], Any] | None = getattr(shell, "get_parent", None)
    message = parent() if parent is not None else None
    return str(message.get("header", {}).get("msg_id", "")) if isinstance(message, dict) else ""


def _files_of_cell(shell: Any, count: int) -> frozenset[str]:
    """Return the file names that the code of a cell carries; empty when IPython does not know."""
    known: dict[str, int] = getattr(shell.compile, "_filename_map", {})
    return frozenset(name for name, number in known.items() if number == count)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
