"""What goes on when a run is resumed or restarted: what is known of it, and the notebook that runs next."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from respawn_jobs.access import Action, Actor
from respawn_jobs.api.runner_protocol import PLAN_CHANGED, ResumeFrom
from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.carried.changes import files_of, same_files
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.ledger.context.context import Context, find_run
from respawn_jobs.ledger.context.job_places import place_of
from respawn_jobs.ledger.jobs.catalog import carried_columns, describe, named_kernel
from respawn_jobs.ledger.resume.carried_edits import Carrying, carried_edits
from respawn_jobs.ledger.resume.carry_over import Recorded, executed, recorded
from respawn_jobs.ledger.runs import artifacts
from respawn_jobs.ledger.runs.revisions import check_unchanged
from respawn_jobs.ledger.runs.rows import checkpoint_of, ref_of
from respawn_jobs.ledger.runs.run_parameters import check_parameters, with_due
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.jobs import Parameter
from respawn_jobs.model.plans import NewCell
from respawn_jobs.model.runs import CellRecord, CellState, RunState
from respawn_jobs.notebook.document import (
    TAG_ONCE,
    cell_tags,
    check_not_inside,
    code_cells,
    injected_cell,
    read_notebook,
    source_hash,
    strip_debug,
    without_outputs,
    write_notebook,
)
from respawn_jobs.notebook.injected_values import plain_values
from respawn_jobs.notebook.parameterization import parameterize
from respawn_jobs.notebook.parameters import kinds
from respawn_jobs.redact import GONE
from respawn_jobs.resume.draft import EndedRun
from respawn_jobs.resume.scratch_cells import describe_scratch, mark_scratch, needed
from respawn_jobs.store.tables import JobRow, RunRow, VersionRow
from respawn_kernels.evidence import CellEvidence

if TYPE_CHECKING:
    from nbformat import NotebookNode

_BEGUN = (CellState.RUNNING, CellState.EXECUTED, CellState.FAILED)


def ended_of(context: Context, basis: Recorded, after: Carrying) -> EndedRun:
    """Return what was recorded of a run, with the notebook that ran.

    Args:
        context: the ledger's surroundings.
        basis: the run whose states are used.
        after: what the version carries that goes on.
    """
    skeleton = basis.run.skeleton
    return EndedRun(
        run=basis.run.id,
        kernel=basis.run.kernel,
        lock=basis.run.lock,
        cells=basis.cells,
        checkpoints=[checkpoint_of(row) for row in basis.checkpoints],
        notebook=read_notebook(context.blobs.get(skeleton).decode()) if skeleton else None,
        parameters=basis.run.parameters,
        directory=basis.directory,
        since=basis.since,
        edits=carried_edits(context, basis.carrying, basis.directory, after),
    )


def seen_since(past: Past, executed: NotebookNode) -> dict[int, CellEvidence]:
    """Return what was seen of cells of a notebook while the run executed them, by index.

    Only where a resume starts from the states of a run before it: else the records tell themselves.
    """
    if past.basis.run.id == past.run.id:
        return {}
    ran = {
        (cell.cell_id, cell.source_hash): cell.evidence
        for cell in past.cells
        if cell.state in _BEGUN and cell.evidence is not None
    }
    found = {index: ran.get((str(cell.id), source_hash(cell.source))) for index, cell in code_cells(executed)}
    return {index: evidence for index, evidence in found.items() if evidence is not None}


@dataclass
class Past:
    """What is known of the run that is resumed or restarted."""

    run: RunRow
    job: JobRow
    version: VersionRow
    basis: Recorded
    """The run whose states a resume starts from: the one that is resumed, or one before it."""
    cells: list[CellRecord]
    artifacts: list[Artifact]
    """The latest of each name."""
    resumed_by: RunRow | None
    """The run that goes on from it already."""


@dataclass
class Next:
    """The version that goes on: the run's own, or a new one made from a fixed notebook."""

    content: dict[str, Any] | None
    """Columns of the new version; None when the run's own version is used."""
    text: str
    """The new version's bytes."""
    kernel: str
    language: str
    lock: str | None
    parameters: dict[str, Any]
    executed: NotebookNode
    """The notebook in its executed form, without outputs."""
    new: list[NewCell]
    """Cells that were added, scratch included."""
    problems: list[str]
    """Why it cannot go on without its scratch cells."""
    notices: list[str]
    """What may differ without them."""
    carrying: Carrying = field(default_factory=Carrying)
    """What it carries; the archive where the files are others than those of the run's own version."""


def action_of(request: ResumeRequest) -> Action:
    """Return what an actor must be allowed to do: a fix is an edit of the job."""
    return "run" if request.notebook is None and request.files is None else "edit"


