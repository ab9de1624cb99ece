"""Going on from a failed run: the plan, shown before anything starts, and the button that starts it."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from respawn_hub.auth.dependencies import FormDep, PageServiceDep, Visitor, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.parameter_fields import EMPTY, FIELD, NONE, fields, given_parameters
from respawn_hub.pages.runs import seen
from respawn_hub.pages.templating import page, see_other
from respawn_jobs.api.service import ResumeRequest, Service
from respawn_jobs.errors import Conflict, InvalidInput, RespawnError
from respawn_jobs.model.base import LARGEST
from respawn_jobs.model.jobs import Job, Parameter
from respawn_jobs.model.limits import MIN_MEMORY_BYTES
from respawn_jobs.model.plans import Plan, PlanAction
from respawn_jobs.model.runs import Run
from respawn_jobs.notebook.parameter_values import parameters_hash
from respawn_kernels.sizes import how_large

router = APIRouter(include_in_schema=False)
Way = Literal["resume", "restart"]


@router.get("/runs/{run}/resume")
def resume_plan(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show what a resume with the run's own notebook would do.

    Args:
        run: id of the run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        Conflict: there is nothing to resume: the run has not ended, or it succeeded.
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    plan = service.plan(run, ResumeRequest())
    return page(runtime, visitor, "resume.html", **_context(service, visitor, run, "resume", plan))


@router.get("/runs/{run}/restart")
def restart_plan(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show what a restart would do.

    Args:
        run: id of the run.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not read it.
    """
    return page(runtime, visitor, "resume.html", **_context(service, visitor, run, "restart", None))


