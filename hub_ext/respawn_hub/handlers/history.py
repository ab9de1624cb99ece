"""The REST API for runs that have ended: pins, archives, collection; and the pin button of the run's page."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.auth import AskedFirst, FormDep, PageServiceDep, ServiceDep, VisitorDep
from respawn_hub.handlers.problems import PROBLEMS, sends, takes
from respawn_hub.handlers.run_pages import run_page
from respawn_hub.handlers.streams import streamed
from respawn_hub.runtime import RuntimeDep
from respawn_hub.templating import see_other
from respawn_hub.uploads import upload_file
from respawn_jobs.errors import Conflict, InvalidInput, Unavailable
from respawn_jobs.models import Run
from respawn_jobs.service_history import Collected, ImportRequest, OrphanRequest, Orphans, Pinned

ARCHIVE = "application/zip"
router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)
pages = APIRouter(include_in_schema=False)


@router.put("/runs/{run}/pin")
def pin(run: str, wanted: Pinned, service: ServiceDep) -> Run:
    """Keep a run whatever its job's retention says, or let it go."""
    return service.pin(run, pinned=wanted.pinned)


@router.get("/runs/{run}/archive", response_class=Response, responses=sends(ARCHIVE))
async def archive(run: str, service: ServiceDep, state: bool = True) -> Response:
    """Return an ended run as one zip archive, with its checkpoints or without."""
    found = await run_in_threadpool(lambda: service.stream_archive(run, state=state))
    answer = await streamed(lambda: found.pieces, run_in_threadpool, media_type=ARCHIVE)
    answer.headers["Content-Disposition"] = f'attachment; filename="{found.run}.zip"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.post("/runs/import", status_code=201, openapi_extra=takes(ARCHIVE))
async def import_run(
    request: Request,
    service: ServiceDep,
    runtime: RuntimeDep,
    namespace: str | None = None,
    job: str | None = None,
) -> Run:
    """Take over an archived run, which is the request's body, under a fresh id."""
    wanted = ImportRequest(namespace=namespace, job=job)
    service.may_import(wanted)
    most = runtime.settings.import_megabytes << 20
    async with _uploaded(request, runtime.settings.uploads, most) as path:
        return await run_in_threadpool(service.import_run, path, wanted)


@router.post("/blobs/collect")
def collect(service: ServiceDep) -> Collected:
    """Remove blobs that nothing has named for the grace, at once; for administrators."""
    return service.collect()


@router.post("/blobs/orphans")
def orphans(request: OrphanRequest, service: ServiceDep) -> Orphans:
    """Look for files of the store that no record knows, and remove them if asked; for administrators."""
    return service.orphans(request)


@pages.post("/runs/{run}/pin")
def press_pin(
    run: str, form: FormDep, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Keep a run, or let it go, from its page."""
    try:
        service.pin(run, pinned=form.get("pinned") == "yes")
    except (Conflict, InvalidInput) as error:
        return run_page(runtime, visitor, service, run, error)
    return see_other(runtime, f"runs/{run}")


@asynccontextmanager
async def _uploaded(request: Request, directory: Path, most: int) -> AsyncIterator[Path]:
    """Write the body to a file, which is gone when the block ends."""
    size = 0
    with upload_file(directory) as (file, path):
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise InvalidInput(
                        f"the archive is larger than {most >> 20} MB, the most that this service takes"
                    )
                await run_in_threadpool(file.write, chunk)
            await run_in_threadpool(file.flush)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Unavailable("the service's disk is full; free some space and try again") from error
        yield path
