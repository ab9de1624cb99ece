"""What a resume does with each cell, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respawn_jobs.dataflow import NOTHING
from respawn_jobs.model.plans import PlanAction, PlannedCell
from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.document import (
    TAG_ALWAYS,
    TAG_ONCE,
    cell_tags,
    source_hash,
    title,
)
from respawn_jobs.resume.draft import Draft
from respawn_jobs.resume.invalidation.alignment import FINISHED, changed_tag
from respawn_jobs.resume.invalidation.evidence_reasons import how_seen
from respawn_jobs.resume.invalidation.reruns import Reruns
from respawn_jobs.resume.lost_state import FinishedCell, lost_state
from respawn_kernels.counting import noun

if TYPE_CHECKING:
    from nbformat import NotebookNode


def plan_cells(draft: Draft) -> None:
    """Say for each cell what is done with it."""
    for place, (index, cell) in enumerate(zip(draft.indices, draft.cells, strict=True)):
        runs = not draft.reused(place)
        draft.planned.append(
            PlannedCell(
                index=index,
                action=PlanAction.RUN if runs else PlanAction.REUSE,
                why=_why_run(draft, place) if runs else _why_reused(draft, place),
                title=title(cell),
                once=TAG_ONCE in draft.tags(place) and draft.had_finished(place),
                unwatched=None if runs or not _below_a_change(draft, place) else _unwatched(draft, place),
            )
        )
    _report_unwatched(draft)


def make_lost_state_again(draft: Draft) -> None:
    """Say which session state the restored state does not hold, and which cells run again for it."""
    if draft.start.checkpoint is None:
        return
    done = [
        FinishedCell(
            draft.indices[place.new] if place.new is not None and draft.reused(place.new) else None,
            draft.finished[place.old],
            step.old or NOTHING,
            str(draft.before[place.old].source) if draft.before is not None else "",
            frozenset(draft.tags(place.new)) if place.new is not None else frozenset(),
        )
        for place, step in zip(draft.places[: draft.start.point], draft.steps, strict=False)
        if place.old is not None
    ]
    running = [draft.steps[step].runs for step in draft.start.reruns.why]
    found = lost_state(draft.start.checkpoint.unstored, done, running)
    draft.again = sorted(found.again)
    draft.lost = found.messages
    for at, cell in enumerate(draft.planned):
        if cell.index in found.again and TAG_ALWAYS not in cell_tags(draft.cells[at]):
            why = f"reused; runs again on restore for {found.again[cell.index]}, which could not be stored"
            draft.planned[at] = cell.model_copy(update={"why": why})


def _report_unwatched(draft: Draft) -> None:
    """Say once why what is reused below a change rests on the analysis alone."""
    cells: dict[str, list[str]] = {}
    for cell in draft.planned:
        if cell.unwatched is not None:
            cells.setdefault(cell.unwatched, []).append(str(cell.index))
    for why, indices in cells.items():
        which = noun(len(indices), "cell")
        draft.notices.append(
            f"that {which} {', '.join(indices)} can be reused rests on the analysis alone: {why}"
        )


def _below_a_change(draft: Draft, place: int) -> bool:
    return draft.first_change is not None and draft.step_of(place) > draft.first_change


def _unwatched(draft: Draft, place: int) -> str | None:
    old = draft.steps[draft.step_of(place)].old
    return old.unwatched if old is not None else None


def _why_reused(draft: Draft, place: int) -> str:
    if TAG_ALWAYS not in cell_tags(draft.cells[place]):
        if not _below_a_change(draft, place):
            return "unchanged and finished"
        if _unwatched(draft, place) is not None:
            return "unchanged and finished; by the analysis alone independent of what changes"
        return "unchanged and finished; was seen to touch nothing that changes"
    made = draft.unstored_of(draft.indices[place]) or "its variables"
    return f"rerun to make {made} again (tagged {TAG_ALWAYS})"


def _why_run(draft: Draft, place: int) -> str:
    step = draft.step_of(place)
    why = draft.start.reruns.why.get(step) or draft.steps[step].changed
    if why is not None and why != "new":
        return why + _how_seen(draft, draft.start.reruns, step)
    before = draft.matches.own(place)
    if before is None:
        return "new"
    if before.state in FINISHED and draft.places[step].old is not None:
        why = draft.everything.why.get(step)
        return why + _how_seen(draft, draft.everything, step) if why else _why_not_reused(draft, step)
    why = _why_unfinished(before, draft.cells[place])
    return "it ran after a cell that failed" if why == "moved" and before not in draft.finished else why


def _how_seen(draft: Draft, reruns: Reruns, step: int) -> str:
    name, place, one = reruns.touched.get(step), draft.places[step], draft.steps[step]
    if name is None or place.new is None or place.old is None or one.old is None:
        return ""
    return how_seen(name, draft.finished[place.old], one.old, str(draft.cells[place.new].source))


def _why_not_reused(draft: Draft, step: int) -> str:
    if draft.strict_from is not None and step > draft.strict_from:
        return f"below {draft.name_of(draft.strict_from)}, which changed (strict)"
    if draft.earlier_for:
        return f"from an earlier state, for {', '.join(draft.earlier_for)} could not be stored"
    unusable = draft.unusable.get(step + 1)
    return f"the state after it cannot be used: {unusable}" if unusable else "the state after it was not kept"


def _why_unfinished(before: CellRecord, cell: NotebookNode) -> str:
    if source_hash(cell.source) != before.source_hash:
        return "edited"
    if tag := changed_tag(before, cell):
        return f"its tag {tag} changed"
    if before.state is CellState.FAILED:
        return "failed"
    return "moved" if before.state in FINISHED else "had not run"
