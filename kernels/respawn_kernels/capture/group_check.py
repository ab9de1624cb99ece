"""Whether the groups of a capture come back as they were; what does not is left out, or stored more fully."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from respawn_kernels.capture.discovery import Discovery
from respawn_kernels.capture.incremental_baseline import Reusable
from respawn_kernels.capture.new_groups import NewGroup
from respawn_kernels.capture.trial_load import Rehearsal, Written
from respawn_kernels.capture.verification import LARGEST, GroupCheckResult, check
from respawn_kernels.capture.written_groups import WrittenGroups
from respawn_kernels.originals import monotonic
from respawn_kernels.sizes import how_large
from respawn_kernels.streams.group_stream import CannotPickle

_ROUNDS = 4
"""How often groups may be written anew and checked again."""
_POOLED = b"polars"
"""Polars deadlocks in a forked process: https://docs.pola.rs/user-guide/misc/multiprocessing/."""


class GroupCheck:
    """The check of what one capture wrote.

    Args:
        values: every variable and every part of the session's state, by name.
        namespace: the notebook's live namespace.
        blobs: the directory of the spool's blobs.
        discovery: what the variables lead to.
        written: the groups that were written; the check changes them.
        reused: the groups of the parent that are reused; those that refer to a lost variable are removed.
    """

    def __init__(
        self,
        values: dict[str, Any],
        namespace: dict[str, Any],
        blobs: Path,
        discovery: Discovery,
        written: WrittenGroups,
        reused: list[Reusable],
    ) -> None:
        self._values = values
        self._namespace = namespace
        self._blobs = blobs
        self._discovery = discovery
        self._written = written
        self._reused = reused
        self._unkept: dict[tuple[str, str], str] = {}
        """Why attributes that a class leaves out cannot be stored either, by class and name."""

    def run(self, seconds: float, progress: Callable[[str | None], None]) -> None:
        """Find out which groups come back as they were; leave out the variables that do not.

        Args:
            seconds: how long all of it may take; what was not checked by then is stored and says so.
            progress: called with the name of a variable of each group before the group is checked.
        """
        until = monotonic() + seconds
        for _ in range(_ROUNDS):
            todo = [group for group in self._written.groups if not self._is_known(group)]
            verdicts = check(
                [self._written_out(group) for group in todo],
                lambda about, todo=todo: self._rehearsal(todo, about),  # type: ignore[misc]
                until - monotonic(),
                progress,
            )
            for group, verdict in zip(todo, verdicts, strict=True):
                group.checked, group.unchecked = True, verdict.unchecked
                if verdict.lost is not None:
                    self._written.leave_out(group, verdict.name, verdict.lost)
            lacking = [one for one in zip(todo, verdicts, strict=True) if one[1].left_out]
            if self._complete(lacking) and all(verdict.lost is None for verdict in verdicts):
                break
            self._written.lose_what_requires(self._reused)
        else:
            for group in self._written.groups:
                if not self._is_known(group):
                    group.unchecked = f"it was written again after each of {_ROUNDS} checks"

    def _is_known(self, group: NewGroup) -> bool:
        """Return whether a group need not be checked, or cannot be."""
        if group.checked or self._written.is_plain(group.stream):
            return True
        if group.objects > LARGEST:
            group.unchecked = f"{how_large(group.objects)} of objects are too much to be loaded twice"
        elif _POOLED in group.stream.tail:
            group.unchecked = "Polars loads with threads, which a forked process does not have"
        return group.unchecked is not None

    def _written_out(self, group: NewGroup) -> Written:
        stream, blobs = group.stream, self._blobs
        return Written(group.names, lambda: stream.whole(blobs), stream.buffers, stream.careful)

    def _rehearsal(self, groups: list[NewGroup], about: Callable[[str], None]) -> Rehearsal:
        written = [self._written_out(group) for group in groups]
        known = self._discovery.references(texts=True)
        asked = {name for group in groups for name in group.stream.asked}
        kept = self._discovery.streams.left_out
        named = self._discovery.named
        return Rehearsal(written, self._values, self._namespace, named, known, asked, kept, about)

    def _complete(self, lacking: list[tuple[NewGroup, GroupCheckResult]]) -> bool:
        """Store attributes that classes left out; return True when nothing was to be done, or could be.

        An attribute that no group lacked before is stored from now on, and the group is written anew. One
        that is lacking again cannot be stored: the group is stored without it and says so.
        """
        left_out = self._discovery.streams.left_out
        before = {(kind, name) for kind, names in left_out.items() for name in names}
        changed = False
        for group, verdict in lacking:
            found = {(kind, name) for kind, names in verdict.left_out.items() for name in names}
            if group not in self._written.groups:  # it was written anew with another one
                continue
            if wanted := found - before - self._unkept.keys():
                self._keep_attributes(group.names, wanted)
                self._written.look_again(group.names)
                changed = True
                continue
            missing, why = sorted({name for _, name in found}), set(map(self._unkept.get, found)) - {None}
            text = f"it comes back without {', '.join(missing)} ({next(iter(why), 'cannot be set')})"
            group.unchecked = text
            if any(kind.startswith("__main__.") for kind, _ in found):
                self._written.leave_out(group, group.names[0], text)
                changed = True
        return not changed

    def _keep_attributes(self, names: list[str], wanted: Collection[tuple[str, str]]) -> None:
        """Store attributes from now on, but those that cannot be stored: all at once, else one by one."""
        left_out = self._discovery.streams.left_out
        for some in (wanted, *({one} for one in sorted(wanted))):
            for kind, name in some:
                left_out.setdefault(kind, set()).add(name)
            try:
                for name in names:
                    self._discovery.look_at(name)
            except CannotPickle as stopped:
                for kind, name in some:
                    left_out[kind].discard(name)
                    if len(some) == 1:
                        self._unkept[kind, name] = stopped.why
            else:
                if some is wanted:
                    return
