"""What has become of files that reused cells have read, or name, where that can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respawn_jobs.model.plans import PlanAction
from respawn_jobs.resume.files.named_files import NamedFiles, Newer
from respawn_jobs.resume.invalidation.file_changes import Look, changed_inputs, outer_inputs
from respawn_kernels.counting import how_many

if TYPE_CHECKING:
    from respawn_jobs.resume.draft import Draft


def say_unused_edits(draft: Draft) -> None:
    """Say which edited files no cell that runs was seen to use: a reused one may have.

    Args:
        draft: the plan, whose cells are planned.
    """
    edits = draft.ended.edits
    if edits is None:
        return
    finished = {record.index for record in draft.finished}
    begun = [record for record in draft.ended.cells if record.index not in finished and record.evidence]
    used = {path for record in begun for path in edits.of("", record)}
    sources = []
    for at, cell in enumerate(draft.planned):
        source, record = str(draft.cells[at].source), draft.record_of(at)
        if cell.action is PlanAction.REUSE:
            continue
        sources.append(source)
        if record is not None:
            used |= edits.of(source, record).keys()
    for edit in edits.unused(used, sources):
        draft.notices.append(
            f"{edit}, and no cell that runs was seen to use it: where a reused cell has, by a path that is "
            "put together or in a child process, edit that cell too or restart the run"
        )


def look_at_inputs(draft: Draft, look: Look | None, newer: Newer | None) -> None:
    """Say what has become of files that reused cells have read, or name, and no cell has made.

    Args:
        draft: the plan, whose cells are planned.
        look: tells files as they are now; None where they cannot be seen.
        newer: tells files that were written since; None where they cannot be seen, or the run goes on.
    """
    ended = draft.ended
    inputs, unseen = outer_inputs(draft.finished), 0
    named = NamedFiles(ended.cells, ended.since, ended.directory, newer)
    for at, cell in enumerate(draft.planned):
        record = draft.record_of(at)
        if cell.action is not PlanAction.REUSE or record is None:
            continue
        files = inputs.get(record.index, {})
        if look is None:
            unseen += len(files)
            continue
        changes = [*changed_inputs(files, look), *named.of(str(draft.cells[at].source), record, files)]
        if changes:
            why = f"{cell.why}; {', '.join(changes)}"
            draft.planned[at] = cell.model_copy(update={"changed_inputs": changes, "why": why})
            draft.stale_inputs.append(
                f"cell {cell.index}, which is reused, has read what is no longer the same: "
                f"{', '.join(changes)}; edit the cell or restart the run to have it read again"
            )
    if unseen:
        count = how_many(unseen, "file")
        draft.notices.append(f"reused cells have read {count}: what has changed cannot be seen from here")
