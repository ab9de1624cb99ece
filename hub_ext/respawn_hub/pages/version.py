"""The pages of versions: one with its source, how two differ, and what can be done with each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from respawn_hub.auth.dependencies import PageServiceDep, VisitorDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.pages.jobs import JobFormDep, RefDep, moved, seen_version
from respawn_hub.pages.notebooks import CLOSED, file_name
from respawn_hub.pages.outputs import framed
from respawn_hub.pages.parameter_fields import fields, given_parameters
from respawn_hub.pages.templating import job_path, page, see_other
from respawn_hub.pages.version_diff import blocks, counted
from respawn_hub.rendering import Prose, prose, prose_frame
from respawn_hub.web.streaming import BYTES, NOTEBOOK, attachment
from respawn_jobs.api.service import RunRequest
from respawn_jobs.api.versions import CurrentRequest
from respawn_jobs.errors import Conflict, InvalidInput, NotFound, RespawnError
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.jobs import Job, Version

router = APIRouter(include_in_schema=False, prefix="/jobs/{kind}/{owner}/{name}")
Number = Annotated[int, Path(ge=1, le=10**9)]
Compared = Annotated[int, Query(ge=1, le=10**9)]
_COLOURED = 200_000
"""Characters of sources that get their colours; the rest of a larger notebook is shown without."""
_SHOWN = 2_000_000
"""Characters of sources that a page shows; for a larger one the page says that it can be downloaded."""
_RUNS_ON_PAGE = 10


@dataclass(frozen=True)
class SourceCell:
    """A cell of a version as its page shows it."""

    index: int
    kind: str
    source: str
    language: str
    """Empty where the source gets no colours."""
    tags: list[str]
    prose: Prose | None


@router.get("/versions/{number}")
def version(
    ref: RefDep,
    number: Number,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
    before: str | None = None,
) -> Response:
    """Show a version, or send the browser on from a former name of its job.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.
        before: id of a run; the list shows older ones. None begins with the newest.

    Raises:
        NotFound, Forbidden: there is no such job or version, or the visitor may not read it.
        InvalidInput: `before` is not the id of a run.
    """
    job = service.job(ref)
    elsewhere = moved(runtime, job, ref, f"/versions/{number}")
    return elsewhere or _page(runtime, visitor, service, job, number, before=before)


@router.get("/versions/{number}/notebook")
def notebook(ref: RefDep, number: Number, service: PageServiceDep) -> Response:
    """Send a version's notebook, byte for byte, as a file to save.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        service: the ledger with the rights of who is signed in.

    Raises:
        NotFound, Forbidden: there is no such job or version, or the visitor may not read it.
    """
    job = service.job(ref)
    headers = attachment(f"{file_name(job.name)}-v{number}.ipynb") | CLOSED
    text = service.version_notebook(job.ref, number)
    return Response(text.encode(), media_type=NOTEBOOK, headers=headers)


@router.get("/versions/{number}/file")
def carried_file(
    ref: RefDep,
    number: Number,
    path: Annotated[str, Query(max_length=1000)],
    service: PageServiceDep,
) -> Response:
    """Send a file that a version carries, as a file to save.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        path: the file's, as the version has it.
        service: the ledger with the rights of who is signed in.

    Raises:
        NotFound: there is no such job, version or file.
        Forbidden: the visitor may not read the job.
    """
    data = service.version_file(service.job(ref).ref, number, path)
    headers = attachment(path.rpartition("/")[2]) | CLOSED
    return Response(data, media_type=BYTES, headers=headers)


@router.get("/versions/{number}/cells/{cell}/prose")
def text_cell(
    ref: RefDep,
    number: Number,
    cell: Annotated[int, Path(ge=0, le=10**6)],
    request: Request,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Return a text cell for its frame.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        cell: index of the cell in the version's notebook, from 0.
        request: the browser's request; its `Host` goes into the frame's policy.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose prefix leads to the frame's scripts.

    Raises:
        NotFound: there is no such job or version, or the cell is no text cell.
        Forbidden: the visitor may not read the job.
    """
    cells = json.loads(service.version_notebook(ref, number)).get("cells", [])
    if cell >= len(cells) or cells[cell].get("cell_type") != "markdown":
        raise NotFound(f"version {number} of {ref} has no text cell {cell}")
    source = "".join(cells[cell].get("source", ""))
    return framed(prose_frame(source, f"{runtime.hub_settings.prefix}static/"), request, runtime)


