"""Forms that rename, archive and remove jobs, and the list of archived ones."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from respawn_hub.auth import FormDep, PageServiceDep, VisitorDep
from respawn_hub.handlers.job_pages import RefDep
from respawn_hub.runtime import Runtime, RuntimeDep
from respawn_hub.templating import job_path, page
from respawn_jobs.errors import InvalidInput
from respawn_jobs.service_versions import JobChange

router = APIRouter(include_in_schema=False)
Change = Literal["rename", "archive", "restore", "remove"]


@router.get("/archived")
def archived(visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """List the archived jobs that the visitor may see."""
    return page(runtime, visitor, "archived.html", jobs=service.jobs(archived=True))


@router.post("/jobs/{kind}/{owner}/{name}/manage/{change}")
def manage(
    ref: RefDep, change: Change, form: FormDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Rename a job, archive it, take it out of the archive, or remove it."""
    job = service.job(ref)
    if change == "remove":
        # Nobody removes a job by a slip of the hand: its name is typed.
        if str(form.get("typed", "")).strip() != job.name:
            raise InvalidInput(f"type the job's name, {job.name}, to remove it", job=job.ref)
        service.remove_job(job.ref)
        return _to(runtime, "archived")
    if change == "rename":
        asked = JobChange(name=str(form.get("name", "")).strip())
    else:
        asked = JobChange(archived=change == "archive")
    changed = service.change_job(job.ref, asked)
    runtime.wake()
    return _to(runtime, job_path(changed.ref))


@router.get("/jobs/{kind}/{owner}/{name}/manage/{change}")
def after_a_form(ref: RefDep, change: Change, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the job: a refused form is at this address, and browsers ask for it again."""
    return _to(runtime, job_path(service.job(ref).ref))


@router.post("/runs/{run}/remove")
def remove_run(run: str, form: FormDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Remove an ended run with all that it keeps."""
    job = service.show(run).run.job
    service.remove_run(run)
    return _to(runtime, job_path(job))


@router.get("/runs/{run}/remove")
def after_removal(run: str, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the run: a refused form is at this address, and browsers ask for it again."""
    return _to(runtime, f"runs/{service.show(run).run.id}")


def _to(runtime: Runtime, path: str) -> Response:
    return RedirectResponse(f"{runtime.hub_settings.prefix}{path}", status_code=303)