def past_of(context: Context, actor: Actor, run_id: str, action: Action, revision: int | None = None) -> Past:
    """Return what is known of a run.

    Args:
        context: the ledger's surroundings.
        actor: who asks.
        run_id: the run's id.
        action: what the actor must be allowed to do in the job's namespace.
        revision: the run's revision as the person saw it; None acts in any case.

    Raises:
        Conflict: there is nothing to go on from, or the state has changed since `revision`.
        NotFound, Forbidden: see `find_run`.
    """
    with context.database.session() as session:
        run, job = find_run(session, actor, run_id, action)
        check_unchanged(session, run, revision)
        if not RunState(run.state).resumable:
            state_text = "succeeded" if run.state == RunState.SUCCEEDED.value else f"is still {run.state}"
            raise Conflict(f"{run_id} {state_text}: there is nothing to resume", run=run_id, state=run.state)
        own = recorded(session, run)
        return Past(
            run=run,
            job=job,
            version=session.get_one(VersionRow, run.version_id),
            basis=_basis(session, own),
            cells=own.cells,
            artifacts=artifacts.latest(session, run.id),
            resumed_by=gone_on_by(session, run),
        )


def gone_on_by(session: Session, run: RunRow) -> RunRow | None:
    """Return the run that keeps others from going on from this one; None when there is none.

    A run that ended before its first cell has let go of the one that it went on from. Another one may have
    taken that up since: then nothing goes on from this one.
    """
    taken = [run.id, *([run.origin] if let_go(run) and run.origin else [])]
    return session.scalar(select(RunRow).where(RunRow.resume_of.in_(taken)))


def let_go(run: RunRow) -> bool:
    """Return whether a run has let go of the one that it went on from; see `ends.note_end`."""
    return run.trigger in ("resume", "retry") and run.resume_of is None


def _basis(session: Session, own: Recorded) -> Recorded:
    """Return the run whose states can be used.

    The state that a resumed run starts from may lie below cells that are edited, gone or run again; then it
    is no state of that run. One that ended before it kept its own, or before all that had to run again had
    run, is resumed from where it started itself. When a cell with side effects has begun meanwhile, this
    would hide it, so then its own records count.
    """
    since: list[CellRecord] = []
    while own.run.resume and own.run.origin:
        start = ResumeFrom.model_validate(own.run.resume)
        changed = plan_changed(own.run)
        begun = [cell for cell in own.cells if cell.index >= start.first or cell.index in start.rerun]
        if any(TAG_ONCE in cell.tags and cell.state in _BEGUN for cell in begun):
            if changed is not None:
                own.cells = [_not_reused(cell) if cell.index > changed else cell for cell in own.cells]
            break
        if changed is None and _stands_by_itself(own, start):
            break
        before = session.get(RunRow, own.run.origin)
        if before is None:
            break
        since += executed(session, own.run)
        own = recorded(session, before)
    own.since = since
    return own


def plan_changed(run: RunRow) -> int | None:
    """Return the cell that did otherwise than planned, where that ended the run; else None."""
    error = run.error or {}
    cell = error.get("cell") if error.get("name") == PLAN_CHANGED else None
    return int(cell) if cell is not None else None


def _not_reused(cell: CellRecord) -> CellRecord:
    """Return the record of a cell that was to be reused, and may be stale, as one that did not run."""
    if cell.state is not CellState.REUSED:
        return cell
    return cell.model_copy(update={"state": CellState.SKIPPED})


def _stands_by_itself(own: Recorded, start: ResumeFrom) -> bool:
    """Return whether a resumed run has states that are no worse than the one that it started from."""
    again = [cell for cell in own.cells if cell.index in start.rerun]
    # Reused: an attempt before had executed it, and the last one went on from there.
    if any(cell.state not in (CellState.EXECUTED, CellState.REUSED) for cell in again):
        return False
    if start.manifest is None or any(row.manifest == start.manifest for row in own.checkpoints):
        return True
    boundary = max((cell.index for cell in own.cells if cell.index < start.first), default=-1)
    return any(row.cell >= boundary for row in own.checkpoints)


def next_of(context: Context, past: Past, request: ResumeRequest) -> Next:
    """Return what goes on. Raises `InvalidInput` for a notebook or parameters that cannot be used.

    Args:
        context: the ledger's surroundings.
        past: the run before.
        request: the fixed notebook, if any, and the parameters that change.
    """
    version = past.version
    original = read_notebook(context.blobs.get(version.notebook).decode())
    own = parameterize(without_outputs(original), past.run.parameters, version.kernel, version.language)
    _keep_injected(context, past, own, past.run.parameters)
    opened = read_notebook(request.notebook) if request.notebook is not None else None
    changed = {**(_edited_parameters(opened, own) if opened is not None else {}), **request.parameters}
    given = _given(past, changed)
    if opened is not None:
        check_not_inside(opened)
        opened = _own_cells(opened)
        mark_scratch(opened, request.scratch, original)
    fixed = strip_debug(opened) if opened is not None else original
    _check_same_notebook(past, original, fixed)
    named = named_kernel(fixed)
    kernel = version.kernel if named in (None, named_kernel(original)) else str(named)
    at = place_of(past.job)
    lock = context.lock_for(version.kernel, version.lock, at)
    content, text, language = None, "", version.language
    columns, archive = _files(version, request)
    other_files = not same_files(files_of(version.files), files_of(columns["files"]))
    if kernel != version.kernel or other_files or not _same_cells(fixed, strip_debug(original)):
        text = write_notebook(fixed)
        content = {**describe(context, fixed, text, kernel, at), **columns}
        if kernel == version.kernel and version.lock is not None:
            content["lock"] = version.lock  # a fix is no wish for other packages: the states stay usable
        language, lock = content["language"], content["lock"]
        fixed_version = VersionRow(language=language, parameters=content["parameters"])
        check_parameters(fixed_version, given)
        given = with_due(fixed_version, given, past.run.logical_date)
    else:
        fixed = without_outputs(original)
        check_parameters(version, given)
    executed = parameterize(fixed, given, kernel, language)
    _keep_injected(context, past, executed, given)
    problems, notices = needed(opened, executed, language) if opened is not None else ([], [])
    return Next(
        content=content,
        text=text,
        kernel=kernel,
        language=language,
        lock=lock,
        parameters=given,
        executed=executed,
        new=describe_scratch(opened, original, executed) if opened is not None else [],
        problems=problems,
        notices=notices,
        carrying=Carrying(files_of(columns["files"]), columns["bundle"], archive if other_files else None),
    )


