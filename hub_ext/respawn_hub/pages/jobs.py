"""The pages of jobs: the list, one job with its history, and the forms on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import quote
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, Query
from starlette.datastructures import FormData
from starlette.responses import Response

from respawn_hub.api.triggers import with_links
from respawn_hub.auth.dependencies import FormDep, PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.pages.environments import profiles_of
from respawn_hub.pages.parameter_fields import fields, given_parameters
from respawn_hub.pages.schedule_forms import (
    ScheduleForm,
    edit_form,
    new_form,
    schedule_change,
    schedule_request,
)
from respawn_hub.pages.setting_words import words
from respawn_hub.pages.templating import duration, job_path, page, see_other
from respawn_hub.rendering.grid import shown_grid
from respawn_jobs.api.service import RunRequest, Service
from respawn_jobs.errors import Conflict, InvalidInput, NotFound, RespawnError
from respawn_jobs.model.jobs import Job, Version
from respawn_jobs.notebook.parameters import inspectable

router = APIRouter(include_in_schema=False)
_RUNS_ON_PAGE = 25
_VERSIONS_ON_PAGE = 15
_DIGITS = 9
Problems = Mapping[Literal["run", "schedule", "rename", "profile", "archive", "remove", "list"], RespawnError]
"""Why a form of the page was refused, by what the form is for; list: a button of a schedule or trigger."""


def job_ref(kind: str, owner: str, name: str) -> str:
    """Return the job's full name out of the parts of its page's address.

    Args:
        kind: `user` or `team`.
        owner: the hub's name of the user or group.
        name: the job's name in that namespace.
    """
    return f"{kind}/{owner}/{name}"


RefDep = Annotated[str, Depends(job_ref)]


def job_form(ref: RefDep, form: FormDep, service: PageServiceDep) -> FormData:
    """Return the fields of a form of a job's page.

    Args:
        ref: the job that the form was sent to, `kind/owner/name` of the address.
        form: the sent form; `shown_job` is the id of the job that its page showed.
        service: the ledger with the rights of who is signed in.

    Raises:
        Conflict: the page showed another job, which has another name now: this one took its name. A form
            that does not say which job its page showed acts by name.
        NotFound, Forbidden: there is no such job, or the visitor may not read it.
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
    """List the jobs that the visitor may see, their own first; scratch jobs (`~name`) stand apart.

    Args:
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.
    """
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
    edit: str | None = None,
) -> Response:
    """Show one job, or send the browser on from a former name of it.

    Args:
        ref: the job, `kind/owner/name` of the address.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.
        before: id of a run; the list shows older ones. None begins with the newest.
        below: number of a version, from 1; the list shows lower ones. None begins with the newest.
        edit: id of the schedule whose form is open; None opens none.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not read it.
        InvalidInput: `before` is not the id of a run.
    """
    job = service.job(ref)
    return moved(runtime, job, ref) or job_page(
        runtime, visitor, service, ref, before=before, below=below, edited=edit
    )


