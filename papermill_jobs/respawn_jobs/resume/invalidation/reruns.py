"""Which finished cells must run again, so that the end is as if the fixed notebook had run from the top.

A resume restores the state after some finished cell of the run before and then executes cells of the fixed
notebook: first those above that point which must run again, then all below it. The state that it restores is
right for a name unless a cell that is gone, edited or runs again has written it. Such names are *stale*: they
are removed before anything runs, so that nobody can read them, and the cells that make them run again, to the
last one. From this follows which cells do, by a fixed point:

* a cell that is new or edited runs;
* a cell that may read or write a name after it became stale runs;
* when a cell runs and reads a name that does not have, in the restored state, the value which it had there
  (because that cell itself, or a later one, has written it), then the name is stale, and those that wrote it
  before that cell run too, back to one that made it anew.

Names that stand for what is no variable, such as the working directory, cannot be removed. A plan that
would need what they were before the first cell is not possible; an earlier state, or an empty kernel, is.
Files are as the last cell that wrote them left them, whatever state is restored: whoever wrote them runs
again, and what they were before the first cell nobody can give back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from respawn_jobs.dataflow import NOTHING, Footprint, hidden, label_of, overlap
from respawn_jobs.model.hidden_state import (
    FILES,
    NETWORK,
    RANDOM_STATES,
    WORLD_STATE,
    is_file,
    states_of_libraries,
)
from respawn_jobs.resume.invalidation.file_changes import says_gone
from respawn_kernels.session_state import CATALOGUE


@dataclass(frozen=True)
class Step:
    """One place in both notebooks: a finished cell of the run before, a cell of the fixed one, or both."""

    old: Footprint | None
    """None for a cell that is new."""
    new: Footprint | None
    """None for a cell that is gone."""
    changed: str | None = None
    """Why the two are not the same; None for a cell that is as it was."""

    def made(self, name: str) -> bool:
        """Return whether the cell, which is in both notebooks, may have made a name what it is, or will.

        Of a file, what an unchanged cell was seen to do tells, and not what code that nobody followed may do.
        """
        if is_file(name) and self.changed is None and self.old is not None and self.old.files_seen:
            return self.old.opaque is not None or any(overlap(name, one) for one in self.old.writes)
        return self.runs.may_write(name)

    @property
    def runs(self) -> Footprint:
        """What the cell of the fixed notebook does."""
        return self.new or NOTHING

    @property
    def both(self) -> list[Footprint]:
        """What the cell did and what it does, as far as it is in each notebook."""
        return [one for one in (self.old, self.new) if one is not None]

    def touches(self, name: str) -> bool:
        """Return whether the name may matter to the cell, or the cell to the name."""
        return any(one.may_read(name) or one.may_write(name) for one in (self.old, self.new) if one)

    def writes(self, name: str) -> bool:
        """Return whether the cell may write the name, in either notebook."""
        return any(one.may_write(name) for one in (self.old, self.new) if one)


@dataclass
class Reruns:
    """The cells above a point that run again."""

    why: dict[int, str] = field(default_factory=dict)
    """The steps that run again, each with the reason."""
    stale: set[str] = field(default_factory=set)
    """Variables that are removed first."""
    touched: dict[int, str] = field(default_factory=dict)
    """Of these, the name through which a step depends on what is above it."""
    left: set[str] = field(default_factory=set)
    """Files that the run changed, that cells which run need as they were, and that no cell makes anew."""
    impossible: str | None = None
    """Why the state cannot be used at all; None when it can."""


Namer = Callable[[int], str]
"""Returns what people call the cell of a step."""


def find_reruns(
    steps: Sequence[Step],
    point: int,
    name_of: Namer,
    *,
    missing: Iterable[str] = (),
    changed: Iterable[str] = (),
    needed: Iterable[str] = (),
    became: Mapping[str, str] | None = None,
) -> Reruns:
    """Find the steps before `point` that must run again after the state at `point` was restored.

    Args:
        steps: both notebooks, in order.
        point: how many steps the restored state covers.
        name_of: names a step in reasons.
        missing: variables that the state could not hold and that are to be made again.
        changed: files that are no longer as they were at the state.
        needed: those of them that cells below it need as they were; see `left_files`.
        became: what has become of those of them that the run did not change itself, in words.
    """
    became = became or {}
    gone = {name for name, since in became.items() if says_gone(since)}
    search = _Search(list(steps[:point]), name_of, set(missing), set(changed), set(needed), gone)
    found = search.found(became)
    running = [place for place in range(len(steps)) if place >= point or place in found.why]
    asking = next((place for place in running if steps[place].runs.by_prompts), None)
    loading = next((place for place in found.why if _loaded_once(steps[place])), None)
    if loading is not None and found.impossible is None:
        parts = ", ".join(map(label_of, sorted(_loaded_once(steps[loading]))))
        found.impossible = f"modules that {name_of(loading)} imports change {parts} as they are loaded, and"
        found.impossible += " they are loaded already"
    if found.why and asking is not None and found.impossible is None:
        # A cell that runs again gets the next number, and what it gave before stays under its old one.
        found.impossible = f"{name_of(asking)} asks for inputs or results by their prompts, which"
        found.impossible += " cannot be taken back"
    return found


def _loaded_once(step: Step) -> frozenset[str]:
    """Return what a cell changed by importing modules: where they are loaded, it does not change it again."""
    return step.old.by_import if step.old is not None else frozenset()


def makes_anew(footprint: Footprint, name: str) -> bool:
    """Return whether a cell makes a file anew, whatever it was."""
    return (
        footprint.opaque is None
        and name in footprint.sure
        and name not in footprint.reads
        and not _more_than(name, footprint)
    )


class _Search:
    """The fixed point."""

    def __init__(
        self,
        steps: list[Step],
        name_of: Namer,
        missing: set[str],
        changed: set[str],
        needed: set[str],
        gone: set[str],
    ) -> None:
        self.steps = steps
        self.name_of = name_of
        self.found_so_far = Reruns()
        self.since: dict[str, tuple[int, str]] = {}
        """For each stale name the first step from which on it is another, and why."""
        self.universe: set[str] = {*CATALOGUE, WORLD_STATE, FILES}
        """All names that may matter to a cell."""
        for step in steps:
            for one in (step.old, step.new):
                if one is not None:
                    self.universe |= one.reads | one.writes | states_of_libraries(one.uses)
        self.universe -= _put_back(steps)
        self.missing = missing & self.universe | {name for name in missing if self._opaque()}
        self.changed, self.needed, self.gone = changed, needed, gone
        self.universe |= self.missing | changed

    def _opaque(self) -> bool:
        return any(one.opaque is not None for step in self.steps for one in (step.old, step.new) if one)

    def found(self, became: Mapping[str, str]) -> Reruns:
        """Run to the end."""
        for place, step in enumerate(self.steps):
            if step.changed is not None and step.new is not None:
                self._add(place, step.changed)
            elif step.new is None:
                for name in self._written(step):
                    self._stale(
                        name,
                        place,
                        f"{label_of(name)}, which {self.name_of(place)} made, and that cell is gone",
                    )
        for name in self.missing:
            self._need(len(self.steps), name, f"makes {name}, which could not be stored")
        for name in sorted(self.needed):
            since = became.get(name)
            why = f": {since}" if since is not None else ", which the run changed further down"
            self._need(len(self.steps), name, f"makes {label_of(name)}{why}")
        while self._round():
            pass
        found = self.found_so_far
        found.stale = {name for name in self.since if not hidden(name)}
        return found

    def _round(self) -> bool:
        before = (len(self.found_so_far.why), len(self.since), self.found_so_far.impossible)
        for place, step in enumerate(self.steps):
            if step.new is not None and place not in self.found_so_far.why:
                name = self._touched(place, step)
                if name is not None:
                    reads = any(one.may_read(name) for one in (step.old, step.new) if one)
                    self.found_so_far.touched[place] = name
                    self._add(place, f"{'reads' if reads else 'writes'} {self.since[name][1]}")
                elif self._below(place) is not None and any(
                    one.opaque for one in (step.old, step.new) if one
                ):
                    self._add(
                        place, f"may depend on anything, and {self.name_of(self._below(place) or 0)} runs"
                    )
        for place in sorted(self.found_so_far.why):
            for name in self._reads(self.steps[place].runs):
                if name in self.since or name in self.changed or self._written_since(place, name):
                    self._need(place, name, f"makes {label_of(name)} for {self.name_of(place)}")
        for name in list(self.since):
            self._need(len(self.steps), name, f"makes {label_of(name)}, which is not as it was")
        return before != (len(self.found_so_far.why), len(self.since), self.found_so_far.impossible)

    def _add(self, place: int, why: str) -> None:
        if place in self.found_so_far.why:
            return
        self.found_so_far.why[place] = why
        for name in self._written(self.steps[place]):
            self._stale(name, place, f"{label_of(name)}, which {self.name_of(place)} makes")

    def _stale(self, name: str, place: int, why: str) -> None:
        if name not in self.since or place < self.since[name][0]:
            self.since[name] = (place, why)

    def _below(self, place: int) -> int | None:
        """Return a step above one that runs again; None when there is none."""
        return min((other for other in self.found_so_far.why if other < place), default=None)

    def _touched(self, place: int, step: Step) -> str | None:
        """Return the name through which a cell is not what it was, if it is not: the most telling one."""
        touched = (name for name, (since, _) in self.since.items() if since < place and step.touches(name))
        return min(touched, key=lambda name: _vagueness(name, step.both), default=None)

    def _need(self, place: int, name: str, why: str) -> None:
        """Make a name what it is just before a step: whoever wrote it runs, back to one that made it anew."""
        producers, anew = self._producers(place, name)
        if not anew:
            if not is_file(name):
                if hidden(name) and name not in (*RANDOM_STATES, NETWORK):
                    self._give_up(name)
            elif name in self.changed:
                self.found_so_far.left.add(name)
                if name not in self.gone:
                    producers = _not_onto_what_is_left(
                        producers, [self.steps[one].runs for one in producers], name
                    )
        for before in producers:
            if before not in self.found_so_far.why:
                self._add(before, why)
        first = producers[-1] if producers else place
        # Of files, the cells that write them again have said what is another from there on.
        if first < len(self.steps) and not is_file(name):
            self._stale(name, first, f"{label_of(name)}, which {self.name_of(first)} reads or makes")

    def _producers(self, place: int, name: str) -> tuple[list[int], bool]:
        """Return who wrote a name before a step, from there upwards, and whether the last made it anew."""
        found: list[int] = []
        for before in range(place - 1, -1, -1):
            new = self.steps[before].new
            if new is None or not self.steps[before].made(name):
                continue
            found.append(before)
            if name in new.sure and not _more_than(name, new):
                return found, True
        return found, False

    def _give_up(self, name: str) -> None:
        if self.found_so_far.impossible is None and any(step.writes(name) for step in self.steps):
            self.found_so_far.impossible = f"{label_of(name)} cannot be taken back"

    def _written_since(self, place: int, name: str) -> bool:
        return any(step.writes(name) for step in self.steps[place:])

    def _written(self, step: Step) -> list[str]:
        """Return the names that a cell may write; of files those that it names, and not all that overlap.

        A directory that somebody lists would else carry what is written to one file in it to all the others.
        """
        return sorted(
            name
            for name in self.universe
            if step.writes(name) and (not is_file(name) or _names_file(name, step))
        )

    def _reads(self, footprint: Footprint) -> list[str]:
        names = (name for name in self.universe if footprint.may_read(name))
        return sorted(names, key=lambda name: (_vagueness(name, [footprint]), name))


def _vagueness(name: str, footprints: Sequence[Footprint]) -> int:
    """Tell how little a name explains: what cells name explains most, what they may touch least."""
    if any(name in one.reads or name in one.writes for one in footprints):
        return 1 if hidden(name) else 0
    return 2 if name == WORLD_STATE else 3


def _names_file(name: str, step: Step) -> bool:
    """Return whether a cell is known to write this very file or directory, or may write everything."""
    footprints = [one for one in (step.old, step.new) if one is not None]
    return any(
        one.opaque is not None or WORLD_STATE in one.writes or name in one.writes for one in footprints
    )


def _more_than(name: str, footprint: Footprint) -> bool:
    """Return whether a cell that makes a name anew may also change some of what it was."""
    return is_file(name) and any(other != name and overlap(name, other) for other in footprint.writes)


def _not_onto_what_is_left(producers: list[int], footprints: Sequence[Footprint], name: str) -> list[int]:
    """Return the producers of a file without those at the top that are known to go on from what it was.

    A cell that appends would append to what it has appended before.
    """
    while footprints and footprints[-1].opaque is None and name in footprints[-1].reads:
        footprints = footprints[:-1]
    return producers[: len(footprints)]


def _put_back(steps: Sequence[Step]) -> set[str]:
    """Return the parts of the session's state that this kernel puts back after each cell.

    A cell that writes such a part was seen to leave it as it was, and no cell was seen to change it.
    """
    before = [step.old for step in steps if step.old is not None]
    undone = {name for one in before for name in one.undone}
    return {name for name in undone if not any(name in one.writes & one.seen for one in before)}