@router.post("/runs/{run}/{way}")
async def go_on(
    run: str, way: Way, form: FormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Show the plan for an uploaded notebook, or start; the button that was pressed says which.

    A refusal shows the plan's page again, with its reason.

    Args:
        run: id of the run that the new one goes on from.
        way: `resume` from its state, or `restart` from the top.
        form: the sent form: `notebook` (a file), `kept` (the notebook of the last plan, in base 64), what is
            agreed to, parameters, and `button`, which is `start` where a run is wanted.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose dispatcher is woken for the queued run.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not run its job.
    """
    file = form.get("notebook")
    uploaded = file if isinstance(file, UploadFile) and file.filename else None

    def planned(request: ResumeRequest, problem: RespawnError | None) -> Response:
        status = problem.status if problem else 200
        if way == "resume" and problem is not None and {"problems", "questions"} & problem.fields.keys():
            problem = None  # the plan tells them, beside what can be agreed to
        wanted = way == "resume" and not isinstance(problem, Conflict)
        plan = service.plan(run, request) if wanted else None
        context = _context(service, visitor, run, way, plan, request=request, problem=problem, form=form)
        return page(runtime, visitor, "resume.html", status=status, **context)

    def answer() -> Response:
        given = given_parameters(form, _declared(service, service.show(run).run)) if way == "resume" else {}
        request = _chosen(form, uploaded is not None).model_copy(
            update={
                "notebook": _notebook(form, upload),
                "parameters": given,
                "scratch": [] if uploaded else _scratch(form),
                "memory_bytes": _memory(form),
                "revision": seen(form).revision,
            }
        )
        # What was just uploaded or changed is planned first, whichever button sent it.
        strict = form.get("strict") or "no"
        unseen = way == "resume" and (
            uploaded
            or form.get("planned", parameters_hash({})) != parameters_hash(given)
            or form.get("planned_strict", strict) != strict
            or form.getlist("planned_scratch") != _scratch(form)
        )
        if form.get("button") != "start" or unseen:
            return planned(request, None)
        try:
            begun = (service.resume if way == "resume" else service.restart)(run, request).id
        except Conflict as error:
            return planned(request, error)
        runtime.wake()
        return see_other(runtime, f"runs/{begun}")

    upload = await uploaded.read() if uploaded else None
    try:
        return await run_in_threadpool(answer)
    except InvalidInput as error:
        chosen = _chosen(form, uploaded is not None)
        if {"parameter", "setting"} & error.fields.keys() and not uploaded:
            kept: dict[str, Any] = {"notebook": _notebook(form, None), "scratch": _scratch(form)}
            if "setting" in error.fields:
                kept["memory_bytes"] = None
            return await run_in_threadpool(planned, chosen.model_copy(update=kept), error)
        # The form comes back without the notebook that cannot be used, so that another can be chosen.
        name = f"{uploaded.filename}: " if uploaded else ""
        problem = InvalidInput(f"{name}{error.message}", **error.fields)
        return await run_in_threadpool(planned, chosen, problem)


def _chosen(form: FormData, uploaded: bool) -> ResumeRequest:
    """Return what was agreed to and chosen besides the notebook; a memory limit that cannot be is left out.

    Args:
        form: the sent form.
        uploaded: whether a notebook came with it; what was agreed to on triggers was for another one then.
    """
    memory = None
    with suppress(InvalidInput):
        memory = _memory(form)
    return ResumeRequest(
        rerun_once=form.get("rerun_once") == "yes",
        rerun_producers=form.get("rerun_producers") == "yes",
        load_imported=form.get("load_imported") == "yes",
        agreed=["break_triggers"] if form.get("break_triggers") == "yes" and not uploaded else [],
        strict=form.get("strict") == "yes" if "planned" in form else None,
        memory_bytes=memory,
    )


def _declared(service: Service, run: Run) -> list[Parameter]:
    """Return the parameters of the version that a run executed."""
    return next(one for one in service.versions(run.job) if one.number == run.version).parameters


def _scratch(form: FormData) -> list[str]:
    """Return the ids of added cells that are to be left out: those that were offered and are not ticked."""
    kept = form.getlist("keep")
    return [str(cell) for cell in form.getlist("offered") if cell not in kept]


def _memory(form: FormData) -> int | None:
    """Return the memory limit that was chosen; None for that of the job. Raises `InvalidInput`."""
    given = str(form.get("memory_bytes", ""))
    if given and not (given.isdecimal() and MIN_MEMORY_BYTES <= int(given) <= LARGEST):
        raise InvalidInput(
            f"a memory limit is {how_large(MIN_MEMORY_BYTES)} or more", setting="memory_limit_bytes"
        )
    return int(given) if given else None


def _notebook(form: FormData, upload: bytes | None) -> str | None:
    """Return the fixed notebook: the uploaded file, or the one that the last plan was made for."""
    kept = str(form.get("kept", ""))
    try:
        if upload is not None:
            return upload.decode()
        return base64.b64decode(kept, validate=True).decode() if kept else None
    except (UnicodeDecodeError, binascii.Error) as error:
        raise InvalidInput("this is not a notebook: it is not UTF-8 text") from error


def _blocked(visitor: Visitor, job: Job, run: Run, way: Way) -> str | None:
    """Return why nothing can start here, whatever is filled in, and what to do; None where it can."""
    if not visitor.actor.allows("run", job.namespace):
        return (
            f"you ({visitor.actor.name}) may look at {job.ref} and not start it: ask one of {job.namespace}"
        )
    if not run.state.final:
        return f"{run.id} is still {run.state.value}: wait for its end, or cancel it"
    if job.suspended is not None:
        return (
            f"nothing starts in {job.namespace}: {job.suspended}. An administrator decides, with "
            "`respawn admin move` or `respawn admin retire`"
        )
    if job.archived_at is not None:
        return f"{job.ref} is archived, so nothing of it starts: restore it first, on its page"
    if way == "resume" and run.resumed_by is not None:
        return f"{run.id} was resumed already: {run.resumed_by} continues from it"
    return None


def _context(
    service: Service,
    visitor: Visitor,
    run: str,
    way: Way,
    plan: Plan | None,
    *,
    request: ResumeRequest | None = None,
    problem: RespawnError | None = None,
    form: FormData | None = None,
) -> dict[str, Any]:
    detail = service.show(run)
    kept = request.notebook if request else None
    declared = _declared(service, detail.run) if way == "resume" else []
    given = request.parameters if request else {}
    again = [cell for cell in plan.cells if cell.action is not PlanAction.REUSE] if plan else []
    job = service.job(detail.run.job)
    return {
        "run": detail.run,
        "job": job,
        "blocked": _blocked(visitor, job, detail.run, way),
        "detail": detail,
        "way": way,
        "plan": plan,
        "once": [cell for cell in again if cell.once],
        "reused": sum(cell.action is PlanAction.REUSE for cell in plan.cells) if plan else 0,
        "again": len(again),
        "kept": base64.b64encode(kept.encode()).decode() if kept else "",
        "rerun_once": bool(request and request.rerun_once),
        "rerun_producers": bool(request and request.rerun_producers),
        "load_imported": bool(request and request.load_imported),
        "breaks": _breaks(plan, request, problem),
        "break_triggers": bool(request and request.agreed),
        "strict": plan.strict if plan else False,
        "scratch": request.scratch if request else [],
        "memory_bytes": request.memory_bytes if request else None,
        "parameters": declared,
        "fields": fields(declared, form, problem, detail.run.parameters),
        "filled": any(form.get(name) for name in form if name.startswith((FIELD, NONE, EMPTY)))
        if form
        else False,
        "planned": parameters_hash(given),
        "problem": problem.message if problem else None,
        "other": problem.fields.get("resumed_by", problem.fields.get("run")) if problem else None,
    }


def _breaks(plan: Plan | None, request: ResumeRequest | None, problem: RespawnError | None) -> bool:
    """Return whether the fix leaves triggers without their parameter: a plan says so, or a refusal."""
    if plan is not None:
        return bool(plan.breaks)
    return bool(problem and problem.fields.get("questions")) or bool(request and request.agreed)
