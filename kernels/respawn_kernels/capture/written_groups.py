"""The groups that a capture writes, and what is written anew when a variable turns out not to come back."""

from __future__ import annotations

from typing import Any

from respawn_kernels.capture.discovery import Discovery
from respawn_kernels.capture.incremental_baseline import IncrementalBaseline, Reusable
from respawn_kernels.capture.new_groups import NewGroup, Refusals, is_atom, required
from respawn_kernels.checkpoint.chunks import BlobWriter
from respawn_kernels.streams.group_stream import CannotPickle, Stream

_IN_LINE = "the kernel wrote it itself, which runs nothing of the notebook"
_ATOMS_AT_ONCE = 4096
"""Variables in one group of texts and numbers: when one of them changes, so many are written anew."""


class WrittenGroups:
    """The new groups of one capture.

    Args:
        values: every variable and every part of the session's state, by name.
        discovery: what they lead to.
        writer: writes their streams and buffers into the spool.
        known: what is known of the parent checkpoint; None when there is no parent.
        refusals: collects the variables that cannot be written, with the reasons.
        forked: whether a forked child writes, which can check what it wrote.
    """

    def __init__(
        self,
        values: dict[str, Any],
        discovery: Discovery,
        writer: BlobWriter,
        known: IncrementalBaseline | None,
        refusals: Refusals,
        *,
        forked: bool,
    ) -> None:
        self._values = values
        self._discovery = discovery
        self._writer = writer
        self._known = known
        self._refusals = refusals
        self._forked = forked
        self.groups: list[NewGroup] = []

    def write(self, names: list[str]) -> None:
        """Write a group, without the variables that cannot be pickled together with the others."""
        while names:
            try:
                stream = self._discovery.solo.get(names[0]) if len(names) == 1 else None
                self._keep(stream or self._discovery.together(names))
            except CannotPickle as stopped:
                self._refusals.refuse(stopped.name, stopped.why)
                names = [name for name in names if name != stopped.name]
            else:
                return

    def write_atoms(self, names: list[str]) -> None:
        """Write texts and numbers, many to a group."""
        known = self._discovery.references(texts=False)
        for start in range(0, len(names), _ATOMS_AT_ONCE):
            part = {name: self._values[name] for name in names[start : start + _ATOMS_AT_ONCE]}
            self._keep(self._discovery.streams.write(part.items(), known=known))

    def _keep(self, stream: Stream) -> None:
        draft = self._known.same_stream(stream) if self._known else None
        buffers = []
        for buffer in stream.buffers:
            with buffer.raw() as data:
                buffers.append(self._writer.large(data))
        why = _IN_LINE if not self._forked and not self.is_plain(stream) else None
        self.groups.append(NewGroup(stream, draft or stream.draft(self._writer), buffers, why))

    def is_plain(self, stream: Stream) -> bool:
        """Return whether a stream holds nothing but text and numbers."""
        return all(is_atom(self._values[frame.name]) for frame in stream.frames)

    def leave_out(self, group: NewGroup, name: str | None, why: str) -> None:
        """Leave out a variable that does not come back, and write the rest of its group anew.

        Args:
            group: the group that was checked; it is removed.
            name: the variable; None when it is not known which, and then all of the group are left out.
            why: the reason to list it with.
        """
        self.groups.remove(group)
        lost = [name] if name is not None else group.names
        for one in lost:
            self._refusals.refuse(one, why)
        self.write([one for one in group.names if one not in lost])

    def look_again(self, names: list[str]) -> None:
        """Write variables anew, with what they lead to now, and those that they share something with."""
        for name in names:
            self._discovery.find(name)
        for group in self._discovery.grouped():
            now = [name for name in group if name not in self._refusals]
            if not set(names).isdisjoint(now):
                self.groups = [one for one in self.groups if set(now).isdisjoint(one.names)]
                self.write(now)

    def lose_what_requires(self, reused: list[Reusable]) -> None:
        """List as not stored what refers to a variable that does not come back.

        Args:
            reused: the groups of the parent that are reused; those that are lost are removed.
        """
        # Until nothing changes: others may refer to what is lost here.
        while True:
            groups: list[NewGroup | Reusable] = [*self.groups, *reused]
            found = [
                (group, next((one for one in sorted(required(group)) if one in self._refusals), None))
                for group in groups
            ]
            lost = [(group, name) for group, name in found if name is not None]
            if not lost:
                return
            for group, name in lost:
                if isinstance(group, NewGroup):
                    self.groups.remove(group)
                else:
                    reused.remove(group)
                why = f"needs {name}, which could not be stored: {self._refusals.why(name)}"
                for one in group.names:
                    self._refusals.refuse(one, why)
