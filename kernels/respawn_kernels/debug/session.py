"""The state of a run in the kernel that debugs it: restored lazily, looked at, saved, compared."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from respawn_kernels import session_state
from respawn_kernels.agent.hidden_cells import Unseen, unseen
from respawn_kernels.artifacts import api
from respawn_kernels.capture.engine import GroupsEngine
from respawn_kernels.cell_code.callbacks import named_by_callbacks
from respawn_kernels.checkpoint.errors import SnapshotError
from respawn_kernels.checkpoint.manifest import Manifest, UnstoredVariable, read_manifest
from respawn_kernels.counting import how_many
from respawn_kernels.debug.diff import Diff, compare
from respawn_kernels.debug.state_table import (
    CHANGED,
    GONE,
    LOADED,
    PENDING,
    RerunCell,
    StateTable,
    columns,
    html_table,
    line,
    missing_row,
)
from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.download_state import DownloadedBlobs, use
from respawn_kernels.exchange.restore_point import RestorePoint, point_directory, run_directory
from respawn_kernels.host.directory import working_directory
from respawn_kernels.introspection.descriptions import type_name
from respawn_kernels.namespace import user_names
from respawn_kernels.originals import strftime
from respawn_kernels.restore.ipython_hooks import LazyShell
from respawn_kernels.restore.restore import RestoredState, StoredState, restore_lazily
from respawn_kernels.restore.unchanged_objects import Unchanged, as_python
from respawn_kernels.sizes import how_large


@dataclass(frozen=True)
class Debugged:
    """What a kernel has restored of a run."""

    point: RestorePoint
    restored: RestoredState | None
    """None when no cell had finished: there is nothing to restore."""
    rerun: list[RerunCell]
    """The cells that ran again, and their errors."""


@dataclass(frozen=True)
class SavedState:
    """A state that was saved beside a run's; to look at."""

    reference: str
    manifest: Manifest

    def __repr__(self) -> str:
        rows = [missing_row(item) for item in self.manifest.unstored]
        table = ["", _NOT_SAVED, *columns([_HEAD, *rows])] if rows else []
        return "\n".join([*self._lines(), *table])

    def _repr_html_(self) -> str:
        rows = [missing_row(item) for item in self.manifest.unstored]
        table = f"<p><strong>{_NOT_SAVED}</strong></p>{html_table(_HEAD, rows)}" if rows else ""
        first, second = self._lines()
        return f"<p>{escape(first)}</p><p>{escape(second)}</p>{table}"

    def _lines(self) -> tuple[str, str]:
        count = len(self.manifest.variables)
        size = how_large(sum(variable.size or 0 for variable in self.manifest.variables))
        return (
            f"Saved {how_many(count, 'variable')}, {size}, as {self.reference}.",
            f"To come back to it, here or in another kernel: %respawn restore {self.reference}",
        )


_NOT_SAVED = "Could not be saved:"
_HEAD = ("Name", "Type", "Why", "Made by")


def unagreed(reference: str) -> list[str]:
    """Return whose code would be loaded without this account's consent. Raises as `restore` does."""
    return _read_point(reference)[1].unagreed


def agree(reference: str) -> None:
    """Note that this account agrees to load what the state's authors have made."""
    directory, point = _read_point(reference)
    point = replace(point, agreed_by=os.getuid())
    write_whole(directory / "restore.json", point.to_json().encode())


def restore(reference: str, shell: Any) -> Debugged:
    """Bring the state of a run back. No cell of the run is executed: see `run_again`.

    Args:
        reference: a run, or a state that was saved beside one (`run@name`).
        shell: the IPython shell.

    Raises:
        SnapshotError: it cannot be read here; nothing was changed.
        FileNotFoundError: it is not on this machine.
        ValueError: that is not the name of one.
    """
    directory, point = _read_point(reference)
    session_state.watch()
    Unseen.of(shell)
    api.attach(run_directory(point.run) / "artifacts", point.run)
    if point.cell is None:
        return Debugged(point, None, [])
    manifest = read_manifest(directory, point.cell)
    _touch(directory)
    restored = _restore(point, manifest, directory, shell)
    shell.execution_count = max(shell.execution_count, manifest.execution_count)
    return Debugged(point, restored, [])


