"""What has become of files that reused cells have read, or name: told where it can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respawn_jobs.inputs import Look, changed_inputs, outer_inputs
from respawn_jobs.models import PlanAction
from respawn_jobs.named_files import NamedFiles, Newer

if TYPE_CHECKING:
    from respawn_jobs.plan import Draft


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
        told = [*changed_inputs(files, look), *named.of(str(draft.cells[at].source), record, files)]
        if told:
            why = f"{cell.why}; {', '.join(told)}"
            draft.planned[at] = cell.model_copy(update={"changed_inputs": told, "why": why})
            draft.stale_inputs.append(
                f"cell {cell.index}, which is reused, has read what is no longer the same: "
                f"{', '.join(told)}; edit the cell or restart the run to have it read again"
            )
    if unseen:
        count = f"{unseen} file{'s' if unseen > 1 else ''}"
        draft.notices.append(f"reused cells have read {count}: what has changed cannot be seen from here")
