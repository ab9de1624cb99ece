"""The pages of versions: what one holds, how two differ, and which of them new runs use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from nbformat import NotebookNode
from starlette.datastructures import FormData
from starlette.responses import Response

from respawn_hub.auth import FormDep, PageServiceDep, VisitorDep
from respawn_hub.fields import fields, given_parameters
from respawn_hub.handlers.job_pages import RefDep
from respawn_hub.handlers.streams import attachment
from respawn_hub.rendering import Prose, policy, prose, prose_frame
from respawn_hub.runtime import Runtime, RuntimeDep
from respawn_hub.templating import job_path, page
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.models import Version
from respawn_jobs.notebooks import read_notebook
from respawn_jobs.service import RunRequest, Service
from respawn_jobs.service_versions import CurrentRequest

router = APIRouter(include_in_schema=False)
_CLOSED = {"Content-Security-Policy": "sandbox; default-src 'none'"}
_MOST = 10**9
_DIGITS = 9
Number = Annotated[int, Path(ge=1, le=_MOST)]
Asked = Annotated[int, Query(ge=1, le=_MOST)]
_VERSION = "/jobs/{kind}/{owner}/{name}/versions/{number}"


@dataclass(frozen=True)
class SourceCell:
    """A cell of a version's notebook as the page shows it: its source, and of text cells what it says."""

    index: int
    kind: str
    source: str
    tags: list[str]
    prose: Prose | None


@router.get(_VERSION)
def version(
    ref: RefDep, number: Number, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Show what a version holds."""
    return _version_page(runtime, visitor, service, ref, number)


@router.get(_VERSION + "/notebook")
def notebook(ref: RefDep, number: Number, service: PageServiceDep) -> Response:
    """Send a version's notebook, byte for byte, as a file to save."""
    text = service.version_notebook(ref, number)
    name = f"{service.job(ref).name.lstrip('~') or 'notebook'}-version-{number}.ipynb"
    return Response(text, media_type="application/x-ipynb+json", headers=attachment(name) | _CLOSED)


@router.get(_VERSION + "/cells/{cell}/prose")
def framed_prose(
    ref: RefDep,
    number: Number,
    cell: Annotated[int, Path(ge=0, le=10**6)],
    request: Request,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Return a text cell of a version for its frame."""
    cells = read_notebook(service.version_notebook(ref, number)).cells
    if cell >= len(cells) or cells[cell].cell_type != "markdown":
        raise NotFound(f"version {number} of {ref} has no text cell {cell}")
    prefix = runtime.hub_settings.prefix
    frame = prose_frame(cells[cell].source, f"{prefix}static/")
    rules = policy(frame.scripts, request.headers.get("Host", ""), prefix)
    return HTMLResponse(frame.html, headers={"Content-Security-Policy": rules, "Cache-Control": "no-store"})


@router.get("/jobs/{kind}/{owner}/{name}/compare")
def compare(
    ref: RefDep, old: Asked, new: Asked, visitor: VisitorDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Show how two versions differ, cell by cell."""
    job = service.job(ref)
    return page(
        runtime,
        visitor,
        "compare.html",
        job=job,
        versions=service.versions(job.ref),
        comparison=service.compare_versions(job.ref, old, new),
        may_edit=visitor.actor.allows("edit", job.namespace),
    )


@router.post(_VERSION + "/current")
def make_current(
    ref: RefDep, number: Number, form: FormDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Let new runs use this version."""
    job = service.make_current(ref, CurrentRequest(version=number, seen=_seen(form)))
    runtime.wake()
    return _to(runtime, f"{job_path(job.ref)}#versions")


@router.post(_VERSION + "/run")
def run(
    ref: RefDep,
    number: Number,
    form: FormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Run this version now, with the parameters of the form; empty fields take the default."""
    chosen = _version(service, ref, number)
    try:
        given = given_parameters(form, chosen.parameters)
        queued = service.run(RunRequest(job=ref, version=number, parameters=given))
    except InvalidInput as error:
        return _version_page(runtime, visitor, service, ref, number, form=form, problem=error)
    runtime.wake()
    return _to(runtime, f"runs/{queued.id}")


@router.post(_VERSION + "/remove")
def remove(
    ref: RefDep, number: Number, form: FormDep, service: PageServiceDep, runtime: RuntimeDep
) -> Response:
    """Remove this version."""
    service.remove_version(ref, number)
    return _to(runtime, f"{job_path(service.job(ref).ref)}#versions")


@router.get(_VERSION + "/current")
@router.get(_VERSION + "/run")
@router.get(_VERSION + "/remove")
def after_a_form(ref: RefDep, number: Number, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the version: a refused form is at this address, and browsers ask for it again."""
    return _to(runtime, f"{job_path(service.job(ref).ref)}/versions/{number}")


def _version_page(
    runtime: Runtime,
    visitor: VisitorDep,
    service: Service,
    ref: str,
    number: int,
    *,
    form: FormData | None = None,
    problem: InvalidInput | None = None,
) -> Response:
    job = service.job(ref)
    if job.ref != ref:
        return _to(runtime, f"{job_path(job.ref)}/versions/{number}")
    versions = service.versions(job.ref)
    chosen = _version(service, job.ref, number)
    at_work = job.suspended is None and job.archived_at is None
    return page(
        runtime,
        visitor,
        "version.html",
        status=422 if problem else 200,
        job=job,
        version=chosen,
        versions=versions,
        before=max((one.number for one in versions if one.number < number), default=None),
        cells=_cells(read_notebook(service.version_notebook(job.ref, number))),
        may_run=at_work and visitor.actor.allows("run", job.namespace),
        may_edit=visitor.actor.allows("edit", job.namespace),
        fields=fields(chosen.parameters, form, problem),
        problem=problem.message if problem else None,
    )


def _cells(notebook: NotebookNode) -> list[SourceCell]:
    return [
        SourceCell(
            index=index,
            kind=cell.cell_type,
            source=cell.source,
            tags=[str(tag) for tag in cell.metadata.get("tags", [])],
            prose=prose(cell.source) if cell.cell_type == "markdown" else None,
        )
        for index, cell in enumerate(notebook.cells)
    ]


def _version(service: Service, ref: str, number: int) -> Version:
    for version in service.versions(ref):
        if version.number == number:
            return version
    raise NotFound(f"{ref} has no version {number}", version=number)


def _seen(form: FormData) -> int | None:
    text = str(form.get("seen", ""))
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def _to(runtime: Runtime, path: str) -> Response:
    return RedirectResponse(f"{runtime.hub_settings.prefix}{path}", status_code=303)
