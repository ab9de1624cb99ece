"""The pages of runs: one run with its cells, live; its resume plan; and what its buttons do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.datastructures import FormData
from starlette.responses import Response

from respawn_hub.api.live_events import cell_key, run_key
from respawn_hub.auth.dependencies import FormDep, PageServiceDep, Visitor, VisitorDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.pages.debug import may_enter
from respawn_hub.pages.setting_words import more_memory
from respawn_hub.pages.templating import page, see_other
from respawn_hub.rendering import Prose, ShownOutput, prose, shown, terminal_html
from respawn_hub.rendering.artifact_previews import may_be_picture, preview_of
from respawn_jobs.api.service import SeenRun, Service
from respawn_jobs.errors import Conflict, InvalidInput, NotFound, RespawnError
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.cell_cost import total
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellRecord, CellState, RunDetail, RunState
from respawn_jobs.notebook.cell_numbers import executions_as_cells

router = APIRouter(include_in_schema=False)
_DIGITS = 18
"""Digits of a revision, at most."""
_TITLE = 60
"""Characters of a cell's title in the outline, at most."""


@dataclass(frozen=True)
class ShownCell:
    """A cell as the page shows it: a code cell with its record, or a text cell, made HTML, between them."""

    index: int
    source: str
    record: CellRecord | None
    outputs: list[ShownOutput]
    key: str = ""
    prose: Prose | None = None

    @property
    def title(self) -> str:
        """The first line of the source, for the outline."""
        first = next((line.strip() for line in self.source.splitlines() if line.strip()), "")
        return first if len(first) <= _TITLE else first[: _TITLE - 1] + "…"


