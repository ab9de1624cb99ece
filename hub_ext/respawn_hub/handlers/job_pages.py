"""The pages of jobs: the list, one job with its history, and the forms on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, Query
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import Response

from respawn_hub.auth import FormDep, PageServiceDep, VisitorDep
from respawn_hub.fields import fields, given_parameters
from respawn_hub.handlers.triggers import with_links
from respawn_hub.runtime import Runtime, RuntimeDep
from respawn_hub.setting_words import words
from respawn_hub.templating import job_path, page, see_other
from respawn_jobs.errors import Conflict, InvalidInput, NotFound, RespawnError
from respawn_jobs.models import Job, Version
from respawn_jobs.service import RunRequest, ScheduleRequest, Service
from respawn_jobs.service_versions import ScheduleChange

router = APIRouter(include_in_schema=False)
_RUNS_ON_PAGE = 25
_VERSIONS_ON_PAGE = 15
_DIGITS = 9
Problems = Mapping[Literal["run", "schedule", "rename", "archive", "remove", "list"], RespawnError]
"""Why a form of the page was refused, by what the form is for; list: a button of a schedule or trigger."""


def job_ref(kind: str, owner: str, name: str) -> str:
    """Return the job's full name out of the parts of its page's address."""
    return f"{kind}/{owner}/{name}"


RefDep = Annotated[str, Depends(job_ref)]


def job_form(ref: RefDep, form: FormDep, service: PageServiceDep) -> FormData:
    """Return the fields of a form of a job's page.

    Raises:
        Conflict: the page showed another job, which has another name now: this one took its name. A form
            that does not say which job its page showed acts by name.
    """
    shown = form.get("shown_job")
    job = service.job(ref)
    if shown is not None and shown != job.id:
        raise Conflict(
            f"this page showed another job, which was called {job.ref} then. Nothing was changed: open the "
            "job that you mean from the list of jobs",
            job=job.ref,
        )
    return form


JobFormDep = Annotated[FormData, Depends(job_form)]


@router.get("/")
def jobs(visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """List the jobs that the visitor may see."""
    found = service.jobs()
    own = f"user/{visitor.actor.name}"
    found.sort(key=lambda job: (job.namespace != own, job.namespace, job.name))
    return page(
        runtime,
        visitor,
        "jobs.html",
        jobs=[job for job in found if not job.name.startswith("~")],
        scratch=[job for job in found if job.name.startswith("~")],
    )


@router.get("/jobs/{kind}/{owner}/{name}")
def job(
    ref: RefDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
    before: str | None = None,
    below: Annotated[int | None, Query(ge=1, le=10**9)] = None,
) -> Response:
    """Show one job; `before` pages its runs, `below` its versions."""
    job = service.job(ref)
    return moved(runtime, job, ref) or job_page(runtime, visitor, service, ref, before=before, below=below)


@router.post("/jobs/{kind}/{owner}/{name}/run")
def run(
    ref: RefDep, form: JobFormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Run the job now, with the parameters of the form; empty fields take the default."""
    version = _current(service, service.job(ref))
    try:
        queued = service.run(RunRequest(job=ref, parameters=given_parameters(form, version.parameters)))
    except (Conflict, InvalidInput) as error:
        return job_page(runtime, visitor, service, ref, form=form, problems={"run": error})
    runtime.wake()
    return see_other(runtime, f"runs/{queued.id}")


