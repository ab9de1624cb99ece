"""A plan in the making: what is known of the run before and of the cells, and what is decided so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.plans import Plan, PlannedCell, Prediction
from respawn_jobs.model.runs import CellRecord
from respawn_jobs.notebook.document import TAG_ALWAYS, TAG_SKIP, cell_tags, code_cells
from respawn_jobs.notebook.parameter_values import changed_parameters
from respawn_jobs.resume.carry_over import mapped_checkpoint
from respawn_jobs.resume.files.carried_edits import CarriedEdits
from respawn_jobs.resume.files.edited_modules import with_edited_modules
from respawn_jobs.resume.files.left_files import LeftFiles
from respawn_jobs.resume.invalidation.alignment import FINISHED, Matches, finished_of
from respawn_jobs.resume.invalidation.file_changes import Look
from respawn_jobs.resume.invalidation.reruns import Reruns
from respawn_jobs.resume.invalidation.steps import Changes, SeenCells, make_steps
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True)
class EndedRun:
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
    edits: CarriedEdits | None = None
    """What the version that goes on carries otherwise; None for nothing."""


@dataclass(frozen=True)
class Agreed:
    """What a person agreed to."""

    rerun_once: bool = False
    """Cells tagged `respawn:once` which had finished run again."""
    rerun_producers: bool = False
    """Cells run again to make what could not be stored."""
    strict: bool = False
    """Everything from the first change on runs again, whatever depends on it."""


@dataclass
class StartingPoint:
    """A state to start from, and what must run again above it."""

    point: int
    """How many steps the state covers."""
    checkpoint: Checkpoint | None
    reruns: Reruns


class Draft:
    """A plan in the making."""

    def __init__(
        self,
        ended: EndedRun,
        cells: Sequence[tuple[int, NotebookNode]],
        parameters: dict[str, Any],
        seen: Mapping[int, CellEvidence],
        look: Look | None,
        *,
        python: bool,
    ) -> None:
        """Compare what ran with what would run now; nothing is decided yet but to start from the top.

        Args:
            ended: the run that is resumed.
            cells: the code cells that would run, each with its index in the notebook.
            parameters: JSON values by name, as they would be injected.
            seen: what was seen of cells, by index, when they ran in this form since.
            look: tells files as they are now; None where they cannot be seen.
            python: whether the kernel's language is Python, whose names can be followed.
        """
        self.ended, self._look = ended, look
        self.cells = [cell for _, cell in cells]
        self.indices = [index for index, _ in cells]
        self.python = python
        self.planned: list[PlannedCell] = []
        self.problems: list[str] = []
        self.notices: list[str] = []
        self.producers: list[int] = []
        self.earlier_for: list[str] = []
        self.again: list[int] = []
        self.lost: list[str] = []
        self.warnings: list[str] = []
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
            SeenCells(
                ended.directory, {at: seen[index] for at, index in enumerate(self.indices) if index in seen}
            ),
            python=python,
        )
        self.steps = with_edited_modules(
            self.places, self.steps, self.finished, self.cells, look, ended.edits
        )
        same = {
            place.new: place.old
            for place, step in zip(self.places, self.steps, strict=True)
            if place.old is not None and place.new is not None and step.changed is None
        }
        self.matches = Matches(self.cells, ended.cells, same)
        self.left_files = LeftFiles(
            ended.cells, ended.notebook, ended.directory, ended.since, python=python, look=look
        )
        self.start = StartingPoint(0, None, Reruns())
        self.starts = [self.start]
        """Where it may start, the best first."""
        self._steps_of = {place.new: step for step, place in enumerate(self.places)}
        self.first_change = next((at for at, one in enumerate(self.steps) if one.changed is not None), None)
        self.strict = False
        self.strict_from: int | None = None
        self.unusable: dict[int, str] = {}

    def end(self) -> int:
        """Return how many steps there are to the last finished cell."""
        return max((step + 1 for step, place in enumerate(self.places) if place.old is not None), default=0)

    @property
    def everything(self) -> Reruns:
        """What would have to run again if every state had been kept."""
        if not hasattr(self, "_everything"):
            self._everything = self.reruns_at(self.end())
        return self._everything

    def reruns_at(self, point: int, missing: Iterable[str] = ()) -> Reruns:
        """Return what must run again above a state that covers `point` steps."""
        records = [None if one.old is None else self.finished[one.old] for one in self.places]
        return self.left_files.reruns(self.steps, records, point, self.name_of, missing)

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
            producers=self.producers,
            again=self.again,
            lost=self.lost,
            warnings=self.warnings,
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
        """Return whether a cell is reused."""
        step = self.step_of(place)
        return step < self.start.point and step not in self.start.reruns.why

    def runs(self, place: int) -> bool:
        """Return whether a cell executes, if only to make its variables again."""
        tags = cell_tags(self.cells[place])
        return TAG_SKIP not in tags and (not self.reused(place) or TAG_ALWAYS in tags)

    def tags(self, place: int) -> set[str]:
        """Return the tags that a cell has or had."""
        before = self.matches.of(place)
        return {*cell_tags(self.cells[place]), *(before.tags if before else [])}

    def had_finished(self, place: int) -> bool:
        """Return whether a cell had finished, and was not merely left out."""
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

    def mapped(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a state that was kept, with the cells where they are now."""
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
    """Return whether a cell finished and was not merely left out."""
    return record.state in FINISHED and TAG_SKIP not in record.tags
