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

from respawn_kernels.early_objects import put_back_for
from respawn_kernels.evidence import audit_hook
from respawn_kernels.evidence.addresses import texts_with_addresses
from respawn_kernels.evidence.background_work import BackgroundWork
from respawn_kernels.evidence.child_processes import Processes
from respawn_kernels.evidence.executed_code import CodeWatch
from respawn_kernels.evidence.file_events import FileEvents
from respawn_kernels.evidence.frame_events import FrameEvents
from respawn_kernels.evidence.library_reads import Looks
from respawn_kernels.evidence.outside_events import OutsideEvents
from respawn_kernels.evidence.paths import Paths, places
from respawn_kernels.evidence.run_directory import RunDirectory
from respawn_kernels.exchange.cell_evidence import GONE, CellEvidence
from respawn_kernels.namespace import user_names
from respawn_kernels.originals import getpid
from respawn_kernels.session_state import changed_by_imports, fingerprints, note_settings, reaching_notebook

MAX_NAMES = 4_000
MAX_MODULES = 500
MAX_PLACES = 250
MAX_FOUND = 100
_current: CellRecorder | None = None


def watch(shell: Any, spool: Path) -> None:
    """Record the evidence of the cells that `shell` runs from now on in `spool`, instead of an earlier one.

    Args:
        shell: the IPython shell.
        spool: gets a directory `evidence` with a file for each cell, named by its execution count.
    """
    global _current
    leave()
    directory = spool / "evidence"
    directory.mkdir(parents=True, exist_ok=True)
    own = [str(spool), str(getattr(shell, "ipython_dir", spool))]
    _current = CellRecorder(shell, directory, own)
    _current.follow()


def leave() -> None:
    """Record nothing any more, and watch nothing: what a child of the kernel does belongs to no cell."""
    global _current
    audit_hook.stop()
    if _current is not None:
        _current.leave()
        _current = None


def forget_state() -> None:
    """Note that the session's state was restored: no cell changed it."""
    if _current is not None:
        _current.forget_state()


class CellRecorder:
    """What is remembered of a kernel from cell to cell.

    Args:
        shell: the IPython shell.
        directory: gets a file for each cell, named by its execution count.
        own: absolute paths of directories of ours, which are not recorded.
    """

    def __init__(self, shell: Any, directory: Path, own: list[str]) -> None:
        self._shell = shell
        self._directory = directory
        self._process = getpid()
        self._files = FileEvents()
        self._looks = Looks(self._files.look)
        self._code = CodeWatch(shell.user_ns, self._looks.by_module())
        self._frames = FrameEvents(shell.user_ns)
        run = os.getcwd()  # noqa: PTH109  as text, like all paths here
        self._paths = Paths(run, own)
        self._run_directory = RunDirectory(run, self._paths.kept)
        self._started = Processes(lambda paths: self._run_directory.know(self._kept(set(paths))))
        self._outside = OutsideEvents(self._started)
        self._background_work = BackgroundWork(shell)
        self._known: set[str] = set()
        """Files elsewhere that were looked at when the cell began."""
        self._by_python: set[str] = set()
        self._processes = False
        self._state: dict[str, Hashable] | None = None
        """The parts of the session's state as they were after the cell before; None: not known."""
        self._names: dict[str, int] = {}
        """The user's names when the cell began, and which objects they stood for."""
        self._running: list[Any] = []
        """IPython's info on each cell that runs: more than one when a cell runs cells."""
        self._request = ""
        self._failed: str | None = None
        self._handlers = {
            **self._files.handlers(),
            **self._frames.handlers(),
            **self._outside.handlers(),
        }

    def follow(self) -> None:
        """Register with IPython, to be called when cells begin and end."""
        events = self._shell.events
        events.register("pre_run_cell", self._before)
        events.register("post_run_cell", self._after)

    def forget_state(self) -> None:
        """Compare the session's state after the next cell with what it is at that cell's beginning."""
        self._state = None

    def leave(self) -> None:
        """Register no longer, and stop watching code."""
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
            self._begin(str(getattr(info, "raw_cell", "")))
        except Exception as error:  # noqa: BLE001  a cell never fails because of its evidence
            self._failed = _text(error)

    def _begin(self, source: str) -> None:
        put_back_for(source)
        self._come_last()
        for part in (self._files, self._frames, self._outside, self._looks):
            part.clear()
        if self._state is None:
            self._state = fingerprints()
        self._run_directory.begin()
        self._known = self._run_directory.known
        self._started.begin(source)
        self._names = self._bindings()
        self._code.start_cell()
        audit_hook.listen(self._handlers)

    def _come_last(self) -> None:
        """Be called at a cell's end after the notebook's own callbacks."""
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
            return  # an empty cell, for which IPython calls nothing at its beginning
        while self._running and self._running.pop() is not info and info in self._running:
            continue
        if self._running:
            return
        audit_hook.stop()
        if getpid() != self._process:
            return
        count = getattr(result, "execution_count", None) or self._shell.execution_count - 1
        try:
            record = self._record(count, finished=bool(getattr(result, "success", False)))
        # Nor does a cell that has ended; an interrupt comes too late for it.
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
            record = CellEvidence(unwatched=f"it could not be recorded: {_text(error)}", overflow=True)
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
            found=self._found(written),
            files_unwatched=self._run_directory.why_not,
            addresses=_bounded(self._addresses(bound)),
            outside=_bounded(self._outside.seen()),
            background_work=tuple(self._background_work.names(processes=self._processes)),
            overflow=self._files.overflow or any(len(names) > MAX_NAMES for names in sets),
        )

    def _opened_and_written(self) -> tuple[set[str], set[str]]:
        opened = self._kept(self._files.opened)
        counted = {path for path in self._files.written if self._paths.is_written(path)}
        by_python, changed = self._kept(counted), self._run_directory.changes()
        # A database that was only asked is as it was; one that nobody had looked at before may have changed.
        maybe = self._kept(self._files.maybe_written)
        by_python |= {path for path in maybe if self._run_directory.found(path) is None}
        written, self._by_python = by_python | changed, by_python
        if "process" in self._outside.seen():
            others = changed - by_python
            there = {path for path in others if self._run_directory.found(path) not in (GONE, None)}
            opened |= self._started.needed(others, there)
        passing = self._paths.passing(opened, written) - self._run_directory.known
        opened, written = opened - passing, written - passing
        self._run_directory.know(sorted(opened | written))
        return places(opened, MAX_PLACES), places(written, MAX_PLACES)

    def _found(self, written: set[str]) -> tuple[tuple[str, int, int], ...]:
        """Return how the cell found files that it changed."""
        # What Python wrote before a command named it was first looked at when it was written.
        late = self._by_python & (self._run_directory.known - self._known)
        some = (path for path in sorted(written)[:MAX_FOUND] if path not in late)
        found = {path: self._run_directory.found(path) for path in some}
        return tuple((path, *one) for path, one in found.items() if one is not None)

    def _addresses(self, bound: set[str]) -> set[str]:
        """Return the results of the cell that hold addresses of objects."""
        return self._code.hashes.found | set(texts_with_addresses(sorted(bound), self._shell.user_ns))

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
