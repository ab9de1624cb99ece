"""The state from which a resume starts: the one after which the least is executed."""

from __future__ import annotations

from collections.abc import Sequence

from respawn_jobs.notebook.document import TAG_ONCE
from respawn_jobs.resume.draft import Draft, StartingPoint
from respawn_jobs.resume.invalidation.steps import describe_edit

_PER_CELL = 0.001
"""Seconds that a cell is taken to need at least, so that of two plans the one with fewer cells is better."""


def choose(draft: Draft, kernel: str, lock: str | None, *, strict: bool, only: str | None = None) -> None:
    """Choose the state to start from: the one after which the least is executed.

    Args:
        draft: gets the start, and notices about it.
        kernel: name of the kernel that would run.
        lock: hash of that kernel's lock file as it is now; None when it has none.
        strict: whether the state lies above the first change, so that everything from there on is executed.
        only: manifest of the state to start from, wherever that is possible; None for the best.
    """
    draft.strict = strict
    draft.strict_from = draft.first_change if strict else None
    ended = draft.ended
    if kernel != ended.kernel:
        draft.notices.append(f"the kernel changed from {ended.kernel} to {kernel}: every cell runs again")
    elif lock != ended.lock:
        draft.notices.append(
            f"the environment of kernel {kernel} was rebuilt since the run: every cell runs again"
        )
    else:
        starts = [
            draft.start,
            *(start for start in _possible(draft) if not _strict_at(draft, start.point - 1)),
        ]
        wanted = [one for one in starts if only and one.checkpoint and one.checkpoint.manifest == only]
        draft.starts = sorted(wanted or starts, key=lambda one: cost_of(draft, one))
        draft.start = draft.starts[0]
        _report_starts(draft, starts)


def _strict_at(draft: Draft, step: int) -> bool:
    """Return whether a step is the first change or below it, where a strict resume reuses nothing."""
    return draft.strict_from is not None and step >= draft.strict_from


def _possible(draft: Draft) -> list[StartingPoint]:
    kept = {checkpoint.cell: checkpoint for checkpoint in draft.ended.checkpoints}
    found = []
    for step, place in enumerate(draft.places):
        record = draft.finished[place.old] if place.old is not None else None
        if record is None or record.index not in kept:
            continue
        point = step + 1
        found.append(StartingPoint(point, draft.mapped(kept[record.index]), draft.reruns_at(point)))
    draft.unusable = {start.point: why for start in found if (why := start.reruns.impossible) is not None}
    return [start for start in found if start.point not in draft.unusable]


def cost_of(draft: Draft, start: StartingPoint) -> tuple[int, float, int]:
    """Return what a start costs: cells run twice that should not, seconds, cells out of their order."""
    running = [step for step, place in enumerate(draft.places) if place.new is not None]
    running = [step for step in running if step >= start.point or step in start.reruns.why]
    once = sum(_once_again(draft, step) for step in running)
    seconds = sum(_PER_CELL + _seconds(draft, step) for step in running)
    return once, round(seconds, 4), len(start.reruns.why)


def _once_again(draft: Draft, step: int) -> bool:
    new = draft.places[step].new
    return new is not None and TAG_ONCE in draft.tags(new) and draft.had_finished(new)


def _seconds(draft: Draft, step: int) -> float:
    new = draft.places[step].new
    before = draft.matches.own(new) if new is not None else None
    return (before.seconds or 0.0) if before is not None else 0.0


def _report_starts(draft: Draft, starts: Sequence[StartingPoint]) -> None:
    """Say which edits of finished cells have consequences, and which cells run for want of a state."""
    for step, place in enumerate(draft.places):
        why = draft.steps[step].changed
        if place.new is not None and why not in (None, "new") and step < draft.end():
            draft.notices.append(describe_edit(draft.indices[place.new], str(why), draft.changed))
    last = draft.end()
    needless = [_new(draft, step) for step in range(draft.start.point, last) if not _must(draft, step)]
    cells = [new for new in needless if new is not None]
    if cells:
        records = [draft.matches.own(new) for new in cells]
        why = next((record.note for record in records if record is not None and record.note), None)
        after = draft.indices[cells[-1]]
        unusable = draft.unusable.get(draft.step_of(cells[-1]) + 1)
        what = f"cannot be used ({unusable})" if unusable else f"was not kept{f' ({why})' if why else ''}"
        again = ", ".join(str(draft.indices[cell]) for cell in cells)
        draft.notices.append(f"run again only because the state after cell {after} {what}: cell {again}")


def _must(draft: Draft, step: int) -> bool:
    return _new(draft, step) is None or step in draft.everything.why or _strict_at(draft, step)


def _new(draft: Draft, step: int) -> int | None:
    return draft.places[step].new
