"""Bringing a checkpoint back into a session: at once for a run, lazily for a person who debugs it.

Both ways set the session's state and put placeholders where a variable could not be stored.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respawn_kernels import session_state
from respawn_kernels.checkpoint.errors import CorruptBlob
from respawn_kernels.checkpoint.manifest import Blob, Manifest, UnstoredVariable
from respawn_kernels.checkpoint.placeholder import Placeholder, placeholders
from respawn_kernels.host.directory import enter
from respawn_kernels.host.lazy_variables import LazyNames, lazy_names
from respawn_kernels.host.prompt_results import is_result, session_name, set_result
from respawn_kernels.namespace import put_in_order
from respawn_kernels.restore.group_loader import GroupLoader
from respawn_kernels.restore.mapped_blobs import Arrivals, MappedBlobs
from respawn_kernels.restore.progress_bar import Bar
from respawn_kernels.restore.report import RestoreReport, check_python
from respawn_kernels.restore.unchanged_objects import Unchanged
from respawn_kernels.session_state.patching.baseline import baseline

_LARGE = 8 << 20
_CHEAP = 64 << 20


class StoredState:
    """A checkpoint whose variables are loaded group by group.

    Args:
        manifest: the checkpoint.
        directory: where `blobs/` is.
        namespace: the live namespace; functions of the notebook get it as their globals.
        arrivals: waits for blobs that are still being downloaded; None when all are here.
        shell: the IPython shell, whose results (`Out`) are among the state; None outside one.
        fix: a sentence that says how to fix a blob that is missing or damaged; empty for none.
    """

    def __init__(
        self,
        manifest: Manifest,
        directory: Path,
        namespace: dict[str, Any],
        *,
        arrivals: Arrivals | None = None,
        shell: Any | None = None,
        fix: str = "",
    ) -> None:
        self.manifest = manifest
        self.directory = directory
        self._blobs = MappedBlobs(directory / "blobs", arrivals)
        self._loader = GroupLoader(manifest, self._blobs, namespace)
        self._shell = shell
        self._fix = fix
        self._handed_out: set[int] = set()
        self._known = {variable.name: variable for variable in manifest.variables}
        keys = [frame.name for group in manifest.groups for frame in group.frames]
        self.results = {session_name(key): key for key in keys if is_result(key)}
        """Results of prompts (`_5`), by the names that a session has for them."""
        self._parts = [key for key in keys if key.startswith("#") and not is_result(key)]
        self._needed = {place for key in self._parts if (place := self._loader.place(key)) is not None}
        """Groups whose parts of the session are not set yet; some hold variables too."""

    @property
    def names(self) -> list[str]:
        """The variables that it holds, in their order."""
        return list(self._known)

    def load(self, names: Collection[str]) -> dict[str, Any]:
        """Return these variables and those that share objects with them, as far as they load.

        Args:
            names: as a session has them: variables, and results of prompts such as `_5`.
        """
        places = self._places(names)
        self._verify(places, _shown(names))
        values: dict[str, Any] = {}
        self._handed_out.update(places)
        for place in places:
            for key, value in self._loader.load(place).items():
                if is_result(key):
                    set_result(key, value, self._shell)
                    values[session_name(key)] = value
                elif not key.startswith("#"):
                    values[key] = value
        return values

    def adopt(self, places: Collection[int], namespace: Mapping[str, Any]) -> set[str]:
        """Use groups as a namespace has them, without loading them; return their variables."""
        adopted: set[str] = set()
        for place in places:
            names = [frame.name for frame in self.manifest.groups[place].frames]
            self._loader.adopt(place, {name: namespace[name] for name in names})
            adopted.update(names)
        self._handed_out.update(places)
        return adopted

    def release(self) -> None:
        """Refer no longer to what `load` returned, but for parts of the session that are still to be set.

        It belongs to the namespace now.
        """
        self._loader.release(self._handed_out - self._needed)
        self._handed_out &= self._needed

    def set_session(
        self, *, first: bool, settled: Callable[[], None] = lambda: None
    ) -> list[UnstoredVariable]:
        """Set the session's state besides variables and results; return what could not be set.

        Args:
            first: True for the parts that must be as they were before variables are loaded, False for all
                others.
            settled: called after each part that is set.
        """
        names = [name for name in self._parts if session_state.comes_first(name) == first]
        places = {place: None for name in names if (place := self._loader.place(name)) is not None}
        self._verify(list(places), "the session's state")
        loaded: dict[str, Any] = {}
        for place in places:
            loaded |= self._loader.load(place)
        failed = {name: why for name in names if (why := self._loader.failed.get(name)) is not None}
        values = {name: loaded[name] for name in names if name in loaded}
        if not first:
            self._needed = set()
        failed |= session_state.restore(values, self._shell, settled)
        return [UnstoredVariable(name, "session", why) for name, why in failed.items()]

    def reason(self, name: str) -> str:
        """Return why a variable did not load, and forget that, so that its next use tries again."""
        key = self.results.get(name, name)
        why = self._loader.failed.get(key, "the checkpoint does not hold it")
        place = self._loader.place(key)
        if place is not None and not self._loader.came(place):
            self._loader.again([key])
        return f"{why}. {self._fix}" if self._fix and "blob" in why else why

    def failed(self) -> list[UnstoredVariable]:
        """Return the variables that were tried and did not load."""
        return [
            UnstoredVariable(name, self._known[name].type, why, self._known[name].cell)
            for name, why in self._loader.failed.items()
            if name in self._known
        ]

    def again(self, names: Iterable[str]) -> None:
        """Forget variables, so that they are loaded once more, with new objects."""
        self._loader.again([self.results.get(name, name) for name in names])

    def holds(self, name: str, value: Any) -> bool:
        """Return whether a value is the one that was loaded from here."""
        return self._loader.is_from_here(name, value)

    def verified(self) -> list[Blob]:
        """Return the blobs that were found whole."""
        return [blob for blob in self.manifest.blobs if self._blobs.is_verified(blob)]

    def is_cheap(self, name: str) -> bool:
        """Return whether a variable can be loaded between two key strokes: it is small and already here."""
        blobs = self._blobs_of(self._places([name]))
        here = self.directory / "blobs"
        return sum(blob.size for blob in blobs) <= _CHEAP and all((here / b.digest).exists() for b in blobs)

    def _places(self, names: Collection[str]) -> list[int]:
        """Return the groups that hold names, after those whose classes and functions they refer to."""
        found: dict[int, None] = {}
        waiting = [self._loader.place(self.results.get(name, name)) for name in names]
        while waiting:
            place = waiting.pop()
            if place is not None and place not in found:
                found[place] = None
                waiting += self.manifest.groups[place].requires
        return list(reversed(found))

    def _blobs_of(self, places: Iterable[int]) -> list[Blob]:
        groups = [self.manifest.groups[place] for place in places]
        extents = [extent for group in groups for extent in (group.stream, *group.buffers)]
        used = dict.fromkeys(piece.blob for extent in extents for piece in extent.pieces)
        return [self.manifest.blobs[place] for place in used]

    def _verify(self, places: list[int], what: str) -> None:
        """Verify what will be read, in parallel; damage is reported later, for its variables alone."""
        blobs = self._blobs_of(place for place in places if not self._loader.loaded(place))
        bar = Bar(what) if self._is_long(blobs) else None
        try:
            self._blobs.verify(blobs, self.manifest, bar.tell if bar else None)
        except CorruptBlob:
            return
        finally:
            if bar:
                bar.done()

    def _is_long(self, blobs: list[Blob]) -> bool:
        here = self.directory / "blobs"
        return sum(b.size for b in blobs) > _LARGE or not all((here / b.digest).exists() for b in blobs)


@dataclass(frozen=True)
class RestoredState:
    """A checkpoint that was brought back into a session."""

    report: RestoreReport
    state: StoredState
    """Where pending variables come from."""
    lazy: LazyNames


def restore_now(
    manifest: Manifest,
    directory: Path,
    namespace: dict[str, Any],
    shell: Any,
    *,
    after: Unchanged | None = None,
) -> RestoreReport:
    """Bring everything back at once, in parallel, and put placeholders where something is missing.

    Args:
        manifest: the checkpoint.
        directory: where `blobs/` is.
        namespace: the live namespace.
        shell: the IPython shell.
        after: what cells left unchanged that ran after a first restore; that stays, and so do variables that
            the checkpoint lacks and that they made. None for a first restore.

    Raises:
        SnapshotError: the checkpoint cannot be read here; nothing was changed.
    """
    lazy_names(namespace).forget()
    report = _everything(manifest, directory, namespace, shell, after)
    _put_placeholders(namespace, [*manifest.unstored, *report.failed], keep=after is not None)
    put_in_order(namespace, manifest.names())
    return report


def restore_lazily(
    manifest: Manifest,
    directory: Path,
    shell: Any,
    *,
    arrivals: Arrivals | None = None,
    fix: str = "",
    after: Unchanged | None = None,
) -> RestoredState:
    """Bring a checkpoint back so that each variable is loaded when code first uses it.

    Args:
        manifest: the checkpoint.
        directory: where `blobs/` is.
        shell: the IPython shell.
        arrivals: waits for blobs that are still being downloaded; None when all are here.
        fix: a sentence that says how to fix a blob that is missing or damaged; empty for none.
        after: see `restore_now`.

    Raises:
        SnapshotError: the checkpoint cannot be read here; nothing was changed.
    """
    namespace: dict[str, Any] = shell.user_ns
    check_python(manifest)
    state = StoredState(manifest, directory, namespace, arrivals=arrivals, shell=shell, fix=fix)
    lazy = lazy_names(namespace)
    lazy.forget()
    cwd = enter(manifest.cwd)
    adopted, parted = _adopt(state, namespace, after)
    names = [name for name in (*state.names, *state.results) if name not in adopted]
    # Functions of the notebook that are made from here on find what is pending, those of a probe included;
    # a variable that hides a builtin is loaded when it begins to be pending, and that comes after the probes.
    lazy.begin([name for name in names if not hasattr(builtins, name)], state)
    unset = state.set_session(first=True)
    _put_placeholders(namespace, manifest.unstored, keep=after is not None)
    lazy.begin([name for name in names if hasattr(builtins, name)], state)
    failed = state.failed()
    for item in failed:
        # It hides a builtin: without anything under its name Python would find that.
        namespace[item.name] = Placeholder(item.name, item.type, item.reason, item.cell)
    lazy.forget(item.name for item in failed)
    failed += [*parted, *unset]
    # At once after each part: the next may call what the one before put in a builtin's place.
    failed += state.set_session(first=False, settled=lambda: _load_for_builtins(lazy))
    state.release()
    if lazy.pending:
        lazy.settled.append(lambda: put_in_order(namespace, manifest.names()))
    else:
        put_in_order(namespace, manifest.names())
    report = RestoreReport(
        manifest, [n for n in state.names if n not in {f.name for f in failed}], failed, cwd
    )
    return RestoredState(report, state, lazy)


def _load_for_builtins(lazy: LazyNames) -> None:
    """Load what the notebook's own builtins read: loading it later would call them, and they need it."""
    replaced = baseline.replaced_builtins()
    if not replaced:
        return
    own = {name: builtins.__dict__[name] for name in replaced}
    builtins.__dict__.update(replaced)
    try:
        lazy.load_read_by(own.values())
    finally:
        builtins.__dict__.update(own)


