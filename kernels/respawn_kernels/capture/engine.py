"""The snapshot engine: variables that share objects form a group, and only groups that changed are written.

A capture pickles each variable by itself, finds out by the objects it met which ones belong together, and
writes the groups: small streams into packs, large ones and the memory of arrays in chunks. Groups that no
cell since the parent checkpoint could have changed (`write_set`), and that nobody but their own variables
refers to (`ownership`), are known to be unchanged: the checkpoint reuses the parent's. Everything else is
pickled again, and bytes that turn out the same are not written twice.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from respawn_kernels import hash_seed, session_state
from respawn_kernels.capture.discovery import Discovery
from respawn_kernels.capture.group_check import GroupCheck
from respawn_kernels.capture.incremental_baseline import IncrementalBaseline, Reusable
from respawn_kernels.capture.new_groups import Refusals, is_atom
from respawn_kernels.capture.written_groups import WrittenGroups
from respawn_kernels.cell_code.callbacks import named_by_callbacks
from respawn_kernels.checkpoint.chunks import BlobTable, BlobWriter
from respawn_kernels.checkpoint.manifest import Group, Manifest, StoredVariable, UnstoredVariable
from respawn_kernels.checkpoint.placeholder import Placeholder, unstored_of
from respawn_kernels.host.directory import working_directory
from respawn_kernels.host.gc_pause import collecting_later
from respawn_kernels.host.ipython_tee import without_taps
from respawn_kernels.host.prompt_results import is_result, results
from respawn_kernels.introspection.descriptions import describe, size_of, type_name
from respawn_kernels.memory import shared_memory
from respawn_kernels.namespace import user_names
from respawn_kernels.originals import perf_counter
from respawn_kernels.reducers.arrays import reducers
from respawn_kernels.streams.time_limit import TimeLimit

VARIABLE_SECONDS = 20.0
"""How long the pickling of one variable may take, where the job's settings say nothing else."""


