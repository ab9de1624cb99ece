"""The forms of a job's page that remove triggers other than schedules."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from respawn_hub.auth import FormDep, PageServiceDep
from respawn_hub.handlers.job_pages import RefDep
from respawn_hub.runtime import Runtime, RuntimeDep
from respawn_hub.templating import job_path, see_other

router = APIRouter(include_in_schema=False, prefix="/jobs/{kind}/{owner}/{name}")


@router.post("/after/remove")
def unfollow(ref: RefDep, form: FormDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Remove the job's rule."""
    service.unfollow(ref)
    return _back(runtime, ref)


@router.post("/hooks/{hook}/remove")
def unhook(ref: RefDep, hook: str, form: FormDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Remove a webhook."""
    service.unhook(hook)
    return _back(runtime, ref)


@router.post("/watches/{watch}/remove")
def unwatch(ref: RefDep, watch: str, form: FormDep, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Remove a watch."""
    service.unwatch(watch)
    return _back(runtime, ref)


def _back(runtime: Runtime, ref: str) -> Response:
    return see_other(runtime, f"{job_path(ref)}#triggers")