def run_again(held: Debugged, shell: Any) -> Debugged:
    """Run the cells that make what the state does not hold; a person has seen which ones and asked for it.

    Such a cell gives back what could not be stored, and changes nothing that was: the stored variables get
    their values again, and other names that it makes are removed.

    Args:
        held: what the kernel has restored.
        shell: the IPython shell.

    Raises:
        SnapshotError, FileNotFoundError: the state cannot be read here any more.
    """
    before = set(user_names(shell.user_ns))
    after = _unchanged(held, shell)
    with unseen(shell):
        rerun = [_rerun(shell, cell.index, cell.source) for cell in held.point.always]
    if held.point.cell is None or not rerun:
        return replace(held, rerun=rerun)
    directory, point = _read_point(held.point.reference)
    manifest = read_manifest(directory, held.point.cell)
    known = {variable.name for variable in manifest.variables} | {u.name for u in manifest.unstored}
    for name in set(user_names(shell.user_ns)) - before - known:
        del shell.user_ns[name]
    restored = _restore(point, manifest, directory, shell, after)
    # What the cells registered was made while nothing was pending: it would not find what is now.
    restored.lazy.load_through(named_by_callbacks(session_state.capture().values()))
    return Debugged(point, restored, rerun)


def table(held: Debugged, namespace: dict[str, Any], pattern: str | None = None) -> StateTable:
    """Return what a kernel has restored of a run, and what became of it.

    Args:
        held: what it has restored.
        namespace: the live namespace.
        pattern: show only variables whose names match it, such as `df*`; None for all.
    """
    restored = held.restored
    if restored is None:
        return StateTable(held.point, None, held.rerun)
    pending = set(restored.lazy.pending)
    states = {name: _state(name, restored.state, namespace, pending) for name in restored.report.restored}
    return StateTable(held.point, restored.report, held.rerun, states, pattern)


def save(held: Debugged, name: str | None, shell: Any) -> SavedState:
    """Write the session's present state beside the run's, whole; pending variables are loaded for it.

    Args:
        held: what the kernel has restored.
        name: what to call it: letters, digits, `-` and `_`; None for the next free number.
        shell: the IPython shell.

    Raises:
        FileExistsError: there is one of that name.
        ValueError: that cannot be a name.
        OSError: it cannot be written.
    """
    own = run_directory(held.point.run) / "own"
    name = name or _next_number(own)
    reference = f"{held.point.run}@{name}"
    directory = point_directory(reference)
    if (directory / "restore.json").exists():
        raise FileExistsError(f"{reference} is there already: choose another name")
    lost = _load_pending(held)
    cell = held.point.cell if held.point.cell is not None else 0
    for part in (own / "blobs", directory / "manifests"):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (directory / "blobs").is_symlink():  # saving may have been cut short before
        (directory / "blobs").symlink_to(Path("..", "blobs"), target_is_directory=True)
    _share_blobs(held, own / "blobs")
    made = _producers(held, shell.user_ns)
    manifest = GroupsEngine().capture(
        shell.user_ns, cell, directory, first_seen=made, execution_count=shell.execution_count
    )
    manifest = replace(manifest, unstored=[*manifest.unstored, *lost])
    write_whole(directory / "manifests" / f"{cell}.json", manifest.to_json().encode())
    when = strftime("%d %b %Y at %H:%M")
    point = replace(held.point, cell=cell, name=name, saved=when)
    write_whole(directory / "restore.json", point.to_json().encode())
    _remove_unnamed(own)
    return SavedState(reference, manifest)


def difference(held: Debugged | None, reference: str, shell: Any) -> Diff:
    """Compare the session with the state of a run, or one that was saved beside it.

    Args:
        held: what the kernel has restored; None for nothing.
        reference: a run, or a state that was saved beside one (`run@name`).
        shell: the IPython shell.

    Raises:
        SnapshotError: it cannot be read here.
        FileNotFoundError: it is not on this machine.
        ValueError: that is not the name of one.
    """
    directory, point = _read_point(reference)
    if point.cell is None:
        raise SnapshotError("no cell had finished before, so there is nothing to compare with")
    manifest = read_manifest(directory, point.cell)
    state = StoredState(manifest, directory, shell.user_ns, arrivals=_arrivals(point, directory))
    lazy = held.restored.lazy if held and held.restored else None
    untouched: list[str] = []
    if lazy is not None and held is not None:
        lazy.prune()
        if held.point.reference == reference:
            untouched = lazy.pending
        else:
            lazy.load(lazy.pending)
    return compare(reference, state, shell.user_ns, untouched)


