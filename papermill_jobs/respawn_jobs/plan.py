"""What a resume would do with each cell: reuse it, run it, or refuse because it cannot be restored.

Pure: it looks at what was recorded of a run, at the notebook that ran and at the one that is to go on. Of the
states that were kept, and the empty kernel, it takes the one from which the least is left to execute; which
of the cells above that point run again tells `rerunning`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from respawn_jobs.agreements import Agreements
from respawn_jobs.dependencies import NOTHING
from respawn_jobs.edited_modules import with_edited_modules
from respawn_jobs.handing_over import mapped_checkpoint
from respawn_jobs.inputs import Look
from respawn_jobs.inputs_since import look_at_inputs
from respawn_jobs.left_files import LeftFiles
from respawn_jobs.lost_state import Done, lost_state
from respawn_jobs.matching import FINISHED, Matches, changed_tag, finished_of
from respawn_jobs.models import (
    CellRecord,
    CellState,
    Checkpoint,
    Plan,
    PlanAction,
    PlannedCell,
    Prediction,
)
from respawn_jobs.named_files import Newer
from respawn_jobs.notebooks import TAG_ALWAYS, TAG_ONCE, TAG_SKIP, cell_tags, code_cells, title
from respawn_jobs.parameters import changed_parameters
from respawn_jobs.reasons import how_seen
from respawn_jobs.rerunning import Reruns
from respawn_jobs.steps import Changes, Seen, make_steps, told_edit
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode

_PER_CELL = 0.001
"""Seconds that a cell is taken to need at least, so that of two plans the one with fewer cells is better."""


@dataclass(frozen=True)
class Ended:
    """What was recorded of the run that is resumed."""

    run: str
    kernel: str
    lock: str | None
    cells: list[CellRecord]
    """Its code cells in order."""
    checkpoints: list[Checkpoint]
    notebook: NotebookNode | None = None
    """The notebook in the form that ran; None when it is not known."""
    parameters: dict[str, Any] = field(default_factory=dict)
    directory: str | None = None
    """Where it ran."""
    since: list[CellRecord] = field(default_factory=list)
    """Cells that runs which went on from it have executed."""


@dataclass(frozen=True)
class Agreed:
    """What a person agreed to."""

    rerun_once: bool = False
    """Cells tagged `respawn:once` which had finished run again."""
    rerun_makers: bool = False
    """Cells run again to make what could not be stored."""
    strict: bool = False
    """Everything from the first change on runs again, whatever depends on it."""


@dataclass
class Start:
    """A state to start from, and what must run again above it."""

    point: int
    """How many steps the state covers."""
    checkpoint: Checkpoint | None
    reruns: Reruns


def plan_resume(
    ended: Ended,
    executed: NotebookNode,
    *,
    kernel: str,
    lock: str | None,
    language: str,
    parameters: dict[str, Any] | None = None,
    agreed: Agreed | None = None,
    seen: Mapping[int, CellEvidence] | None = None,
    look: Look | None = None,
    newer: Newer | None = None,
    only: str | None = None,
) -> Plan:
    """Tell what resuming `ended` with the notebook `executed` would do.

    Args:
        ended: the run that is resumed.
        executed: the notebook in its executed form (parameters injected); the plan's indices are its own.
        kernel: name of the kernel that would run.
        lock: hash of that kernel's lock file as it is now.
        language: the kernel's language; only Python's names can be followed.
        parameters: the parameters that are injected; those of the run when left out.
        agreed: what a person agreed to.
        seen: what was seen of cells of `executed`, by index, when they ran in this form since.
        look: tells files as they are now; None where they cannot be seen.
        newer: tells files that were written since; None where they cannot be seen, or the run goes on.
        only: manifest of the state to start from, wherever that is possible; None for the best.
    """
    given = ended.parameters if parameters is None else parameters
    agreed = agreed or Agreed()
    python = language.lower() == "python"
    draft = Draft(ended, code_cells(executed), given, seen or {}, look, python=python)
    draft.choose(kernel, lock, strict=agreed.strict, only=only)
    agreements = Agreements(draft, agreed)
    agreements.make_again()
    draft.plan_cells()
    draft.make_lost_state_again()
    look_at_inputs(draft, look, newer)
    agreements.guard()
    return draft.result()


class Draft:
    """A plan in the making."""

    def __init__(
        self,
        ended: Ended,
        cells: Sequence[tuple[int, NotebookNode]],
        parameters: dict[str, Any],
        seen: Mapping[int, CellEvidence],
        look: Look | None,
        *,
        python: bool,
    ) -> None:
        self.ended, self._look = ended, look
        self.cells = [cell for _, cell in cells]
        self.indices = [index for index, _ in cells]
        self.python = python
        self.planned: list[PlannedCell] = []
        self.problems: list[str] = []
        self.notices: list[str] = []
        self.makers: list[int] = []
        self.again: list[int] = []
        self.lost: list[str] = []
        self.said: list[str] = []
        self.stale_inputs: list[str] = []
        self.always: list[str] = []
        self.parameters = parameters
        self.changed = changed_parameters(ended.parameters, parameters)
        self.finished = finished_of(ended.cells)
        ran_as = [] if ended.notebook is None else code_cells(ended.notebook)[: len(self.finished)]
        whole = ended.notebook is not None and len(ran_as) == len(self.finished)
        self.before = [cell for _, cell in ran_as] if whole else None
        self.places, self.steps = make_steps(
            self.finished,
            self.before,
            self.cells,
            Changes(self.changed, parameters),
            Seen(
                ended.directory, {at: seen[index] for at, index in enumerate(self.indices) if index in seen}
            ),
            python=python,
        )
        if look is not None:
            self.steps = with_edited_modules(self.places, self.steps, self.finished, self.cells, look)
        same = {
            place.new: place.old
            for place, step in zip(self.places, self.steps, strict=True)
            if place.old is not None and place.new is not None and step.changed is None
        }
        self.matches = Matches(self.cells, ended.cells, same)
        self.left_files = LeftFiles(
            ended.cells, ended.notebook, ended.directory, ended.since, python=python, look=look
        )
        self.start = Start(0, None, Reruns())
        self._steps_of = {place.new: step for step, place in enumerate(self.places)}
        self._first_change = next((at for at, one in enumerate(self.steps) if one.changed is not None), None)
        self.strict = False
        self._strict_from: int | None = None
        self._unusable: dict[int, str] = {}

    def choose(self, kernel: str, lock: str | None, *, strict: bool, only: str | None = None) -> None:
        """Choose the state to start from: the one after which the least is executed.

        With `strict` it lies above the first change, so that everything from there on is executed.
        """
        self.strict = strict
        self._strict_from = self._first_change if strict else None
        ended = self.ended
        if kernel != ended.kernel:
            self.notices.append(f"the kernel changed from {ended.kernel} to {kernel}: every cell runs again")
        elif lock != ended.lock:
            self.notices.append(
                f"the environment of kernel {kernel} was rebuilt since the run: every cell runs again"
            )
        else:
            starts = [
                self.start,
                *(start for start in self._possible() if not self._strict_at(start.point - 1)),
            ]
            wanted = [one for one in starts if only and one.checkpoint and one.checkpoint.manifest == only]
            self.start = min(wanted or starts, key=self._cost)
            self._tell_starts(starts)

    def _strict_at(self, step: int) -> bool:
        """Tell whether a step is the first change or below it, where a strict resume reuses nothing."""
        return self._strict_from is not None and step >= self._strict_from

    def _possible(self) -> list[Start]:
        kept = {checkpoint.cell: checkpoint for checkpoint in self.ended.checkpoints}
        found = []
        for step, place in enumerate(self.places):
            record = self.finished[place.old] if place.old is not None else None
            if record is None or record.index not in kept:
                continue
            point = step + 1
            found.append(Start(point, self._mapped(kept[record.index]), self.reruns_at(point)))
        self._unusable = {start.point: why for start in found if (why := start.reruns.impossible) is not None}
        return [start for start in found if start.point not in self._unusable]

    def _cost(self, start: Start) -> tuple[int, float, int]:
        """Return what a start costs: cells run twice that should not, seconds, cells out of their order."""
        running = [step for step, place in enumerate(self.places) if place.new is not None]
        running = [step for step in running if step >= start.point or step in start.reruns.why]
        once = sum(self._once_again(step) for step in running)
        seconds = sum(_PER_CELL + self._seconds(step) for step in running)
        return once, round(seconds, 4), len(start.reruns.why)

    def _once_again(self, step: int) -> bool:
        new = self.places[step].new
        return new is not None and TAG_ONCE in self.tags(new) and self.had_finished(new)

    def _seconds(self, step: int) -> float:
        new = self.places[step].new
        before = self.matches.own(new) if new is not None else None
        return (before.seconds or 0.0) if before is not None else 0.0

    def _tell_starts(self, starts: Sequence[Start]) -> None:
        """Say which edits of finished cells have consequences, and which cells run for want of a state."""
        for step, place in enumerate(self.places):
            why = self.steps[step].changed
            if place.new is not None and why not in (None, "new") and step < self._end():
                self.notices.append(told_edit(self.indices[place.new], str(why), self.changed))
        last = self._end()
        needless = [self._new(step) for step in range(self.start.point, last) if not self._must(step)]
        cells = [new for new in needless if new is not None]
        if cells:
            records = [self.matches.own(new) for new in cells]
            why = next((record.note for record in records if record is not None and record.note), None)
            after = self.indices[cells[-1]]
            unusable = self._unusable.get(self.step_of(cells[-1]) + 1)
            what = f"cannot be used ({unusable})" if unusable else f"was not kept{f' ({why})' if why else ''}"
            again = ", ".join(str(self.indices[cell]) for cell in cells)
            self.notices.append(f"run again only because the state after cell {after} {what}: cell {again}")

    def _end(self) -> int:
        """Return how many steps there are to the last finished cell."""
        return max((step + 1 for step, place in enumerate(self.places) if place.old is not None), default=0)

    def _must(self, step: int) -> bool:
        return self._new(step) is None or step in self.everything.why or self._strict_at(step)

    def _new(self, step: int) -> int | None:
        return self.places[step].new

    @property
    def everything(self) -> Reruns:
        """What would have to run again if every state had been kept."""
        if not hasattr(self, "_everything"):
            self._everything = self.reruns_at(self._end())
        return self._everything

    def reruns_at(self, point: int, missing: Iterable[str] = ()) -> Reruns:
        """Return what must run again above a state that covers `point` steps."""
        records = [None if one.old is None else self.finished[one.old] for one in self.places]
        return self.left_files.reruns(self.steps, records, point, self.name_of, missing)

    def plan_cells(self) -> None:
        """Say for each cell what is done with it."""
        for place, (index, cell) in enumerate(zip(self.indices, self.cells, strict=True)):
            runs = not self.reused(place)
            self.planned.append(
                PlannedCell(
                    index=index,
                    action=PlanAction.RUN if runs else PlanAction.REUSE,
                    why=self._why_run(place) if runs else self._why_reused(place),
                    title=title(cell),
                    once=TAG_ONCE in self.tags(place) and self.had_finished(place),
                    unwatched=None if runs or not self._below_a_change(place) else self._unwatched(place),
                )
            )
        self._tell_unwatched()

    def make_lost_state_again(self) -> None:
        """Say which session state the restored state does not hold, and which cells run again for it."""
        if self.start.checkpoint is None:
            return
        done = [
            Done(
                self.indices[place.new] if place.new is not None and self.reused(place.new) else None,
                self.finished[place.old],
                step.old or NOTHING,
                str(self.before[place.old].source) if self.before is not None else "",
                frozenset(self.tags(place.new)) if place.new is not None else frozenset(),
            )
            for place, step in zip(self.places[: self.start.point], self.steps, strict=False)
            if place.old is not None
        ]
        running = [self.steps[step].runs for step in self.start.reruns.why]
        found = lost_state(self.start.checkpoint.unstored, done, running)
        self.again = sorted(found.again)
        self.lost = found.told
        for at, cell in enumerate(self.planned):
            if cell.index in found.again and TAG_ALWAYS not in cell_tags(self.cells[at]):
                why = (
                    f"reused; runs again on restore for {found.again[cell.index]}, which could not be stored"
                )
                self.planned[at] = cell.model_copy(update={"why": why})

    def _below_a_change(self, place: int) -> bool:
        return self._first_change is not None and self.step_of(place) > self._first_change

    def _unwatched(self, place: int) -> str | None:
        old = self.steps[self.step_of(place)].old
        return old.unwatched if old is not None else None

    def _tell_unwatched(self) -> None:
        """Say once why what is reused below a change rests on the analysis alone."""
        cells: dict[str, list[str]] = {}
        for cell in self.planned:
            if cell.unwatched is not None:
                cells.setdefault(cell.unwatched, []).append(str(cell.index))
        for why, indices in cells.items():
            several = "s" if len(indices) > 1 else ""
            self.notices.append(
                f"that cell{several} {', '.join(indices)} can be reused rests on the analysis alone: {why}"
            )

    def result(self) -> Plan:
        """Return the finished plan."""
        below = [place for place in range(len(self.cells)) if self.step_of(place) >= self.start.point]
        return Plan(
            run=self.ended.run,
            first=self.indices[below[0]] if below else None,
            rerun=[self.indices[place] for place in self.rerun()],
            checkpoint=self.start.checkpoint,
            cells=self.planned,
            stale=sorted(self.start.reruns.stale) if self.start.checkpoint else [],
            makers=self.makers,
            again=self.again,
            lost=self.lost,
            said=self.said,
            always=self.always,
            predictions=[
                Prediction(index=self.indices[place], footprint=self.steps[self.step_of(place)].runs)
                for place in self.rerun()
            ],
            problems=self.problems,
            notices=self.notices,
            strict=self.strict,
            parameters=self.parameters,
            changed_parameters=list(self.changed),
        )

    # What is known of a cell, by its place among the code cells

    def record_of(self, place: int) -> CellRecord | None:
        """Return the record of a cell that had finished as it is."""
        old = self.places[self.step_of(place)].old
        return self.finished[old] if old is not None else None

    def step_of(self, place: int) -> int:
        """Return the step of a cell."""
        return self._steps_of[place]

    def rerun(self) -> list[int]:
        """Return the places of the cells above the restored state that run again."""
        places = [self.places[step].new for step in sorted(self.start.reruns.why)]
        return [place for place in places if place is not None]

    def reused(self, place: int) -> bool:
        """Tell whether a cell is reused."""
        step = self.step_of(place)
        return step < self.start.point and step not in self.start.reruns.why

    def runs(self, place: int) -> bool:
        """Tell whether a cell executes, if only to make its variables again."""
        tags = cell_tags(self.cells[place])
        return TAG_SKIP not in tags and (not self.reused(place) or TAG_ALWAYS in tags)

    def tags(self, place: int) -> set[str]:
        """Return the tags that a cell has or had."""
        before = self.matches.of(place)
        return {*cell_tags(self.cells[place]), *(before.tags if before else [])}

    def had_finished(self, place: int) -> bool:
        """Tell whether a cell had finished, and was not merely left out."""
        before = self.matches.of(place)
        return before is not None and ran(before)

    def name_of(self, step: int) -> str:
        """Return what people call the cell of a step."""
        place = self.places[step]
        if place.new is not None:
            return f"cell {self.indices[place.new]}"
        record = self.finished[place.old] if place.old is not None else None
        return f"cell {record.index} of {self.ended.run}" if record else "a cell"

    def unstored_of(self, index: int) -> str:
        """Return the names of what a cell made and the state could not hold."""
        unstored = self.start.checkpoint.unstored if self.start.checkpoint else []
        return ", ".join(item.name for item in unstored if item.cell == index)

    def _why_reused(self, place: int) -> str:
        if TAG_ALWAYS not in cell_tags(self.cells[place]):
            if not self._below_a_change(place):
                return "unchanged and finished"
            if self._unwatched(place) is not None:
                return "unchanged and finished; by the analysis alone independent of what changes"
            return "unchanged and finished; was seen to touch nothing that changes"
        made = self.unstored_of(self.indices[place]) or "its variables"
        return f"rerun to make {made} again (tagged {TAG_ALWAYS})"

    def _why_run(self, place: int) -> str:
        step = self.step_of(place)
        why = self.start.reruns.why.get(step) or self.steps[step].changed
        if why is not None and why != "new":
            return why + self._how_seen(self.start.reruns, step)
        before = self.matches.own(place)
        if before is None:
            return "new"
        if before.state in FINISHED and self.places[step].old is not None:
            why = self.everything.why.get(step)
            return why + self._how_seen(self.everything, step) if why else self._why_not_reused(step)
        why = _why_unfinished(before, self.cells[place])
        return "it ran after a cell that failed" if why == "moved" and before not in self.finished else why

    def _how_seen(self, reruns: Reruns, step: int) -> str:
        name, place, one = reruns.touched.get(step), self.places[step], self.steps[step]
        if name is None or place.new is None or place.old is None or one.old is None:
            return ""
        return how_seen(name, self.finished[place.old], one.old, str(self.cells[place.new].source))

    def _why_not_reused(self, step: int) -> str:
        if self._strict_from is not None and step > self._strict_from:
            return f"below {self.name_of(self._strict_from)}, which changed (strict)"
        unusable = self._unusable.get(step + 1)
        return (
            f"the state after it cannot be used: {unusable}"
            if unusable
            else "the state after it was not kept"
        )

    def _mapped(self, checkpoint: Checkpoint) -> Checkpoint:
        return mapped_checkpoint(checkpoint, self.new_indices())

    def new_indices(self) -> dict[int, int]:
        """Return where the cells of the run before are now; what is gone is where the next above it is."""
        found: dict[int, int] = {}
        last = 0
        for place in self.places:
            last = self.indices[place.new] if place.new is not None else last
            if place.old is not None:
                found[self.finished[place.old].index] = last
        return found


def ran(record: CellRecord) -> bool:
    """Tell whether a cell finished and was not merely left out."""
    return record.state in FINISHED and TAG_SKIP not in record.tags


def _why_unfinished(before: CellRecord, cell: NotebookNode) -> str:
    from respawn_jobs.notebooks import source_hash

    if source_hash(cell.source) != before.source_hash:
        return "edited"
    if tag := changed_tag(before, cell):
        return f"its tag {tag} changed"
    if before.state is CellState.FAILED:
        return "failed"
    return "moved" if before.state in FINISHED else "had not run"
