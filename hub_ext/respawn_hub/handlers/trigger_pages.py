"""The forms of a job's page that remove triggers other than schedules."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth import PageServiceDep, Visitor, VisitorDep
from respawn_hub.handlers.job_pages import JobFormDep, RefDep, job_page
from respawn_hub.runtime import Runtime, RuntimeDep
from respawn_hub.templating import job_path, see_other
from respawn_jobs.errors import Conflict, InvalidInput, NotFound
from respawn_jobs.service import Service

router = APIRouter(include_in_schema=False, prefix="/jobs/{kind}/{owner}/{name}")


@router.post("/after/remove")
def unfollow(
    ref: RefDep, form: JobFormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Remove the job's rule."""
    return _done(runtime, visitor, service, ref, lambda: service.unfollow(ref))


@router.post("/hooks/{hook}/remove")
def unhook(
    ref: RefDep,
    hook: str,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Remove a webhook."""
    return _done(runtime, visitor, service, ref, lambda: service.unhook(hook))


@router.post("/watches/{watch}/remove")
def unwatch(
    ref: RefDep,
    watch: str,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Remove a watch."""
    return _done(runtime, visitor, service, ref, lambda: service.unwatch(watch))


@router.get("/after/remove")
@router.get("/hooks/{hook}/remove")
@router.get("/watches/{watch}/remove")
def after_a_form(ref: RefDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the job: a refused form is at this address, and browsers ask for it again."""
    return see_other(runtime, f"{job_path(service.job(ref).ref)}#triggers")


def _done(
    runtime: Runtime, visitor: Visitor, service: Service, ref: str, act: Callable[[], None]
) -> Response:
    """Do what a form asks for, and go back to the job, with the reason where it was refused."""
    job = service.job(ref)
    try:
        act()
    except (Conflict, InvalidInput, NotFound) as error:
        return job_page(runtime, visitor, service, job.ref, problems={"list": error})
    return see_other(runtime, f"{job_path(ref)}#triggers")
