"""The forms of a job's page that remove triggers other than schedules."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, Visitor, VisitorDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.pages.jobs import JobFormDep, RefDep, job_page
from respawn_hub.pages.templating import job_path, see_other
from respawn_jobs.api.service import Service
from respawn_jobs.errors import Conflict, InvalidInput, NotFound

router = APIRouter(include_in_schema=False, prefix="/jobs/{kind}/{owner}/{name}")


@router.post("/dependency/remove")
def remove_dependency(
    ref: RefDep, form: JobFormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Remove the job's dependency.

    Args:
        ref: the job that runs after others, `kind/owner/name` of the address.
        form: the sent form, whose token and job were checked; nothing else in it is read.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not edit it.
    """
    return _done(runtime, visitor, service, ref, lambda: service.remove_dependency(ref))


@router.post("/hooks/{hook}/remove")
def unhook(
    ref: RefDep,
    hook: str,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Remove a webhook.

    Args:
        ref: its job, `kind/owner/name` of the address.
        hook: id of the webhook.
        form: the sent form, whose token and job were checked; nothing else in it is read.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not edit it.
    """
    return _done(runtime, visitor, service, ref, lambda: service.unhook(hook))


@router.post("/sensors/{sensor}/remove")
def remove_sensor(
    ref: RefDep,
    sensor: str,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Remove a sensor.

    Args:
        ref: its job, `kind/owner/name` of the address.
        sensor: id of the sensor.
        form: the sent form, whose token and job were checked; nothing else in it is read.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not edit it.
    """
    return _done(runtime, visitor, service, ref, lambda: service.remove_sensor(sensor))


@router.get("/dependency/remove")
@router.get("/hooks/{hook}/remove")
@router.get("/sensors/{sensor}/remove")
def after_a_form(ref: RefDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the job: a refused form is at this address, and browsers ask for it again.

    Args:
        ref: the job, `kind/owner/name` of the address.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not read it.
    """
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