@router.get("/compare")
def compare(
    ref: RefDep,
    old: Compared,
    new: Compared,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Show how two versions of a job differ.

    Args:
        ref: the job, `kind/owner/name` of the address.
        old: number of the version that the changes start from, from 1.
        new: number of the version that they lead to; it may be the lower one.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job or version, or the visitor may not read it.
    """
    job = service.job(ref)
    if elsewhere := moved(runtime, job, ref, f"/compare?old={old}&new={new}"):
        return elsewhere
    versions = service.versions(job.ref)
    before, after = (_found(service, versions, job, number) for number in (old, new))
    comparison = service.compare_versions(job.ref, old, new)
    return page(
        runtime,
        visitor,
        "compare.html",
        job=job,
        versions=versions,
        old=before,
        new=after,
        comparison=comparison,
        blocks=blocks(comparison),
        counted=counted(comparison),
    )


@router.post("/versions/{number}/current")
def make_current(
    ref: RefDep,
    number: Number,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Let new runs use a version; a refusal shows the version's page with its reason.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        form: the sent form; `seen` is the version that was current on its page, and `agreed` is
            `break_triggers` where the person agreed that runs of triggers fail.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job or version, or the visitor may not edit it.
    """
    try:
        agreed = ["break_triggers"] if form.get("agreed") == "break_triggers" else []
        request = CurrentRequest.model_validate(
            {"version": number, "seen": seen_version(form), "agreed": agreed}
        )
        job = service.make_current(ref, request)
    except Conflict as error:
        return _page(runtime, visitor, service, service.job(ref), number, problem=error)
    return see_other(runtime, f"{job_path(job.ref)}#versions")


@router.post("/versions/{number}/run")
def run(
    ref: RefDep,
    number: Number,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Run a version now, whichever is current; empty fields take the default.

    A refusal shows the version's page with its reason.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        form: the sent form, with a field for each parameter that this version declares.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose dispatcher is woken for the queued run.

    Raises:
        NotFound, Forbidden: there is no such job or version, or the visitor may not run it.
    """
    job = service.job(ref)
    declared = _found(service, service.versions(job.ref), job, number).parameters
    try:
        request = RunRequest(job=job.ref, parameters=given_parameters(form, declared), version=number)
        queued = service.run(request)
    except (InvalidInput, Conflict) as error:
        return _page(runtime, visitor, service, job, number, form=form, run_problem=error)
    runtime.wake()
    return see_other(runtime, f"runs/{queued.id}")


@router.post("/versions/{number}/remove")
def remove(
    ref: RefDep,
    number: Number,
    form: JobFormDep,
    visitor: VisitorDep,
    service: PageServiceDep,
    runtime: RuntimeDep,
) -> Response:
    """Remove a version that nothing names; a refusal shows the version's page with its reason.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        form: the sent form, whose token and job were checked; nothing else in it is read.
        visitor, service: who is signed in, and the ledger with their rights.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job or version, or the visitor may not edit it.
    """
    try:
        service.remove_version(ref, number)
    except Conflict as error:
        return _page(runtime, visitor, service, service.job(ref), number, problem=error)
    job = service.job(ref)
    return see_other(runtime, f"{job_path(job.ref)}#versions")


@router.get("/versions/{number}/current")
@router.get("/versions/{number}/run")
@router.get("/versions/{number}/remove")
def after_a_form(ref: RefDep, number: Number, service: PageServiceDep, runtime: RuntimeDep) -> Response:
    """Go back to the version: a refused form is at this address, and browsers ask for it again.

    Args:
        ref: the job, `kind/owner/name` of the address.
        number: the version's number, from 1.
        service: the ledger with the rights of who is signed in.
        runtime: the running service, whose settings name the page's addresses.

    Raises:
        NotFound, Forbidden: there is no such job, or the visitor may not read it.
    """
    return see_other(runtime, f"{job_path(service.job(ref).ref)}/versions/{number}")


def _page(
    runtime: Runtime,
    visitor: VisitorDep,
    service: ActorService,
    job: Job,
    number: int,
    *,
    before: str | None = None,
    form: FormData | None = None,
    run_problem: RespawnError | None = None,
    problem: RespawnError | None = None,
) -> Response:
    versions = service.versions(job.ref)
    shown = _found(service, versions, job, number)
    wrong = run_problem or problem
    cells, too_long = _cells(service.version_notebook(job.ref, number), shown.language)
    may_edit = visitor.actor.allows("edit", job.namespace)
    at_work = job.suspended is None and job.archived_at is None
    return page(
        runtime,
        visitor,
        "version.html",
        status=wrong.status if wrong else 200,
        job=job,
        version=shown,
        current=shown.number == job.version,
        others=[one for one in versions if one.number != number],
        before=max((one.number for one in versions if one.number < number), default=None),
        cells=cells,
        too_long=too_long,
        may_edit=may_edit,
        may_run=at_work and visitor.actor.allows("run", job.namespace),
        fields=fields(shown.parameters, form, run_problem),
        run_problem=run_problem.message if run_problem else None,
        problem=problem.message if problem else None,
        questions=problem.fields.get("questions", []) if problem else [],
        **_history(service, job, shown, versions, before),
    )


def _history(
    service: ActorService, job: Job, shown: Version, versions: list[Version], before: str | None
) -> dict[str, Any]:
    """Return a page of a version's runs, the run that it fixed, and the versions made from it."""
    runs = service.runs(job=job.ref, version=shown.number, limit=_RUNS_ON_PAGE + 1, before=before)
    # The first run of a fix went on from the run that it fixed.
    first = service.first_run(job.ref, shown.number) if shown.parent is not None else None
    return {
        "runs": runs[:_RUNS_ON_PAGE],
        "older": runs[_RUNS_ON_PAGE - 1].id if len(runs) > _RUNS_ON_PAGE else None,
        "newest": before is None,
        "fixed": first if first is not None and first.origin is not None else None,
        "made_from_it": [one.number for one in versions if one.parent == shown.number],
    }


def _found(service: ActorService, versions: list[Version], job: Job, number: int) -> Version:
    for one in versions:
        if one.number == number:
            return one
    raise service.missing_version(job.ref, number)


def _cells(text: str, language: str) -> tuple[list[SourceCell], bool]:
    """Return a notebook's cells, without outputs, and whether some are left out for their length."""
    found: list[SourceCell] = []
    length = 0
    for index, cell in enumerate(json.loads(text).get("cells", [])):
        source = "".join(cell.get("source", ""))
        length += len(source)
        if length > _SHOWN:
            return found, True
        kind = str(cell.get("cell_type"))
        coloured = kind == "code" and length <= _COLOURED
        text_of = prose(source) if kind == "markdown" and length <= _COLOURED else None
        tags = [str(tag) for tag in cell.get("metadata", {}).get("tags", [])]
        found.append(SourceCell(index, kind, source, language if coloured else "", tags, text_of))
    return found, False