@router.get("/runs/{run}")
def run(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show a run.

    Args:
        run: id of the run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    return run_page(runtime, visitor, service, run)


def run_page(
    runtime: Runtime, visitor: Visitor, service: ActorService, run: str, problem: RespawnError | None = None
) -> Response:
    """Return a run's page, with why what its button asked for was refused.

    Args:
        runtime: the running service, whose settings name the page's addresses.
        visitor, service: who is signed in, and the ledger with their rights.
        run: id of the run.
        problem: the refusal, whose status the page has too; None when nothing was refused.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    detail = service.show(run)
    return page(
        runtime,
        visitor,
        "run.html",
        status=problem.status if problem else 200,
        cells=_cells(service, detail),
        language=service.version(run).language,
        **_head(runtime, service, visitor, detail, problem),
    )


@router.get("/runs/{run}/head")
def head(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Return the upper part of the run's page again, as it is now.

    Args:
        run: id of the run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    return page(runtime, visitor, "_run_head.html", **_head(runtime, service, visitor, service.show(run)))


@router.get("/runs/{run}/cells")
def cells(
    run: str,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
    index: Annotated[list[int], Query(max_length=500)],
) -> Response:
    """Return some cells of the run's page again, without their sources, which never change.

    Args:
        run: id of the run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.
        index: indexes of the cells in the executed notebook, from 0, 500 at most; others are left out.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    wanted = set(index)
    detail = service.show(run)
    outputs = service.outputs_of_cells(run, wanted)
    fresh = [
        ShownCell(record.index, "", record, shown(outputs[record.index]), cell_key(record, detail.run))
        for record in detail.cells
        if record.index in outputs
    ]
    return page(runtime, visitor, "_cells.html", cells=fresh, run=detail.run, language="")


@router.post("/runs/{run}/cancel")
def cancel(
    run: str, form: FormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Stop a run; a refusal shows the run's page with its reason.

    Args:
        run: id of the run.
        form: the sent form; `revision` is that of the run as its page showed it.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose dispatcher is woken to stop the runner.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not run its job.
    """
    try:
        service.cancel(run, seen(form))
    except (Conflict, InvalidInput) as error:
        return run_page(runtime, visitor, service, run, error)
    runtime.wake()
    return see_other(runtime, f"runs/{run}")


@router.post("/runs/{run}/retry")
def retry(
    run: str, form: FormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Try a run again: now, where it waits for its next try; else in a new run that goes on.

    A refusal shows the run's page with its reason.

    Args:
        run: id of the run.
        form: the sent form; `revision` is that of the run as its page showed it.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose dispatcher is woken for the queued run.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not run its job.
    """
    try:
        again = service.retry(run, seen(form))
    except (Conflict, InvalidInput) as error:
        return run_page(runtime, visitor, service, run, error)
    runtime.wake()
    return see_other(runtime, f"runs/{again.id}")


@router.post("/runs/{run}/pin")
def pin(
    run: str, form: FormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Pin a run, so that retention keeps it, or unpin it; a refusal shows the run's page with its reason.

    Args:
        run: id of the run.
        form: the sent form; `pinned` is `yes` to pin it, anything else unpins it.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not run its job.
    """
    try:
        service.pin(run, pinned=form.get("pinned") == "yes")
    except (Conflict, InvalidInput) as error:
        return run_page(runtime, visitor, service, run, error)
    return see_other(runtime, f"runs/{run}")


@router.get("/runs/{run}/cancel")
@router.get("/runs/{run}/retry")
@router.get("/runs/{run}/pin")
def after_a_form(run: str, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the run: a refused form is at this address, and browsers ask for it again.

    Args:
        run: id of the run.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    return see_other(runtime, f"runs/{service.show(run).run.id}")


def seen(form: FormData) -> SeenRun:
    """Return which revision of a run the page showed whose button was pressed."""
    text = str(form.get("revision", ""))
    return SeenRun(revision=int(text) if text.isdecimal() and len(text) <= _DIGITS else None)


def _head(
    runtime: Runtime,
    service: Service,
    visitor: Visitor,
    detail: RunDetail,
    problem: RespawnError | None = None,
) -> dict[str, Any]:
    run = detail.run
    job = service.job(run.job)
    may_run = visitor.actor.allows("run", job.namespace)
    may_start = may_run and job.suspended is None and job.archived_at is None
    most = runtime.ledger.context.max_kernel_limits.memory_bytes
    return {
        "run": run,
        "run_key": run_key(detail),
        "job": job,
        "detail": detail,
        **_artifacts(service, run.id),
        "differences": service.differences(run.id) if run.error and run.state.resumable else None,
        "traceback": terminal_html(run.error.traceback) if run.error and run.error.traceback else None,
        "executions": executions_as_cells(run.error.traceback, detail.cells) if run.error else "",
        "blocked": [cell for cell in detail.cells if cell.blocked_since is not None],
        "cost": total(cell.cost for cell in detail.cells if cell.state is not CellState.REUSED),
        "last_checkpoint": _last_checkpoint(detail),
        "may_debug": run.state.resumable,
        "may_look": may_run and run.state is RunState.RUNNING,
        "living": detail.living if may_enter(detail, visitor) else None,
        "may_pin": may_run and run.state.final,
        "may_remove": run.state.final and not run.pinned and visitor.actor.allows("edit", job.namespace),
        "may_resume": may_start and run.state.resumable and run.resumed_by is None,
        "more_memory": more_memory(detail, most) if may_start and run.resumed_by is None else None,
        "may_restart": may_start and run.state.final,
        "may_retry": may_start
        and (
            (run.state.resumable and run.resumed_by is None)
            or (run.state is RunState.QUEUED and run.not_before is not None)
        ),
        "may_cancel": may_run and not run.state.final and not run.cancel_requested,
        "waits": run.state is RunState.QUEUED,
        "problem": problem.message if problem else None,
        "other": problem.fields.get("resumed_by") or problem.fields.get("by") if problem else None,
    }


def _artifacts(service: Service, run: str) -> dict[str, Any]:
    found = service.artifacts(run)
    return {
        "artifacts": [one for one in found if not one.is_read],
        "preview_of": preview_of,
        "may_be_picture": may_be_picture,
        "artifacts_read": [one for one in found if one.is_read],
        "readers": service.readers(run),
    }


def _last_checkpoint(detail: RunDetail) -> Checkpoint | None:
    """Return the state that a debugger would start from."""
    if not detail.checkpoints or not detail.run.state.resumable:
        return None
    return max(detail.checkpoints, key=lambda checkpoint: checkpoint.cell)


def _cells(service: Service, detail: RunDetail) -> list[ShownCell]:
    """Return all cells of a run: those that it records, and the prose between them."""
    try:
        notebook = json.loads(service.notebook(detail.run.id))
    except NotFound:  # it has not begun
        return []
    records = {record.index: record for record in detail.cells}
    found = []
    for index, cell in enumerate(notebook.get("cells", [])):
        source = "".join(cell.get("source", ""))
        record = records.get(index)
        if cell.get("cell_type") == "code" and record is not None:
            found.append(
                ShownCell(index, source, record, shown(cell.get("outputs", [])), cell_key(record, detail.run))
            )
        elif cell.get("cell_type") == "markdown":
            found.append(ShownCell(index, source, None, [], prose=prose(source)))
    return found