@router.post("/jobs/{kind}/{owner}/{name}/run")
def run(
    ref: RefDep, form: JobFormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Run the job now, with the parameters of the form; empty fields take the default.

    Args:
        ref: the job, `kind/owner/name` of the address.
        form: the sent form, with a field for each parameter that the current version declares.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose dispatcher is woken for the queued run.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not run it.
    """
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
    """Add a schedule; a refusal shows the job's page again, with its reason at the form.

    Args:
        ref: the job, `kind/owner/name` of the address.
        form: the sent form: `cron`, `tz`, `missed`, `max_missed`, and fields for parameters.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose scheduler is woken.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not edit it.
    """
    version = _current(service, service.job(ref))
    try:
        service.schedule(schedule_request(ref, form, version.parameters))
    except (Conflict, InvalidInput) as error:
        return job_page(runtime, visitor, service, ref, form=form, problems={"schedule": error})
    runtime.wake()
    return _back(runtime, ref)


@router.get("/jobs/{kind}/{owner}/{name}/schedules/{schedule}/{action}")
def after_a_form_of_a_schedule(
    ref: RefDep, schedule: str, action: str, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Go back to the job, and to the form where a schedule was changed.

    Args:
        ref: the job, `kind/owner/name` of the address.
        schedule: id of the schedule.
        action: what was asked for; `change` opens the schedule's form again.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not read it.
    """
    path = job_path(service.job(ref).ref)
    opened = f"?edit={quote(schedule, safe='')}" if action == "change" else ""
    return see_other(runtime, f"{path}{opened}#schedules")


@router.get("/jobs/{kind}/{owner}/{name}/run")
@router.get("/jobs/{kind}/{owner}/{name}/schedules")
def after_a_form(ref: RefDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the job: a refused form is at this address, and browsers ask for it again.

    Args:
        ref: the job, `kind/owner/name` of the address.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not read it.
    """
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
    """Pause, unpause, change or remove a schedule; a refusal shows the job's page again, with its reason.

    Args:
        ref: the job, `kind/owner/name` of the address.
        schedule: id of the schedule.
        action: `pause`, `unpause`, `change` or `remove`.
        form: the sent form; read by `change` alone, with the fields that a new schedule has.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose scheduler is woken.

    Raises:
        InvalidInput: there is no such action.
        NotFound, Forbidden: there is no such job, or the visitor may not edit it.
    """
    if action not in ("remove", "pause", "unpause", "change"):
        raise InvalidInput(f"a schedule can be paused, unpaused, changed or removed, not {action!r}")
    try:
        if action == "remove":
            service.unschedule(schedule)
        elif action == "change":
            declared = _current(service, service.job(ref)).parameters
            service.change_schedule(schedule, schedule_change(form, declared))
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


def _back(runtime: Runtime, ref: str) -> Response:
    return see_other(runtime, f"{job_path(ref)}#schedules")


def _current(service: Service, job: Job) -> Version:
    return next(version for version in service.versions(job.ref) if version.number == job.version)


def moved(runtime: Runtime, job: Job, ref: str, rest: str = "") -> Response | None:
    """Return the way to the page of a job that was asked for by a former name; None for its present one.

    Args:
        runtime: the running service, whose settings name the page's addresses.
        job: the job that was found.
        ref: the name that it was asked for by, `kind/owner/name`.
        rest: what follows the job's name in the address, such as `/versions/3`; empty for the job's own page.
    """
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
        edited: the schedule whose form is open.
    """
    problems = problems or {}
    job = service.job(ref)
    versions = service.versions(job.ref)
    listed = [version for version in versions if below is None or version.number < below]
    runs = service.runs(job=job.ref, limit=_RUNS_ON_PAGE + 1, before=before)
    current = next(version for version in versions if version.number == job.version)
    run_problem = problems.get("run")
    forms = _schedule_forms(job, current, edited, form, problems.get("schedule"))
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
        grid=shown_grid(service.cell_grid(job.ref, before=before), duration),
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
        new_schedule=forms[0],
        edited=forms[1],
        profiles=profiles_of(service, job.namespace) if visitor.actor.allows("edit", job.namespace) else [],
        at_work=job.suspended is None and job.archived_at is None,
    )


def _schedule_forms(
    job: Job, current: Version, edited: str | None, form: FormData | None, problem: RespawnError | None
) -> tuple[ScheduleForm, ScheduleForm | None]:
    """Return the form that adds a schedule, and the one that changes one, where that is open."""
    sent = form if problem is not None else None
    schedule = next((one for one in job.schedules if one.id == edited), None)
    if schedule is None:
        return new_form(current.parameters, sent, problem), None
    drops = inspectable(current.language)
    return new_form(current.parameters), edit_form(current.parameters, schedule, sent, problem, drops=drops)
