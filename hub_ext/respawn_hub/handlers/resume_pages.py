"""Going on from a failed run: the plan, told before anything starts, and the button that starts it."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from respawn_hub.auth import FormDep, PageServiceDep, VisitorDep
from respawn_hub.fields import EMPTY, FIELD, NONE, fields, given_parameters
from respawn_hub.handlers.run_pages import seen
from respawn_hub.runtime import RuntimeDep
from respawn_hub.templating import page, see_other
from respawn_jobs.errors import Conflict, InvalidInput, RespawnError
from respawn_jobs.models import Parameter, Plan, PlanAction, Run
from respawn_jobs.parameters import parameters_hash
from respawn_jobs.service import ResumeRequest, Service

router = APIRouter(include_in_schema=False)
Way = Literal["resume", "restart"]


@router.get("/runs/{run}/resume")
def resume_plan(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show what a resume with the run's own notebook would do."""
    plan = service.plan(run, ResumeRequest())
    return page(runtime, visitor, "resume.html", **_context(service, run, "resume", plan))


@router.get("/runs/{run}/restart")
def restart_plan(run: str, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Show what a restart would do."""
    return page(runtime, visitor, "resume.html", **_context(service, run, "restart", None))


@router.post("/runs/{run}/{way}")
async def go_on(
    run: str, way: Way, form: FormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Show the plan for an uploaded notebook, or start; which of them says the button that was pressed."""
    file = form.get("notebook")
    uploaded = file if isinstance(file, UploadFile) and file.filename else None

    def planned(request: ResumeRequest, problem: RespawnError | None) -> Response:
        status = problem.status if problem else 200
        if way == "resume" and problem is not None and "problems" in problem.fields:
            problem = None  # the plan tells them, beside what can be agreed to
        wanted = way == "resume" and not isinstance(problem, Conflict)
        plan = service.plan(run, request) if wanted else None
        context = _context(service, run, way, plan, request=request, problem=problem, form=form)
        return page(runtime, visitor, "resume.html", status=status, **context)

    def answer() -> Response:
        given = given_parameters(form, _declared(service, service.show(run).run)) if way == "resume" else {}
        request = ResumeRequest(
            notebook=_notebook(form, upload),
            parameters=given,
            rerun_once=form.get("rerun_once") == "yes",
            rerun_makers=form.get("rerun_makers") == "yes",
            load_imported=form.get("load_imported") == "yes",
            strict=form.get("strict") == "yes" if "planned" in form else None,
            scratch=[] if uploaded else _scratch(form),
            revision=seen(form).revision,
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
        if "parameter" in error.fields and not uploaded:
            return await run_in_threadpool(planned, ResumeRequest(notebook=_notebook(form, None)), error)
        # The form comes back without the notebook that cannot be used, so that another can be chosen.
        name = f"{uploaded.filename}: " if uploaded else ""
        problem = InvalidInput(f"{name}{error.message}", **error.fields)
        return await run_in_threadpool(planned, ResumeRequest(), problem)


def _declared(service: Service, run: Run) -> list[Parameter]:
    """Return the parameters of the version that a run executed."""
    return next(one for one in service.versions(run.job) if one.number == run.version).parameters


def _scratch(form: FormData) -> list[str]:
    """Return the ids of added cells that are to be left out: those that were offered and are not ticked."""
    kept = form.getlist("keep")
    return [str(cell) for cell in form.getlist("offered") if cell not in kept]


def _notebook(form: FormData, upload: bytes | None) -> str | None:
    """Return the fixed notebook: the uploaded file, or the one that the last plan was made for."""
    kept = str(form.get("kept", ""))
    try:
        if upload is not None:
            return upload.decode()
        return base64.b64decode(kept, validate=True).decode() if kept else None
    except (UnicodeDecodeError, binascii.Error) as error:
        raise InvalidInput("this is not a notebook: it is not UTF-8 text") from error


def _context(
    service: Service,
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
    return {
        "run": detail.run,
        "job": service.job(detail.run.job),
        "detail": detail,
        "way": way,
        "plan": plan,
        "once": [cell for cell in again if cell.once],
        "reused": sum(cell.action is PlanAction.REUSE for cell in plan.cells) if plan else 0,
        "again": len(again),
        "kept": base64.b64encode(kept.encode()).decode() if kept else "",
        "rerun_once": bool(request and request.rerun_once),
        "rerun_makers": bool(request and request.rerun_makers),
        "load_imported": bool(request and request.load_imported),
        "strict": plan.strict if plan else False,
        "scratch": request.scratch if request else [],
        "parameters": declared,
        "fields": fields(declared, form, problem, detail.run.parameters),
        "filled": any(form.get(name) for name in form if name.startswith((FIELD, NONE, EMPTY)))
        if form
        else False,
        "planned": parameters_hash(given),
        "problem": problem.message if problem else None,
        "other": problem.fields.get("resumed_by", problem.fields.get("run")) if problem else None,
    }