def present(namespace: dict[str, Any], name: str) -> bool:
    """Return whether a session has a variable, and not a placeholder for it."""
    return name in namespace and type(namespace[name]) is not Placeholder


def _everything(
    manifest: Manifest, directory: Path, namespace: dict[str, Any], shell: Any, after: Unchanged | None
) -> RestoreReport:
    check_python(manifest)
    state = StoredState(manifest, directory, namespace, shell=shell)
    cwd = enter(manifest.cwd)
    adopted, parted = _adopt(state, namespace, after)
    unset = state.set_session(first=True)
    wanted = [name for name in (*state.names, *state.results) if name not in adopted]
    values = state.load(wanted)
    namespace.update(values)
    if lost := [item.name for item in state.failed()]:
        # Once more: a constructor of the notebook may have read names that were not there yet.
        lost = [name for name in lost if name not in values]
        state.again(lost)
        namespace.update({name: v for name, v in state.load(lost).items() if name not in values})
    failed = state.failed()
    failed += [*parted, *unset, *state.set_session(first=False)]
    names = {item.name for item in failed}
    return RestoreReport(manifest, [name for name in state.names if name not in names], failed, cwd)


def _adopt(
    state: StoredState, namespace: dict[str, Any], after: Unchanged | None
) -> tuple[set[str], list[UnstoredVariable]]:
    """Return the variables that stay as they are, and those that cells made and that cannot stay."""
    if after is None:
        return set(), []
    after.put_results_back()
    kept = after.places()
    parted = after.parted(kept)
    for item in parted:
        namespace[item.name] = Placeholder(item.name, item.type, item.reason, item.cell)
    return state.adopt(kept, namespace), parted


def _put_placeholders(namespace: dict[str, Any], unstored: Iterable[UnstoredVariable], *, keep: bool) -> None:
    for name, placeholder in placeholders(unstored).items():
        if not name.startswith("#") and not (keep and present(namespace, name)):
            namespace[name] = placeholder


def _shown(names: Collection[str]) -> str:
    some = sorted(names)
    return ", ".join(some[:3]) + (f" and {len(some) - 3:,} more" if len(some) > 3 else "")