def _read_point(reference: str) -> tuple[Path, RestorePoint]:
    directory = point_directory(reference)
    return directory, RestorePoint.from_json((directory / "restore.json").read_bytes())


def _restore(
    point: RestorePoint, manifest: Manifest, directory: Path, shell: Any, after: Unchanged | None = None
) -> RestoredState:
    fix = (
        "" if point.name else f"Fetch it again: open the run's Debug link, or run: respawn debug {point.run}"
    )
    restored = restore_lazily(
        _here(manifest, point), directory, shell, arrivals=_arrivals(point, directory), fix=fix, after=after
    )
    if restored.lazy.pending:
        known = {variable.name: variable for variable in manifest.variables}
        is_cheap = restored.state.is_cheap
        LazyShell(shell, restored.lazy, is_cheap, lambda name: line(known[name])).attach()
        if (mark := use(directory)) is not None:
            restored.lazy.settled.append(mark.close)
    return restored


def _here(manifest: Manifest, point: RestorePoint) -> Manifest:
    """Return a manifest by which the kernel stays in the copy of the run's own directory."""
    own, recorded = point.worked_in, manifest.cwd
    if own is None or not (recorded == own or recorded.startswith(f"{own}/")):
        return manifest
    return replace(manifest, cwd=working_directory() + recorded.removeprefix(own))


def _unchanged(held: Debugged, shell: Any) -> Unchanged | None:
    """Note what the cells may change that make what is missing; load what they mention first."""
    if held.restored is None:
        return None
    sources = [cell.source for cell in held.point.always]
    for source in sources:
        held.restored.lazy.load_for(as_python(shell, source))
    return Unchanged(held.restored.report.manifest, shell, sources)


def _arrivals(point: RestorePoint, directory: Path) -> DownloadedBlobs | None:
    return None if point.name else DownloadedBlobs(directory)


def _rerun(shell: Any, index: int, source: str) -> RerunCell:
    result = shell.run_cell(source, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    return RerunCell(index, None if error is None else f"{type(error).__name__}: {error}")


def _state(name: str, state: StoredState, namespace: dict[str, Any], pending: set[str]) -> str:
    if name in namespace:
        return LOADED if state.holds(name, namespace[name]) else CHANGED
    return PENDING if name in pending else GONE


def _load_pending(held: Debugged) -> list[UnstoredVariable]:
    """Load everything; return what would not load."""
    restored = held.restored
    if restored is None:
        return []
    restored.lazy.prune()
    restored.lazy.load(restored.lazy.pending)
    left = set(restored.lazy.pending)
    failed = [item for item in restored.state.failed() if item.name in left]
    return [replace(item, reason=f"could not be loaded: {item.reason}") for item in failed]


def _producers(held: Debugged, namespace: dict[str, Any]) -> dict[str, int]:
    """Return the cells that made what is still as it was restored."""
    restored = held.restored
    if restored is None:
        return {}
    return {
        variable.name: variable.cell
        for variable in restored.report.manifest.variables
        if variable.cell is not None
        and variable.name in namespace
        and type_name(namespace[variable.name]) == variable.type
        and restored.state.holds(variable.name, namespace[variable.name])
    }


def _share_blobs(held: Debugged, blobs: Path) -> None:
    """Link the run's blobs into those of the saved states, so that what did not change takes no room."""
    if held.restored is None:
        return
    source = (held.restored.state.directory / "blobs").resolve()
    for blob in held.restored.state.verified():
        with suppress(OSError):  # it is there, or is missing, or lies on another disk: then it is written
            os.link(source / blob.digest, blobs / blob.digest)


def _remove_unnamed(own: Path) -> None:
    """Remove blobs that no saved state names."""
    named: set[str] = set()
    for path in own.glob("*/manifests/*.json"):
        try:
            named.update(blob.digest for blob in Manifest.from_json(path.read_bytes()).blobs)
        except ValueError:
            return  # a newer version may have written it
    _unlink(path for path in (own / "blobs").iterdir() if path.name not in named)


def _unlink(paths: Iterable[Path]) -> None:
    for path in list(paths):
        with suppress(OSError):
            path.unlink()


def _next_number(own: Path) -> str:
    number = 1
    while (own / str(number) / "restore.json").exists():
        number += 1
    return str(number)


def _touch(directory: Path) -> None:
    """Note that the state was used now: what was not used for long goes first when room is short."""
    with suppress(OSError):
        (directory / "restore.json").touch()
