"""The routes of archives: runs that have ended, streamed out of the store and into it."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from respawn_hub.api.operation_routes import people_router, serves
from respawn_hub.auth.dependencies import ServiceDep
from respawn_hub.auth.runtime import RuntimeDep
from respawn_hub.web.problems import sends, takes
from respawn_hub.web.streaming import streamed
from respawn_hub.web.uploads import upload_file
from respawn_jobs.api.history import HistoryService, ImportRequest
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.model.runs import Run
from respawn_kernels.sizes import how_large

ARCHIVE = "application/zip"
router = people_router()


@serves(router, HistoryService.export_run, response_class=Response, responses=sends(ARCHIVE))
async def archive(run: str, service: ServiceDep, state: bool = True) -> Response:
    """Return an ended run as one zip archive, with its checkpoints or without."""
    found = await run_in_threadpool(lambda: service.stream_archive(run, state=state))
    answer = await streamed(lambda: found.pieces, run_in_threadpool, media_type=ARCHIVE)
    answer.headers["Content-Disposition"] = f'attachment; filename="{found.run}.zip"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@serves(router, HistoryService.import_run, openapi_extra=takes(ARCHIVE))
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
    most = runtime.settings.max_import
    async with _uploaded(request, runtime.settings.uploads, most) as path:
        return await run_in_threadpool(service.import_run, path, wanted)


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
                        f"the archive is larger than {how_large(most)}, the most that this service takes"
                    )
                await run_in_threadpool(file.write, chunk)
            await run_in_threadpool(file.flush)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Unavailable("the service's disk is full; free some space and try again") from error
        yield path
