"""What a resume would do with each cell: reuse it, run it, or refuse because it cannot be restored.

Pure: it looks at what was recorded of a run, at the notebook that ran and at the one that is to go on. Of the
states that were kept, and the empty kernel, it takes the one from which the least is left to execute; which
of the cells above that point run again tells `invalidation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from respawn_jobs.model.plans import Plan
from respawn_jobs.notebook.document import code_cells
from respawn_jobs.resume.consent import Agreements
from respawn_jobs.resume.draft import Agreed, Draft, EndedRun
from respawn_jobs.resume.estimate import estimate
from respawn_jobs.resume.files.named_files import Newer
from respawn_jobs.resume.input_changes import look_at_inputs, say_unused_edits
from respawn_jobs.resume.invalidation.file_changes import Look
from respawn_jobs.resume.planned_cells import make_lost_state_again, plan_cells
from respawn_jobs.resume.start_choice import choose
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode


def plan_resume(
    ended: EndedRun,
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
    choose(draft, kernel, lock, strict=agreed.strict, only=only)
    agreements = Agreements(draft, agreed)
    agreements.make_again()
    plan_cells(draft)
    make_lost_state_again(draft)
    look_at_inputs(draft, look, newer)
    say_unused_edits(draft)
    agreements.guard()
    return draft.result().model_copy(update={"estimate": estimate(draft)})