class GroupsEngine:
    """Groups of variables in content-addressed blobs, written incrementally."""

    def __init__(self) -> None:
        self._modules = 0
        """How many modules there were when the engine's own were imported."""

    def import_parts(self) -> None:
        """Import what a capture needs for the libraries that are loaded now.

        Called before each fork: what a child imports ends with it, and the next child would import it again.
        """
        if len(sys.modules) != self._modules:
            reducers()
            self._modules = len(sys.modules)

    def capture(
        self,
        namespace: dict[str, Any],
        cell: int,
        spool: Path,
        *,
        first_seen: Mapping[str, int],
        execution_count: int,
        parent: int | None = None,
        write_set: Collection[str] | None = None,
        progress: Callable[[str | None], None] | None = None,
        leave_out: Mapping[str, str] | None = None,
        variable_seconds: float = VARIABLE_SECONDS,
        forked: bool = False,
        before_fork: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Write the namespace at a cell boundary into the spool, and return its manifest.

        Blobs are written before this returns; those that the spool or the parent has are not written again.
        The manifest itself is the caller's to write, last, so that a checkpoint that can be seen is whole.

        Args:
            namespace: the live namespace; IPython's own names in it are left out.
            cell: index of the cell that just finished.
            spool: directory with `blobs/`, and `manifests/` where the parent's is.
            first_seen: per name, the cell that made its present value.
            execution_count: the number of the next prompt.
            parent: cell of an earlier checkpoint in the spool, whose blobs are stored; None for none.
            write_set: the write set of the cells since the parent: names; None for all.
            progress: called with the name of each variable before it is pickled, and before it is checked.
            leave_out: variables that must not be tried, with the reason to list them with.
            variable_seconds: how long the pickling of one variable may take.
            forked: this process is a child made for this, in which nothing else changes memory.
            before_fork: what `session_state.capture_before_fork` returned in the process that was forked;
                None in the kernel itself.

        Raises:
            SnapshotError: nothing can be stored at all; single variables that cannot be are listed instead.
            OSError: the spool cannot be written.
        """
        started = perf_counter()
        if forked:
            # A fork does not freeze memory that is mapped MAP_SHARED: others still write to it.
            shared_memory.look()
        known = IncrementalBaseline.read(spool, parent)
        # Before collection is put off and a timer runs: both are parts of the session's state.
        with without_taps():
            session = session_state.capture(before_fork)
            with collecting_later(), TimeLimit(variable_seconds) as time_limit:
                work = _Capture(namespace, session, spool, known, time_limit, progress, forked=forked)
                work.take_over(write_set)
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
        known: IncrementalBaseline | None,
        time_limit: TimeLimit,
        progress: Callable[[str | None], None] | None,
        *,
        forked: bool,
    ) -> None:
        self._spool = spool
        self._known = known
        self._namespace = namespace
        self._values: dict[str, Any] = {name: namespace[name] for name in user_names(namespace)}
        self._values |= results()
        self._values |= session
        self._writer = BlobWriter(
            spool / "blobs",
            known.blobs if known else {},
            known.compressed if known else {},
            stable=forked,
        )
        self._refusals = Refusals(self._values)
        self._reused: list[Reusable] = []
        self._discovery = Discovery(
            self._values, namespace, self._writer, time_limit, progress, self._refusals
        )
        if not forked:
            self._discovery.streams.compare_nothing()
        self._written = WrittenGroups(
            self._values, self._discovery, self._writer, known, self._refusals, forked=forked
        )
        self._note_placeholders()
        self._note_lost()

    def take_over(self, write_set: Collection[str] | None) -> None:
        """Reuse the parent's groups that are known to be unchanged.

        Args:
            write_set: the write set of the cells since the parent; None for all, and then nothing is reused.
        """
        if self._known is not None and write_set is not None:
            # The session's parts are made anew each time: an address says nothing of them.
            lasting = {n: value for n, value in self._values.items() if n[:1] != "#" or is_result(n)}
            # Functions of the notebook that others call (hooks, callbacks) run in cells that do not name
            # them.
            called = named_by_callbacks(value for n, value in self._values.items() if n not in lasting)
            given = session_state.reached_by_libraries()
            if called is not None and given is not None:
                self._reused += self._known.unchanged(lasting, called.union(given, write_set))

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """List variables as not stored without trying: an earlier writer crashed or hung on them."""
        for name, why in reasons.items():
            if name in self._values:
                self._refusals.refuse(name, why)

    def look(self) -> None:
        """Pickle what is not reused, find the groups, and write them."""
        looked_at: set[str] = set()
        while True:
            taken = {name for group in self._reused for name in group.names}
            rest = [name for name in self._values if name not in taken and name not in self._refusals]
            atoms = [name for name in rest if is_atom(self._values[name])]
            looked_at.update(atoms)
            self._discovery.discover([name for name in rest if name not in looked_at])
            looked_at.update(rest)
            if not self._give_back():
                break
        grouped = self._discovery.grouped()
        referred = {name for stream in self._discovery.solo.values() for name in stream.required}
        free: list[str] = []
        apart: dict[int, list[str]] = {id(self._values[name]): [] for name in atoms if name in referred}
        for name in atoms:
            apart.get(id(self._values[name]), free).append(name)
        # Referred to by name: a group of its own, so that who refers to it is pickled anew when it changes.
        for names in (free, *apart.values()):
            self._written.write_atoms(names)
        if self._known is not None:
            self._known.expect(
                self._reused, [self._discovery.solo[names[0]] for names in grouped if len(names) == 1]
            )
        # The session's own are new each time: in one pack with the others they would make that one sparse.
        grouped.sort(key=lambda names: names[0].startswith("#"))
        for place, names in enumerate(grouped):
            if names[0].startswith("#") and place and not grouped[place - 1][0].startswith("#"):
                self._writer.flush()
            self._written.write(names)
        self._writer.flush()

    def _give_back(self) -> bool:
        """Reuse no group any more that has a variable which another one refers to now; tell whether one had.

        A library finds variables by names that no cell has: `logging.config` by `ext://__main__.rates`.
        """
        held = self._discovery.held
        kept = [one for one in self._reused if not any(id(self._values[name]) in held for name in one.names)]
        less, self._reused = len(kept) < len(self._reused), kept
        return less

    def check(self, seconds: float, progress: Callable[[str | None], None]) -> None:
        """Find out which groups come back as they were; leave out the variables that do not."""
        blobs = self._spool / "blobs"
        check = GroupCheck(self._values, self._namespace, blobs, self._discovery, self._written, self._reused)
        check.run(seconds, progress)
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
        order = {name: place for place, name in enumerate(user_names(self._namespace))}
        unstored = [
            UnstoredVariable(
                name, kind, why, _cell_of(name, first_seen) if made is None else made, order.get(name)
            )
            for name, (kind, why, made) in self._refusals.entries.items()
            if not is_result(name)
        ]
        manifest = Manifest(
            cell=cell,
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
        """Write down what the next capture can build on."""
        # Our own references end first: `is_exclusively_owned` compares reference counts.
        self._discovery.streams.close()
        reads = [list(group.reads) for group in self._reused]
        owned = [True] * len(self._reused)
        self._discovery.solo.clear()
        for written in self._written.groups:
            written.stream.buffers = []
        for written in self._written.groups:
            reads.append(sorted(written.stream.reads))
            owned.append(self._discovery.is_exclusively_owned(written.names))
        ids = {name: (id(value), id(type(value))) for name, value in self._values.items()}
        blobs = set(manifest.blobs)
        compressed = {digest: blob for digest, blob in self._writer.compressed.items() if blob in blobs}
        IncrementalBaseline.write(self._spool, cell, ids, owned, reads, compressed)

    def _described(self, name: str, value: Any, place: int, made: int | None) -> StoredVariable:
        if self._known is not None and place < len(self._reused) and name in self._known.variables:
            # It is unchanged, and so is its description.
            old = self._known.variables[name]
            return StoredVariable(name, old.type, old.description, old.size, made, place)
        return StoredVariable(name, type_name(value), describe(value), size_of(value), made, place)

    # Steps

    def _note_placeholders(self) -> None:
        for name, value in self._values.items():
            if type(value) is Placeholder:
                lost = unstored_of(value)
                self._refusals.entries[name] = (lost.type, lost.reason, lost.cell)

    def _note_lost(self) -> None:
        for name, value in list(self._values.items()):
            if type(value) is session_state.Lost:
                self._refusals.entries[value.variable or name] = (value.kind, value.reason, None)
                if value.variable is not None:
                    del self._values[name]

    def _finished(self, table: BlobTable) -> tuple[list[Group], dict[str, int]]:
        """Return the groups as the manifest has them, and in which one each name is."""
        places: dict[str, int] = {}
        for place, group in enumerate(self._reused):
            places |= dict.fromkeys(group.names, place)
        for place, written in enumerate(self._written.groups, len(self._reused)):
            places |= dict.fromkeys(written.names, place)
        groups = [
            Group(g.frames, table.extent(g.stream), [table.extent(b) for b in g.buffers],
                  _places_of(g.requires, places, place), g.unchecked)
            for place, g in enumerate(self._reused)
        ]  # fmt: skip
        groups += [
            Group(new.stream.frames, table.extent(new.draft), [table.extent(b) for b in new.buffers],
                  _places_of(new.stream.required, places, place), new.unchecked)
            for place, new in enumerate(self._written.groups, len(self._reused))
        ]  # fmt: skip
        return groups, places


def _cell_of(name: str, cells: Mapping[str, int]) -> int | None:
    """Return the cell that made a variable or a part of the session's state, which may be one of several."""
    return cells.get(name, cells.get(name.partition(":")[0]))


def _silent(_name: str | None) -> None: ...


def _places_of(names: Collection[str], places: Mapping[str, int], own: int) -> list[int]:
    return sorted({places[name] for name in names if name in places} - {own})
