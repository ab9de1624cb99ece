"""The snapshot engine: variables that share objects form a group, and only groups that changed are written.

A capture pickles each variable by itself, finds out by the objects it met which ones belong together, and
writes the groups: small streams into packs, large ones and the memory of arrays in chunks. Groups that no
cell since the parent checkpoint could have touched (`touch`), and that nobody but their own variables refers
to (`closed`), are known unchanged and taken over. Everything else is looked at again, and what turns out the
same is not written twice.
"""

from __future__ import annotations

import builtins
import platform
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any

from respawn_kernels import hash_seed, session_state
from respawn_kernels.callbacks import named_by_callbacks
from respawn_kernels.captured import NewGroup, is_atom, is_seen, required
from respawn_kernels.checking import LARGEST, check
from respawn_kernels.chunks import BlobTable, BlobWriter
from respawn_kernels.closed import immutables, is_closed, nobodys
from respawn_kernels.collecting import collecting_later
from respawn_kernels.describe import describe, size_of, type_name
from respawn_kernels.grouping import Groups, binding, cycles, overlapping
from respawn_kernels.knowledge import Knowledge, Reusable
from respawn_kernels.manifest import Group, Manifest, StoredVariable, UnstoredVariable
from respawn_kernels.names import user_names
from respawn_kernels.originals import monotonic, perf_counter
from respawn_kernels.patience import Patience
from respawn_kernels.pickling import INTERNED, VALUE, library_values
from respawn_kernels.rehearsal import Rehearsal, Written
from respawn_kernels.results import is_result, results
from respawn_kernels.streams import CannotPickle, Stream, StreamWriter
from respawn_kernels.taps import without_taps
from respawn_kernels.texts import is_interned
from respawn_kernels.working_directory import working_directory

VARIABLE_SECONDS = 20.0
_ROUNDS = 4
_POOLED = b"polars"
_IN_LINE = "the kernel wrote it itself, which runs nothing of the notebook"
_ATOMS_AT_ONCE = 4096


