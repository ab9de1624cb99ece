"""Two notebooks as one sequence of steps: what ran, what is to run, and what each cell reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from respawn_jobs.dataflow import NOTHING, Footprint, footprints, observed
from respawn_jobs.model.runs import CellRecord
from respawn_jobs.notebook.document import TAG_INJECTED, TAG_RAISES, TAG_SKIP, cell_tags, source_hash
from respawn_jobs.resume.invalidation.alignment import align, changed_tag
from respawn_jobs.resume.invalidation.reruns import Step
from respawn_kernels.counting import noun
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode

_UNKNOWN = Footprint(opaque="its source is not known")


@dataclass(frozen=True)
class CellPlace:
    """Where a step is in both notebooks, as a place among the code cells."""

    old: int | None
    new: int | None


@dataclass(frozen=True)
class SeenCells:
    """What was seen of cells while they ran, beside what their records hold."""

    directory: str | None = None
    """Where the notebook ran."""
    again: Mapping[int, CellEvidence] = field(default_factory=dict)
    """Of cells that are to run, what was seen when this very source ran since; by place."""


@dataclass(frozen=True)
class Changes:
    """Parameters that are not what they were."""

    names: Sequence[str]
    values: Mapping[str, Any]
    """All parameters as they are now."""


def make_steps(
    finished: Sequence[CellRecord],
    old: Sequence[NotebookNode] | None,
    new: Sequence[NotebookNode],
    changes: Changes,
    seen: SeenCells,
    *,
    python: bool,
) -> tuple[list[CellPlace], list[Step]]:
    """Align two notebooks and tell what their cells do.

    Args:
        finished: the records of the cells that had finished, from the top.
        old: the code cells that ran; None when they are not known.
        new: the code cells that are to run.
        changes: what changed in the parameters.
        seen: what was seen of them.
        python: whether the cells are Python and can be followed.
    """
    pairs = _edits(align(new, finished), finished, new)
    analysed = _footprints(old, python) if old is not None else [_UNKNOWN] * len(finished)
    before = [
        observed(one, record.evidence, directory=seen.directory)
        for one, record in zip(analysed, finished, strict=True)
    ]
    after = [_again(one, place, seen) for place, one in enumerate(_footprints(new, python))]
    known = {record.cell_id for record in finished}
    places, steps = [], []
    for one, other in pairs:
        why = None
        if other is None:
            why = "gone"
        elif TAG_INJECTED in cell_tags(new[other]) and changes.names:
            why = describe_changed_parameters(changes.names)
        elif TAG_INJECTED not in cell_tags(new[other]) and (
            one is None or _differ(finished[one], new[other])
        ):
            same = [record for record in finished if record.source_hash == source_hash(new[other].source)]
            why = (
                _why_moved(same, new[other])
                if same
                else "edited"
                if str(new[other].get("id")) in known
                else "new"
            )
        places.append(CellPlace(one, other))
        steps.append(
            Step(
                before[one] if one is not None else None,
                _following(after[other], finished[one] if one is not None and why is None else None, seen)
                if other is not None
                else None,
                why,
            )
        )
    return places, _with_parameters(places, steps, new, changes)


def _following(footprint: Footprint, same: CellRecord | None, seen: SeenCells) -> Footprint:
    """Return what a cell that is to run does; `same` is what is known of it where it ran as it is."""
    return footprint if same is None else observed(footprint, same.evidence, directory=seen.directory)


def _again(footprint: Footprint, place: int, seen: SeenCells) -> Footprint:
    """Return what a cell does by what was seen when this source ran since; what it bound then, it binds."""
    evidence = seen.again.get(place)
    if evidence is None:
        return footprint
    found = observed(footprint, evidence, directory=seen.directory)
    return replace(found, sure=found.sure | set(evidence.bound))


def describe_changed_parameters(names: Sequence[str]) -> str:
    """Return that parameters changed, in words."""
    return f"{noun(len(names), 'parameter')} {', '.join(names)} changed"


def describe_edit(index: int, why: str, changed: Sequence[str]) -> str:
    """Return that a cell which had finished is not what it was, in words.

    Args:
        index: of the cell in the notebook that goes on.
        why: what is different, in words.
        changed: names of the parameters that have another value.
    """
    if changed and why == describe_changed_parameters(changed):
        return f"{why}: the cells that depend on {'them' if len(changed) > 1 else 'it'} run again"
    return (
        f"cell {index}: {why}, although it had finished: it runs again, and so do the cells that depend on it"
    )


def _edits(
    pairs: Sequence[tuple[int | None, int | None]],
    finished: Sequence[CellRecord],
    new: Sequence[NotebookNode],
) -> list[tuple[int | None, int | None]]:
    """Make one of what is gone and what came in its place, where all of a stretch have kept their ids."""
    found: list[tuple[int | None, int | None]] = []
    gone: list[int] = []
    come: list[int] = []

    def close() -> None:
        same = len(gone) == len(come) and all(
            finished[one].cell_id == str(new[other].get("id")) for one, other in zip(gone, come, strict=True)
        )
        found.extend(
            zip(gone, come, strict=True)
            if same
            else [*((one, None) for one in gone), *((None, other) for other in come)]
        )
        gone.clear()
        come.clear()

    for one, other in pairs:
        if one is not None and other is not None:
            close()
            found.append((one, other))
        elif one is not None:
            gone.append(one)
        elif other is not None:
            come.append(other)
    close()
    return found


def _differ(record: CellRecord, cell: NotebookNode) -> bool:
    return record.source_hash != source_hash(cell.source) or changed_tag(record, cell) is not None


def _why_moved(same: Sequence[CellRecord], cell: NotebookNode) -> str:
    changed = [changed_tag(record, cell) for record in same]
    if all(changed):
        return f"its tag {changed[0]} changed"
    return "new" if all(record.cell_id != str(cell.get("id")) for record in same) else "moved"


def _footprints(cells: Sequence[NotebookNode], python: bool) -> list[Footprint]:
    if not python:
        return [Footprint(opaque="it is not Python")] * len(cells)
    run = [cell for cell in cells if TAG_SKIP not in cell_tags(cell)]
    found = iter(
        footprints([cell.source for cell in run], may_raise=[TAG_RAISES in cell_tags(cell) for cell in run])
    )
    return [NOTHING if TAG_SKIP in cell_tags(cell) else next(found) for cell in cells]


def _with_parameters(
    places: Sequence[CellPlace], steps: list[Step], new: Sequence[NotebookNode], changes: Changes
) -> list[Step]:
    """Let the injected cell write only what it changes when it runs again.

    It gives every parameter its value once more. For one that is the same number or text as before, and that
    nothing else writes, this makes no difference.
    """
    for at, (place, step) in enumerate(zip(places, steps, strict=True)):
        injected = place.new is not None and TAG_INJECTED in cell_tags(new[place.new])
        if not injected or not step.changed or step.runs.opaque is not None:
            continue
        others = [other for other in steps[at + 1 :] if other is not step]
        kept = {
            name
            for name, value in changes.values.items()
            if name not in changes.names
            and not isinstance(value, list | dict)
            and not any(other.writes(name) for other in others)
        }
        steps[at] = Step(_less(step.old, kept), _less(step.new, kept), step.changed)
    return steps


def _less(footprint: Footprint | None, kept: set[str]) -> Footprint | None:
    if footprint is None:
        return None
    return replace(footprint, writes=footprint.writes - kept, sure=footprint.sure - kept)
