"""Names, archives and ends of jobs and runs: the list of archived jobs, and the forms that change them."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from respawn_hub.auth.dependencies import FormDep, PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.pages.jobs import JobFormDep, Problems, RefDep, job_page
from respawn_hub.pages.runs import run_page
from respawn_hub.pages.templating import job_path, page, see_other
from respawn_jobs.api.service import Service
from respawn_jobs.api.versions import JobChange
from respawn_jobs.errors import Conflict, InvalidInput, Unavailable
from respawn_jobs.model.jobs import Job

router = APIRouter(include_in_schema=False)
Change = Literal["rename", "profile", "archive", "restore", "remove"]


@router.get("/archived")
def archived(visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """List the archived jobs that the visitor may see, their own first.

    Args:
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.
    """
    found = service.jobs(archived=True)
    own = f"user/{visitor.actor.name}"
    found.sort(key=lambda job: (job.namespace != own, job.namespace, job.name))
    return page(runtime, visitor, "archived.html", jobs=found)


@router.post("/jobs/{kind}/{owner}/{name}/manage/{change}")
def manage(
    ref: RefDep,
    change: Change,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Rename a job, choose its profile, archive it, take it out of the archive, or remove it.

    A refusal shows the job's page again, with its reason at the form.

    Args:
        ref: the job, `kind/owner/name` of the address.
        change: which of the five.
        form: the sent form; `name` is the new name, `profile` that of its servers (empty for the default),
            `typed` the name that confirms a removal.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose loops are woken when the job has changed.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not edit it.
    """
    try:
        changed = _changed(service, service.job(ref), change, form)
    except (Conflict, InvalidInput, Unavailable) as error:
        problems: Problems = {"archive" if change == "restore" else change: error}
        return job_page(runtime, visitor, service, ref, form=form, problems=problems)
    runtime.wake()
    return see_other(runtime, job_path(changed.ref) if changed else "archived")


def _changed(service: Service, job: Job, change: Change, form: FormData) -> Job | None:
    """Do what a form asks for, and return the job; None when it is gone."""
    if change == "remove":
        # Nobody removes a job by a slip of the hand: its name is typed.
        if str(form.get("typed", "")).strip() != job.name:
            raise InvalidInput(f"type the job's name, {job.name}, to remove it")
        service.remove_job(job.ref)
        return None
    if change == "profile":
        return service.configure(job.ref, {"profile": str(form.get("profile", "")).strip() or None})
    if change == "rename":
        wanted = str(form.get("name", "")).strip()
        if not wanted:
            raise InvalidInput("type the name that the job is to have")
        return service.change_job(job.ref, JobChange(name=wanted))
    return service.change_job(job.ref, JobChange(archived=change == "archive"))


@router.get("/jobs/{kind}/{owner}/{name}/manage/{change}")
def after_a_form(ref: RefDep, change: Change, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the job: a refused form is at this address, and browsers ask for it again.

    Args:
        ref: the job, `kind/owner/name` of the address.
        change: part of the address alone.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not read it.
    """
    return see_other(runtime, job_path(service.job(ref).ref))


@router.post("/runs/{run}/remove")
def remove_run(
    run: str, form: FormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Remove an ended run with all that it keeps; a refusal shows the run's page with its reason.

    Args:
        run: id of the run.
        form: the sent form, whose token was checked; nothing else in it is read.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such run, or the visitor may not edit its job.
    """
    job = service.show(run).run.job
    try:
        service.remove_run(run)
    except Conflict as error:
        return run_page(runtime, visitor, service, run, error)
    return see_other(runtime, job_path(service.job(job).ref))


@router.get("/runs/{run}/remove")
def after_removal(run: str, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the run: a refused form is at this address, and browsers ask for it again.

    Args:
        run: id of the run.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: the run is gone, or the visitor may not read it.
    """
    return see_other(runtime, f"runs/{service.show(run).run.id}")