class GroupsEngine:
    """Groups of variables in content-addressed blobs, written incrementally."""

    name = "groups"

    def capture(
        self,
        namespace: dict[str, Any],
        cell: int,
        spool: Path,
        *,
        first_seen: Mapping[str, int],
        execution_count: int,
        parent: int | None = None,
        touched: Collection[str] | None = None,
        progress: Callable[[str | None], None] | None = None,
        leave_out: Mapping[str, str] | None = None,
        variable_seconds: float = VARIABLE_SECONDS,
        forked: bool = False,
        before_fork: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Write the namespace into the spool; see `SnapshotEngine.capture`."""
        started = perf_counter()
        if forked:
            from respawn_kernels import shared

            shared.look()
        known = Knowledge.read(spool, parent)
        # Before collection is put off and a timer runs: both are parts of the session's state.
        with without_taps():
            session = session_state.capture(before_fork)
            with collecting_later(), Patience(variable_seconds) as patience:
                work = _Capture(namespace, session, spool, known, patience, progress, forked=forked)
                work.take_over(touched)
                work.leave_out(leave_out or {})
                work.look()
                if forked:
                    work.check(variable_seconds, progress or _silent)
                manifest = work.manifest(cell, first_seen, execution_count)
                work.learn(cell, manifest)
        mode = "fork" if forked else "inline"
        return replace(manifest, seconds=perf_counter() - started, mode=mode)


class _Capture:
    """One capture in the making."""

    def __init__(
        self,
        namespace: dict[str, Any],
        session: Mapping[str, Any],
        spool: Path,
        known: Knowledge | None,
        patience: Patience,
        progress: Callable[[str | None], None] | None,
        *,
        forked: bool,
    ) -> None:
        self._namespace = namespace
        self._forked = forked
        self._spool = spool
        self._known = known
        self._values: dict[str, Any] = {name: namespace[name] for name in user_names(namespace)}
        self._values |= results()
        self._values |= session
        self._immutable = immutables()
        self._nobodys = nobodys()
        self._writer = BlobWriter(
            spool / "blobs",
            known.blobs if known else {},
            known.compressed if known else {},
            stable=forked,
        )
        named = self._named = {
            id(value): name
            for name, value in reversed(self._values.items())
            if isinstance(value, type | FunctionType) and value.__module__ == "__main__"
        }
        self._unstored: dict[str, tuple[str, str, int | None]] = {}
        self._reused: list[Reusable] = []
        self._written: list[NewGroup] = []
        self._members: dict[str, dict[int, Any]] = {}
        self._held: set[int] = set()
        """Ids of all objects in `_members`."""
        self._solo: dict[str, Stream] = {}
        self._texts = {
            id(value): f"{VALUE}{name}"
            for name, value in reversed(self._values.items())
            if name[:1] != "#" and is_seen(value)
        }
        """References to text that is a variable, by its id: others may hold the same object."""
        self._streams = StreamWriter(self._writer, namespace, named, patience, progress, self._texts)
        texts = [one for one in self._values.values() if type(one) is str and len(one) > 1]
        self._kept = {id(text): f"{INTERNED}{text}" for text in texts if is_interned(text)}
        """The same for text that Python keeps as the only one of its kind."""
        self._careful: set[str] = set()
        """Variables for which such references are written."""
        self._note_placeholders()
        self._note_lost()

    def take_over(self, touched: Collection[str] | None) -> None:
        """Take over what is known unchanged."""
        if self._known is not None and touched is not None:
            # The session's parts are made anew each time: an address says nothing of them.
            lasting = {n: value for n, value in self._values.items() if n[:1] != "#" or is_result(n)}
            called = named_by_callbacks(value for n, value in self._values.items() if n not in lasting)
            given = session_state.reached_by_libraries()
            if called is not None and given is not None:
                self._reused = self._known.unchanged(lasting, called.union(given, touched))

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """List variables as not stored without trying."""
        for name, why in reasons.items():
            if name in self._values:
                self._refuse(name, why)

    def look(self) -> None:
        """Pickle what is not taken over, find the groups, and write them."""
        taken = {name for group in self._reused for name in group.names}
        rest = [name for name in self._values if name not in taken and name not in self._unstored]
        atoms = [name for name in rest if is_atom(self._values[name])]
        alone = set(atoms)
        self._discover([name for name in rest if name not in alone])
        grouped = self._grouped()
        referred = {name for stream in self._solo.values() for name in stream.required}
        free: list[str] = []
        apart: dict[int, list[str]] = {id(self._values[name]): [] for name in atoms if name in referred}
        for name in atoms:
            apart.get(id(self._values[name]), free).append(name)
        # A group of its own: who refers to it is looked at anew when it changes.
        for names in (free, *apart.values()):
            self._atoms(names)
        if self._known is not None:
            self._known.expect(self._reused, [self._solo[names[0]] for names in grouped if len(names) == 1])
        # The session's own are new each time: in one pack with the others they would make that one sparse.
        grouped.sort(key=lambda names: names[0].startswith("#"))
        for place, names in enumerate(grouped):
            if names[0].startswith("#") and place and not grouped[place - 1][0].startswith("#"):
                self._writer.flush()
            self._write(names)
        self._writer.flush()

    def check(self, seconds: float, progress: Callable[[str | None], None]) -> None:
        """Find out which groups come back as they were; leave out the variables that do not."""
        until = monotonic() + seconds
        for _ in range(_ROUNDS):
            todo = [group for group in self._written if not self._is_known(group)]
            verdicts = check(
                [self._written_out(group) for group in todo],
                lambda about, todo=todo: self._rehearsal(todo, about),  # type: ignore[misc]
                until - monotonic(),
                progress,
            )
            for group, verdict in zip(todo, verdicts, strict=True):
                group.checked, group.unchecked = True, verdict.unchecked
                if verdict.lost is not None:
                    self._without(group, verdict.name, verdict.lost)
            if all(verdict.lost is None for verdict in verdicts):
                break
            self._lose_what_requires()
        self._writer.flush()

    def manifest(self, cell: int, first_seen: Mapping[str, int], execution_count: int) -> Manifest:
        """Put the manifest together."""
        table = BlobTable()
        groups, places = self._finished(table)
        variables = [
            self._described(name, value, places[name], first_seen.get(name))
            for name, value in self._values.items()
            if name in places and not name.startswith("#")
        ]
        unstored = [
            UnstoredVariable(name, kind, why, _cell_of(name, first_seen) if made is None else made)
            for name, (kind, why, made) in self._unstored.items()
            if not is_result(name)
        ]
        manifest = Manifest(
            cell=cell,
            engine=GroupsEngine.name,
            python=platform.python_version(),
            cwd=working_directory(),
            execution_count=execution_count,
            variables=variables,
            unstored=unstored,
            blobs=table.blobs(),
            parent=self._known.cell if self._known and self._reused else None,
            groups=groups,
            hash_seed=hash_seed.own(),
            payload={"written": self._writer.written},
        )
        self._writer.discard_but({blob.digest for blob in manifest.blobs})
        return manifest

    def learn(self, cell: int, manifest: Manifest) -> None:
        """Leave for the next capture what it can build on."""
        self._streams.close()
        reads = [list(group.reads) for group in self._reused]
        closed = [True] * len(self._reused)
        self._solo.clear()
        for written in self._written:
            written.stream.buffers = []
        for written in self._written:
            reads.append(sorted(written.stream.reads))
            closed.append(self._is_closed(written.names))
        ids = {name: (id(value), id(type(value))) for name, value in self._values.items()}
        blobs = set(manifest.blobs)
        compressed = {digest: blob for digest, blob in self._writer.compressed.items() if blob in blobs}
        Knowledge.write(self._spool, cell, ids, closed, reads, compressed)

    def _described(self, name: str, value: Any, place: int, made: int | None) -> StoredVariable:
        if self._known is not None and place < len(self._reused) and name in self._known.variables:
            old = self._known.variables[name]
            return StoredVariable(name, old.type, old.description, old.size, made, place)
        return StoredVariable(name, type_name(value), describe(value), size_of(value), made, place)

    # Steps

    def _note_placeholders(self) -> None:
        module = sys.modules.get("respawn_kernels.placeholders")
        if module is None:
            return
        for name, value in self._values.items():
            if type(value) is module.Placeholder:
                told = module.unstored_of(value)
                self._unstored[name] = (told.type, told.reason, told.cell)

    def _note_lost(self) -> None:
        for name, value in list(self._values.items()):
            if type(value) is session_state.Lost:
                self._unstored[value.variable or name] = (value.kind, value.reason, None)
                if value.variable is not None:
                    del self._values[name]

    def _refuse(self, name: str, why: str) -> None:
        self._unstored[name] = (type_name(self._values[name]), why, None)

    def _atoms(self, names: list[str]) -> None:
        for start in range(0, len(names), _ATOMS_AT_ONCE):
            part = {name: self._values[name] for name in names[start : start + _ATOMS_AT_ONCE]}
            self._keep(self._streams.write(part.items(), known={**library_values(), **self._kept}))

    def _discover(self, names: list[str]) -> None:
        """Pickle each variable by itself and note what it meets."""
        for name in names:
            try:
                stream = self._look_at(name)
            except CannotPickle as stopped:
                self._refuse(name, stopped.why)
                continue
            met = binding(stream.memo, self._immutable, stream.by_value, self._nobodys)
            for own in (self._namespace, vars(builtins)):  # every memo begins with them
                met.pop(id(own), None)
            stream.memo = {}
            self._solo[name] = stream
            self._members[name] = met
            self._held.update(met.keys())

    def _look_at(self, name: str) -> Stream:
        """Pickle a variable by itself; once more where the identity of text that it holds can be seen."""
        one = [(name, self._values[name])]
        stream = self._streams.write(one, memo=True, held=self._held)
        kept = self._kept if not stream.pieces else {}  # asking for each object takes its time
        for references in (self._texts, library_values(), kept):
            if not (references.keys() - {id(one[0][1])}).isdisjoint(stream.memo):
                self._careful.add(name)
                del stream  # its memo refers to everything
                known = {**self._texts, **library_values(), **kept}
                return self._streams.write(one, memo=True, known=known, held=self._held)
        return stream

    def _grouped(self) -> list[list[str]]:
        """Return the groups of the variables that could be pickled."""
        self._refuse_without_required()
        groups = Groups(self._solo)
        owners: dict[int, str] = {}
        for name, met in self._members.items():
            for key in met:
                owner = owners.setdefault(key, name)
                if owner is not name:
                    groups.join(owner, name)
        ranges = ((*place, name) for name, stream in self._solo.items() for place in stream.ranges)
        for one, other in overlapping(ranges):
            groups.join(one, other)
        for names in cycles(self._requirements(groups)):
            for name in names[1:]:
                groups.join(names[0], name)
        return groups.sets()

    def _requirements(self, groups: Groups) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, stream in self._solo.items():
            wanted = {groups.find(other) for other in stream.required if other in self._solo}
            found.setdefault(groups.find(name), set()).update(wanted)
        return {name: wanted - {name} for name, wanted in found.items()}

    def _refuse_without_required(self) -> None:
        """List as not stored what refers to a class or function that could not be stored."""
        while True:
            lost = {
                name: missing
                for name, stream in self._solo.items()
                if (missing := next((o for o in sorted(stream.required) if o in self._unstored), None))
            }
            if not lost:
                return
            for name, missing in lost.items():
                self._refuse(
                    name, f"needs {missing}, which could not be stored: {self._unstored[missing][1]}"
                )
                del self._solo[name], self._members[name]

    def _write(self, names: list[str]) -> None:
        """Write a group."""
        while names:
            try:
                stream = self._solo.get(names[0]) if len(names) == 1 else None
                self._keep(stream or self._together(names))
            except CannotPickle as stopped:
                self._refuse(stopped.name, stopped.why)
                names = [name for name in names if name != stopped.name]
            else:
                return

    def _together(self, names: list[str]) -> Stream:
        known = None
        if not self._careful.isdisjoint(names):
            known = {**self._kept, **self._texts, **library_values()}
        return self._streams.write(((n, self._values[n]) for n in names), known=known, held=self._held)

    def _keep(self, stream: Stream) -> None:
        draft = self._known.same_stream(stream) if self._known else None
        buffers = []
        for buffer in stream.buffers:
            with buffer.raw() as data:
                buffers.append(self._writer.large(data))
        why = _IN_LINE if not self._forked and not self._is_plain(stream) else None
        self._written.append(NewGroup(stream, draft or stream.draft(self._writer), buffers, why))

    def _finished(self, table: BlobTable) -> tuple[list[Group], dict[str, int]]:
        """Return the groups as the manifest has them, and in which one each name is."""
        places: dict[str, int] = {}
        for place, group in enumerate(self._reused):
            places |= dict.fromkeys(group.names, place)
        for place, written in enumerate(self._written, len(self._reused)):
            places |= dict.fromkeys(written.names, place)
        groups = [
            Group(g.frames, table.extent(g.stream), [table.extent(b) for b in g.buffers],
                  _places_of(g.requires, places, place), g.unchecked)
            for place, g in enumerate(self._reused)
        ]  # fmt: skip
        groups += [
            Group(new.stream.frames, table.extent(new.draft), [table.extent(b) for b in new.buffers],
                  _places_of(new.stream.required, places, place), new.unchecked)
            for place, new in enumerate(self._written, len(self._reused))
        ]  # fmt: skip
        return groups, places

    def _is_plain(self, stream: Stream) -> bool:
        """Tell whether a stream holds nothing but text and numbers."""
        return all(is_atom(self._values[frame.name]) for frame in stream.frames)

    def _is_known(self, group: NewGroup) -> bool:
        """Tell whether a group need not be checked, or cannot be."""
        if group.checked or self._is_plain(group.stream):
            return True
        if group.objects > LARGEST:
            group.unchecked = f"{group.objects >> 20} MB of objects are too much to be loaded twice"
        elif _POOLED in group.stream.tail:
            group.unchecked = "Polars loads with threads, which a forked process does not have"
        return group.unchecked is not None

    def _written_out(self, group: NewGroup) -> Written:
        stream, blobs = group.stream, self._spool / "blobs"
        return Written(group.names, lambda: stream.whole(blobs), stream.buffers, stream.careful)

    def _rehearsal(self, groups: list[NewGroup], about: Callable[[str], None]) -> Rehearsal:
        written = [self._written_out(group) for group in groups]
        known = {**self._kept, **self._texts, **library_values()}
        asked = {name for group in groups for name in group.stream.asked}
        return Rehearsal(written, self._values, self._namespace, self._named, known, asked, about)

    def _without(self, group: NewGroup, name: str | None, why: str) -> None:
        """Leave out a variable that does not come back, and write the rest of its group anew."""
        self._written.remove(group)
        lost = [name] if name is not None else group.names
        for one in lost:
            self._refuse(one, why)
        self._write([one for one in group.names if one not in lost])

    def _lose_what_requires(self) -> None:
        """List as not stored what refers to a variable that does not come back."""
        while True:
            groups: list[NewGroup | Reusable] = [*self._written, *self._reused]
            found = [
                (group, next((one for one in sorted(required(group)) if one in self._unstored), None))
                for group in groups
            ]
            lost = [(group, name) for group, name in found if name is not None]
            if not lost:
                return
            for group, name in lost:
                if isinstance(group, NewGroup):
                    self._written.remove(group)
                else:
                    self._reused.remove(group)
                for one in group.names:
                    self._refuse(one, f"needs {name}, which could not be stored: {self._unstored[name][1]}")

    def _is_closed(self, names: list[str]) -> bool:
        if any(name not in self._members for name in names):
            return True  # atoms
        objects: dict[int, Any] = {}
        others: list[int] = []
        for name in names:
            objects |= self._members[name]
            others += self._members[name]
            others.append(id(self._values[name]))  # `values`
            if name in self._namespace or name.startswith("#out"):
                others.append(id(self._values[name]))
        return is_closed(objects, self._immutable, others, self._streams.unaliased)


def _cell_of(name: str, cells: Mapping[str, int]) -> int | None:
    """Return the cell that made a variable or a part of the session's state, which may be one of several."""
    return cells.get(name, cells.get(name.partition(":")[0]))


def _silent(_name: str | None) -> None: ...


def _places_of(names: Collection[str], places: Mapping[str, int], own: int) -> list[int]:
    return sorted({places[name] for name in names if name in places} - {own})
