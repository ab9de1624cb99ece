"""What has become of files that reused cells have read, or name, where that can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respawn_jobs.model.plans import PlanAction
from respawn_jobs.resume.files.named_files import NamedFiles, Newer
from respawn_jobs.resume.invalidation.file_changes import Look, changed_inputs, outer_inputs
from respawn_kernels.counting import how_many

if TYPE_CHECKING:
    from respawn_jobs.resume.draft import Draft


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
