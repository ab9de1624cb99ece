"""What each variable leads to: it is pickled by itself, and the objects it met show what belongs together."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import FunctionType
from typing import Any

from respawn_kernels.capture.grouping import Groups, binding, cycles, overlapping
from respawn_kernels.capture.new_groups import Refusals, is_seen
from respawn_kernels.capture.ownership import immutables, is_exclusively_owned, nobodys
from respawn_kernels.checkpoint.chunks import BlobWriter
from respawn_kernels.memory.exposed_memory import Exposed
from respawn_kernels.pickling.references import INTERNED, VALUE, containers_of_libraries, library_values
from respawn_kernels.reducers import borrowed_memory
from respawn_kernels.reducers.arrays import reducers
from respawn_kernels.reducers.object_strings import is_interned
from respawn_kernels.streams.group_stream import CannotPickle, Stream, StreamWriter
from respawn_kernels.streams.time_limit import TimeLimit


class Discovery:
    """The variables of one capture, pickled by themselves, and the groups that they form.

    Args:
        values: every variable and every part of the session's state, by name; parts begin with `#`.
        namespace: the notebook's live namespace.
        writer: writes the chunks of streams that are too long to be kept in memory.
        time_limit: ends the pickling of a variable that takes too long.
        progress: called with the name of each variable before it is pickled; None for nobody.
        refusals: collects the variables that cannot be pickled, with the reasons.
    """

    def __init__(
        self,
        values: dict[str, Any],
        namespace: dict[str, Any],
        writer: BlobWriter,
        time_limit: TimeLimit,
        progress: Callable[[str | None], None] | None,
        refusals: Refusals,
    ) -> None:
        self._values = values
        self._namespace = namespace
        self._refusals = refusals
        self._immutable = immutables()
        self._nobodys = nobodys()
        # Reversed: of several names for one object, the first counts.
        self.named = {
            id(value): name
            for name, value in reversed(values.items())
            if isinstance(value, type | FunctionType) and value.__module__ == "__main__"
        }
        """Classes and functions of the notebook that are variables: their names, by their ids."""
        self.solo: dict[str, Stream] = {}
        """The stream of each variable by itself."""
        self._members: dict[str, dict[int, Any]] = {}
        self.held: set[int] = set()
        """Ids of all objects that variables met; our own references have raised their reference counts."""
        self._texts = {
            id(value): f"{VALUE}{name}"
            for name, value in reversed(values.items())
            if name[:1] != "#" and is_seen(value)
        }
        """References to text that is a variable, by its id: others may hold the same object."""
        self.streams = StreamWriter(writer, namespace, self.named, time_limit, progress, self._texts)
        texts = [one for one in values.values() if type(one) is str and len(one) > 1]
        self._library = library_values() | containers_of_libraries(values)
        self._kept = {id(text): f"{INTERNED}{text}" for text in texts if is_interned(text)}
        """The same for text that Python keeps as the only one of its kind."""
        self._careful: set[str] = set()
        """Variables for which such references are written."""
        self._exposed = Exposed(set(reducers()) - set(borrowed_memory.reducers()))
        self._borrowers: set[str] = set()
        """Variables that show memory, which may be that of others."""

    def discover(self, names: list[str]) -> None:
        """Pickle each variable by itself and note the objects that it meets."""
        for name in names:
            try:
                self.find(name)
            except CannotPickle as stopped:
                self._refusals.refuse(name, stopped.why)

    def find(self, name: str) -> None:
        """Pickle a variable by itself; once more where a part of it lies in the memory of another part."""
        self._met(name, self.look_at(name))
        if name in self._borrowers and self._bootstrap_agent(name):
            try:
                self._met(name, self.look_at(name))
            finally:
                self.streams.lenders.forget()

    def _met(self, name: str, stream: Stream) -> None:
        """Note what a variable's stream met."""
        met = binding(stream.memo, self._immutable, stream.by_value, self._nobodys)
        for own in (self._namespace, vars(builtins)):  # every memo begins with them
            met.pop(id(own), None)
        stream.memo = {}
        self.solo[name] = stream
        self._members[name] = met
        self.held.update(met.keys())
        shown = self._exposed.of(met.values(), met.keys())
        stream.ranges += shown
        if shown:
            self._borrowers.add(name)

    def look_at(self, name: str) -> Stream:
        """Pickle a variable by itself; once more where the identity of text that it holds can be seen.

        The first pass is the fast one: the pickler in C does not ask for text and numbers. Few variables need
        the second.
        """
        one = [(name, self._values[name])]
        if id(one[0][1]) in self._library:  # what it holds is not asked for: `sys.modules`
            self._careful.add(name)
            return self.streams.write(one, memo=True, known=self._library, held=self.held)
        stream = self.streams.write(one, memo=True, held=self.held)
        kept = self._kept if not stream.pieces else {}  # asking for each object takes its time
        for references in (self._texts, self._library, kept):
            if not (references.keys() - {id(one[0][1])}).isdisjoint(stream.memo):
                self._careful.add(name)
                del stream  # its memo refers to everything
                known = {**self._texts, **self._library, **kept}
                return self.streams.write(one, memo=True, known=known, held=self.held)
        return stream

    def grouped(self) -> list[list[str]]:
        """Return the groups of the variables that could be pickled.

        Variables are joined that met one object, whose memory overlaps, or that require each other by name.
        """
        self._refuse_without_required()
        groups = Groups(self.solo)
        owners: dict[int, str] = {}
        for name, met in self._members.items():
            for key in met:
                owner = owners.setdefault(key, name)
                if owner is not name:
                    groups.join(owner, name)
        ranges = ((*place, name) for name, stream in self.solo.items() for place in stream.ranges)
        for one, other in overlapping(ranges):
            groups.join(one, other)
        for names in cycles(self._requirements(groups)):
            for name in names[1:]:
                groups.join(names[0], name)
        return groups.sets()

    def _requirements(self, groups: Groups) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, stream in self.solo.items():
            wanted = {groups.find(other) for other in stream.required if other in self.solo}
            found.setdefault(groups.find(name), set()).update(wanted)
        return {name: wanted - {name} for name, wanted in found.items()}

    def _refuse_without_required(self) -> None:
        """List as not stored what refers to a class or function that could not be stored."""
        # Until nothing changes: others may refer to what is refused here.
        while True:
            lost = {
                name: missing
                for name, stream in self.solo.items()
                if (missing := next((o for o in sorted(stream.required) if o in self._refusals), None))
            }
            if not lost:
                return
            for name, missing in lost.items():
                self._refusals.refuse(
                    name, f"needs {missing}, which could not be stored: {self._refusals.why(missing)}"
                )
                del self.solo[name], self._members[name]

    def _bootstrap_agent(self, *names: str) -> bool:
        """Have objects that lie in the memory of others stored as such; return whether there are any."""
        lenders = self.streams.lenders
        lenders.know(one for name in names for one in self._members[name].values())
        if lenders.lend(place for name in names for place in self.solo[name].ranges):
            return True
        lenders.forget()
        return False

    def references(self, *, texts: bool) -> dict[int, str]:
        """Return, by id, what is written as a reference: what libraries and Python keep, text variables.

        Args:
            texts: with the variables that are text; not for the stream that holds these themselves.
        """
        return {**(self._texts if texts else {}), **self._library, **self._kept}

    def together(self, names: list[str]) -> Stream:
        """Pickle variables as one group. Raises CannotPickle with the name of the variable that cannot be."""
        known = None
        if not self._borrowers.isdisjoint(names):
            self._bootstrap_agent(*names)
        if not self._careful.isdisjoint(names):
            known = self.references(texts=True)
        try:
            return self.streams.write(((n, self._values[n]) for n in names), known=known, held=self.held)
        finally:
            self.streams.lenders.forget()

    def is_exclusively_owned(self, names: list[str]) -> bool:
        """Return whether nobody but these variables refers to what they hold."""
        if any(name not in self._members for name in names):
            return True  # atoms
        objects: dict[int, Any] = {}
        # One entry for each reference of our own, which `is_exclusively_owned` takes off the counts.
        others: list[int] = []
        for name in names:
            objects |= self._members[name]
            others += self._members[name]
            others.append(id(self._values[name]))  # `values`
            if name in self._namespace or name.startswith("#out"):  # the namespace, or IPython's `Out`
                others.append(id(self._values[name]))
        return is_exclusively_owned(objects, self._immutable, others, self.streams.unaliased)