def _files(version: VersionRow, request: ResumeRequest) -> tuple[dict[str, Any], bytes | None]:
    """Return the columns that tell what is carried on, and its archive; as the version has it by default.

    Raises `InvalidInput` for files that cannot be carried, or where the version carries none.
    """
    if request.files is None:
        return {"files": version.files, "bundle": version.bundle}, None
    if version.files is None:
        raise InvalidInput(
            f"runs of version {version.number} work where its notebook lies, so a fix carries no files: "
            "promote the notebook with them, or edit them there"
        )
    return carried_columns(request.files)


def _check_same_notebook(past: Past, original: NotebookNode, fixed: NotebookNode) -> None:
    """Raise `InvalidInput` for a notebook that is no edited form of the run's: it would become the job's."""
    theirs = [cell for _, cell in code_cells(original) if cell.source.strip()]
    ours = [cell for _, cell in code_cells(fixed) if cell.source.strip()]
    known = {cell.get("id") for cell in theirs} | {source_hash(cell.source) for cell in theirs}
    if theirs and not ours:
        reason = "the notebook has no code"
    elif len(theirs) > 1 and not any(
        cell.get("id") in known or source_hash(cell.source) in known for cell in ours
    ):
        reason = f"the notebook has no cell of {past.run.id}, neither by its id nor by its source"
    else:
        return
    raise InvalidInput(
        f"{reason}: it is another notebook, and would become a version of {ref_of(past.job)}. "
        "Promote it as a job of its own, or give the notebook of this run with its cells edited",
        job=ref_of(past.job),
    )


def _own_cells(opened: NotebookNode) -> NotebookNode:
    """Return a debug notebook without the cells that Respawn put in front, scratch cells included."""
    own: NotebookNode = copy(opened)
    own.cells = [cell for cell in opened.cells if not (cell.metadata.get("respawn") or {}).get("role")]
    return own


def _given(past: Past, changed: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with those that changed; one that gets the default it has is none."""
    defaults = {
        parameter.name: parameter.default
        for parameter in map(Parameter.model_validate, past.version.parameters)
        if parameter.default is not None
    }
    before = past.run.parameters
    new = {
        name: value
        for name, value in changed.items()
        if name in before or name not in defaults or repr(defaults[name]) != repr(value)
    }
    return {**before, **new}


def _keep_injected(context: Context, past: Past, executed: NotebookNode, given: dict[str, Any]) -> None:
    """Give the injected cell the source that ran: a formatter that papermill uses may differ by place."""
    new = injected_cell(executed)
    if new is None or past.run.skeleton is None or given != past.run.parameters:
        return
    ran = injected_cell(read_notebook(context.blobs.get(past.run.skeleton).decode()))
    if ran is not None and GONE not in ran.source:
        new.source = ran.source


def _edited_parameters(opened: NotebookNode, own: NotebookNode) -> dict[str, Any]:
    """Return the parameters that were changed by editing the cell which gives them.

    Raises `InvalidInput` when it is no longer a list of parameters with values.
    """
    edited, ran = injected_cell(opened), injected_cell(own)
    if edited is None or (ran is not None and edited.source.strip() == ran.source.strip()):
        return {}
    found = plain_values(edited.source, kinds(opened))
    before = plain_values(ran.source, kinds(own)) if ran is not None else {}
    if found is None or before is None or before.keys() - found.keys():
        raise InvalidInput(
            "the cell with the injected parameters was edited, and is no longer one `name = value` for each "
            "parameter with a plain value; write it so, or give the parameters to the resume instead",
            cell_id=edited.get("id"),
        )
    return {
        name: value
        for name, value in found.items()
        if value != GONE and (name not in before or repr(before[name]) != repr(value))
    }


def _same_cells(one: NotebookNode, other: NotebookNode) -> bool:
    def essence(notebook: NotebookNode) -> list[tuple[str, str, list[str]]]:
        return [(cell.cell_type, cell.source, cell_tags(cell)) for cell in notebook.cells]

    return essence(one) == essence(other)
