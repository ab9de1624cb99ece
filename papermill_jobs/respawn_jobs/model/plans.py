"""Plans of resumes: what each cell will do, and why."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from respawn_jobs.model.base import Model
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.footprint import Footprint
from respawn_jobs.model.open_values import OpenEnum


class PlanAction(OpenEnum):
    """What a resume does with a cell."""

    REUSE = "reuse"
    RUN = "run"
    CANNOT_RESTORE = "cannot restore"


class PlannedCell(Model):
    """What a resume does with one code cell, and why.

    `why` names the dependency where there is one, such as "reads df, which cell 3 makes".
    """

    index: int
    action: PlanAction
    why: str = ""
    title: str = ""
    """First line of the cell's source."""
    once: bool = False
    """Tagged `respawn:once`, and finished in the run that is resumed."""
    unwatched: str | None = None
    """Why it rests on the analysis alone that this cell, which is reused, is independent of what changed;
    None when what was seen of it while it ran says the same, and where nothing above it changed."""
    changed_inputs: list[str] = []
    """What has become of files that this cell, which is reused, has read, as far as they can be seen."""


class NewCell(Model):
    """A code cell that the fixed notebook has and the run's version has not."""

    id: str
    """The notebook's own id of the cell."""
    index: int | None
    """Its place in the notebook that runs; None when it is left out as scratch."""
    title: str = ""
    """First line of the cell's source."""


class Prediction(Model):
    """What a plan takes a cell to do; when the cell does more, the plan is made anew."""

    index: int
    footprint: Footprint


class PlanEstimate(Model):
    """What a resume spares and takes, by what the cells took when they ran before."""

    reused_seconds: float = 0
    """That the reused cells took."""
    run_seconds: float = 0
    """That those of the cells which run took, as far as they had finished before."""
    unknown_cells: int = 0
    """How many of the cells that run had not finished before."""
    restored_bytes: int = 0
    """Of the state that it starts from, all of it; what is not used is not loaded."""
    memory_bytes: int | None = None
    """The most that was in memory while those cells ran before, as the costs of cells have it."""


class Plan(Model):
    """What a resume would do, shown before anything starts."""

    run: str
    first: int | None
    """Index of the first code cell below the restored state: it and all below it run. None for none."""
    rerun: list[int] = []
    """Cells above `first` that run again before it, in their order."""
    checkpoint: Checkpoint | None = None
    """The state it starts from; None when it starts with an empty kernel."""
    cells: list[PlannedCell] = []
    new: list[NewCell] = []
    """Cells that were added, those that are left out as scratch included."""
    stale: list[str] = []
    """Variables of the checkpoint that are removed before anything runs: cells that run make them anew."""
    producers: list[int] = []
    """Cells that run again to make what could not be stored, once that is agreed."""
    imported: list[str] = []
    """The archives that the state it starts from came of: to load it runs their code, and needs consent."""
    breaks: list[str] = []
    """Triggers that give what the fix, which new runs will use, does not take: that needs consent."""
    strict: bool = False
    """Whether everything from the first change on runs again, whatever depends on it."""
    parameters: dict[str, Any] = {}
    """The parameters that it runs with."""
    changed_parameters: list[str] = []
    again: list[int] = []
    """Reused cells that run again on restore, for session state that they set and that was not stored."""
    lost: list[str] = []
    """Session state that was set, that the restored state does not hold, and that no cell makes again."""
    estimate: PlanEstimate = PlanEstimate()
    warnings: list[str] = Field(default=[], exclude=True, repr=False)
    """Of `notices`, what may make the result another one; only within the service."""
    always: list[str] = Field(default=[], exclude=True, repr=False)
    """Of `warnings`, what cells that make something again may make otherwise."""
    predictions: list[Prediction] = Field(default=[], exclude=True, repr=False)
    """What the cells in `rerun` are taken to do; only within the service."""
    problems: list[str] = []
    """Reasons why the resume would be refused; empty when it may start."""
    notices: list[str] = []
    """What changes without stopping the resume, such as an earlier resume point."""