@router.post("/jobs/{kind}/{owner}/{name}/schedules")
def schedule(
    ref: RefDep, form: JobFormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Add a schedule."""
    try:
        service.schedule(_schedule_request(ref, form))
    except (Conflict, InvalidInput) as error:
        return job_page(runtime, visitor, service, ref, form=form, problems={"schedule": error})
    runtime.wake()
    return _back(runtime, ref)


@router.get("/jobs/{kind}/{owner}/{name}/run")
@router.get("/jobs/{kind}/{owner}/{name}/schedules")
@router.get("/jobs/{kind}/{owner}/{name}/schedules/{schedule}/{action}")
def after_a_form(ref: RefDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the job: a refused form is at this address, and browsers ask for it again."""
    return see_other(runtime, job_path(service.job(ref).ref))


@router.post("/jobs/{kind}/{owner}/{name}/schedules/{schedule}/{action}")
def change_schedule(
    ref: RefDep,
    schedule: str,
    action: str,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Pause, go on with, change, or remove a schedule."""
    if action not in ("remove", "pause", "unpause", "change"):
        raise InvalidInput(f"a schedule can be paused, unpaused, changed or removed, not {action!r}")
    try:
        if action == "remove":
            service.unschedule(schedule)
        elif action == "change":
            service.change_schedule(schedule, _schedule_change(form))
        else:
            service.pause(schedule, paused=action == "pause")
    except NotFound as error:  # somebody else removed it meanwhile
        return job_page(runtime, visitor, service, ref, problems={"list": error})
    except (Conflict, InvalidInput) as error:
        if action != "change":
            return job_page(runtime, visitor, service, ref, problems={"list": error})
        problems: Problems = {"schedule": error}
        return job_page(runtime, visitor, service, ref, form=form, problems=problems, edited=schedule)
    runtime.wake()
    return _back(runtime, ref)


def _schedule_request(ref: str, form: FormData) -> ScheduleRequest:
    """Return what a form asks for. Raises `InvalidInput` for what the request's fields do not take."""
    fields = {name: str(form.get(name, "")).strip() for name in ("cron", "tz", "missed", "missed_most")}
    given = {name: value for name, value in fields.items() if value or name in ("cron", "tz")}
    try:
        return ScheduleRequest.model_validate({"job": ref, **given})
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidInput(f"{' '.join(map(str, wrong['loc']))}: {wrong['msg']}") from error


def _schedule_change(form: FormData) -> ScheduleChange:
    """Return what a form changes. Raises `InvalidInput` for what the change's fields do not take."""
    fields = {name: str(form.get(name, "")).strip() for name in ("cron", "tz", "missed")}
    try:
        return ScheduleChange.model_validate({name: value for name, value in fields.items() if value})
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidInput(f"{' '.join(map(str, wrong['loc']))}: {wrong['msg']}") from error


def _back(runtime: Runtime, ref: str) -> Response:
    return see_other(runtime, f"{job_path(ref)}#schedules")


def _current(service: Service, job: Job) -> Version:
    return next(version for version in service.versions(job.ref) if version.number == job.version)


def moved(runtime: Runtime, job: Job, ref: str, rest: str = "") -> Response | None:
    """Return the way to the page of a job that was asked for by a former name; None for its present one."""
    if job.ref == ref:
        return None
    return see_other(runtime, f"{job_path(job.ref)}{rest}")


def seen_version(form: FormData) -> int | None:
    """Return which version was current on the page whose button was pressed."""
    text = str(form.get("seen", ""))
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def job_page(
    runtime: Runtime,
    visitor: VisitorDep,
    service: Service,
    ref: str,
    *,
    before: str | None = None,
    below: int | None = None,
    form: FormData | None = None,
    problems: Problems | None = None,
    edited: str | None = None,
) -> Response:
    """Return a job's page.

    Args:
        runtime: the running service.
        visitor: who looks.
        service: the ledger as they may use it.
        ref: the job's full name.
        before: the run below which its list of runs begins.
        below: the version below which its list of versions begins.
        form: what was sent, when a form comes back to be corrected.
        problems: why it comes back.
        edited: the schedule whose form it is.
    """
    problems = problems or {}
    job = service.job(ref)
    versions = service.versions(job.ref)
    listed = [version for version in versions if below is None or version.number < below]
    runs = service.runs(job=job.ref, limit=_RUNS_ON_PAGE + 1, before=before)
    current = next(version for version in versions if version.number == job.version)
    run_problem = problems.get("run")
    return page(
        runtime,
        visitor,
        "job.html",
        status=next((problem.status for problem in problems.values()), 200),
        job=job,
        versions=listed[:_VERSIONS_ON_PAGE],
        older_versions=listed[_VERSIONS_ON_PAGE - 1].number if len(listed) > _VERSIONS_ON_PAGE else None,
        newest_versions=below is None,
        current=current,
        runs=runs[:_RUNS_ON_PAGE],
        older=runs[_RUNS_ON_PAGE - 1].id if len(runs) > _RUNS_ON_PAGE else None,
        newest=before is None,
        setting_words=words(job.settings),
        triggers=with_links(runtime, service.triggers(job.ref)),
        zones=sorted(available_timezones()),
        may_run=visitor.actor.allows("run", job.namespace),
        may_edit=visitor.actor.allows("edit", job.namespace),
        fields=fields(current.parameters, form if run_problem else None, run_problem),
        filled={name: str(value) for name, value in form.items()} if form else {},
        problems=problems,
        edited=edited,
        at_work=job.suspended is None and job.archived_at is None,
    )
