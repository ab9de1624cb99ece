"""Making a notebook of this server a job: what that would do, and the promotion with its schedule."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from nbformat import NotebookNode
from pydantic import Field

from respawn_jobs import cron as schedules
from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest, Service
from respawn_jobs.api.versions import PromotionPreview, ScheduleChange
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput, RespawnError
from respawn_jobs.model.base import Model
from respawn_jobs.model.jobs import Parameter, Schedule, Version
from respawn_jobs.model.runs import Run

VALUE = "value of "
"""What the name of a field for a parameter's value begins with."""
_FIELDS = {"name": "name", "namespace": "namespace", "kernel": "kernel", "cron": "cron", "tz": "tz"}


class ScheduleBody(Model):
    """When a promoted notebook is to run, and with what."""

    cron: str
    tz: str
    parameters: dict[str, str] = {}
    """As typed; read by the types that the notebook declares."""


class Inspection(Model):
    """What a notebook would be as a job, shown before it is promoted."""

    name: str
    namespace: str
    kernel: str | None
    display_name: str | None
    language: str
    parameters: list[Parameter]


class PromotionProblem(Model):
    """Why a promotion would be refused."""

    field: str
    """The field of the form that it is about; empty where it is about none."""
    message: str


class Carry(Model):
    """What a person says of the files that the job is to carry; see `carried.finding.FileChoice`."""

    more: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=100)
    without: list[Annotated[str, Field(max_length=1000)]] = Field(default=[], max_length=100)
    in_place: bool = False
    """Whether it carries none in any case: its runs work where the notebook lies."""


class CarriedEntry(Model):
    """A file that the job would carry."""

    path: str
    size: int
    """Bytes."""


class CarriedPreview(Model):
    """What the job would carry beside its notebook."""

    files: list[CarriedEntry] = []
    outside: list[str] = []
    """What its runs will not have, unless it lies where they execute: a sentence for each."""


class Previewed(Model):
    """What a promotion as typed so far would do."""

    preview: PromotionPreview | None
    """None where it would be refused."""
    problems: list[PromotionProblem]
    next_due: list[str] = []
    """The next times of the schedule that it would add."""
    carried: CarriedPreview | None = None
    """None where that is not known, as a pattern leads nowhere."""


def inspect_notebook(name: str, text: str, owner: str) -> Inspection:
    """Return what a notebook would be as a job.

    Args:
        name: the name that the job would have.
        text: the notebook as its file holds it, JSON.
        owner: the hub's name of whose namespace, `user/<owner>`, it would be in.

    Raises:
        InvalidInput: the text is no notebook.
    """
    from respawn_jobs.notebook.document import read_notebook

    notebook = read_notebook(text)
    spec = notebook.metadata.get("kernelspec") or {}
    return Inspection(
        name=name,
        namespace=f"user/{owner}",
        kernel=spec.get("name"),
        display_name=spec.get("display_name") or spec.get("name"),
        language=_language(notebook),
        parameters=_parameters(notebook),
    )


def suggested_name(service: Service, promotion: Promotion) -> str:
    """Return the name of the job that the file is already, the newest of several; else the promotion's own.

    Raises:
        RespawnError: The service does not answer, or not to this server.
    """
    try:
        seen = service.preview_promotion(promotion)
    except (InvalidInput, Forbidden, Conflict):  # the preview of the form tells it, at its field
        return promotion.name
    return seen.same_file[0].rpartition("/")[2] if seen.same_file else promotion.name


def with_files(promotion: Promotion, carry: Carry) -> tuple[Promotion, CarriedPreview]:
    """Return a promotion with the files that it carries, and what the person is told of them.

    Args:
        promotion: the promotion, with its notebook and its directory.
        carry: what the person says of the files.

    Raises:
        InvalidInput: a pattern leads nowhere, or to what cannot be carried.
    """
    from respawn_jobs.carried.finding import FileChoice, find_files
    from respawn_jobs.notebook.document import read_notebook

    if promotion.directory is None or carry.in_place:
        return promotion, CarriedPreview()
    wanted = FileChoice(more=carry.more, without=carry.without)
    try:
        found = find_files(read_notebook(promotion.notebook), Path(promotion.directory), wanted)
    except InvalidInput as error:
        raise InvalidInput(error.message, **{**error.fields, "field": "carry"}) from error
    carried = CarriedPreview(
        files=[CarriedEntry(path=one.path, size=len(one.data())) for one in found.files],
        outside=found.outside,
    )
    return promotion.model_copy(update={"files": found.files or None}), carried


def preview(service: Service, promotion: Promotion, schedule: ScheduleBody | None) -> Previewed:
    """Return what a promotion with its schedule would do, and all that would be refused of it.

    Args:
        service: the service, as this server's user may use it.
        promotion: the notebook, and the form as typed so far.
        schedule: the schedule as typed so far; None for a promotion without one.

    Raises:
        RespawnError: The service does not answer, or not to this server.
    """
    problems: list[PromotionProblem] = []
    seen: PromotionPreview | None = None
    try:
        seen = service.preview_promotion(promotion)
    except (InvalidInput, Forbidden, Conflict) as error:
        problems.append(PromotionProblem(field=_field(error), message=error.message))
    fires: list[str] = []
    if schedule is not None:
        for check in (
            lambda: fires.extend(t.isoformat() for t in service.preview(schedule.cron, schedule.tz)),
            lambda: _scheduled_values(promotion.notebook, schedule.parameters),
            lambda: _refuse_double(promotion.notebook, schedule, seen.schedules if seen else []),
        ):
            try:
                check()
            except (InvalidInput, Conflict) as error:
                problem = PromotionProblem(field=_field(error), message=error.message)
                if problem not in problems:
                    problems.append(problem)
    return Previewed(preview=seen, problems=problems, next_due=fires)


def promote(
    service: Service, promotion: Promotion, schedule: ScheduleBody | None
) -> tuple[Version, Schedule | None]:
    """Promote a notebook and schedule it.

    Args:
        service: the service, as this server's user may use it.
        promotion: the notebook, with what the person agreed to.
        schedule: when it is to run; None for a promotion without a schedule.

    Raises:
        InvalidInput: the schedule, or a parameter's value, cannot be used; nothing was promoted.
        Conflict: the job has this schedule already, and nothing was promoted; or somebody added it meanwhile,
            and the message names the version that the job has. Also what `Service.promote` refuses.
        RespawnError: what else `service` raises.
    """
    if schedule is None:
        return service.promote(promotion), None
    values = _scheduled_values(promotion.notebook, schedule.parameters)
    service.preview(schedule.cron, schedule.tz, 1)
    _refuse_double(promotion.notebook, schedule, service.preview_promotion(promotion).schedules)
    version = service.promote(promotion)
    request = ScheduleRequest(job=version.job, cron=schedule.cron, tz=schedule.tz, parameters=values)
    try:
        return version, service.schedule(request)
    except Conflict as error:
        # Somebody added the same schedule between the look and the promotion.
        message = f"The job has version {version.number}, and the schedule was not added: {error.message}"
        raise Conflict(message, **error.fields) from error


def change_schedule(
    service: Service, schedule: str, change: ScheduleChange, typed: dict[str, str] | None, job: str
) -> Schedule:
    """Change a schedule.

    Args:
        service: where it is.
        schedule: its id.
        change: what becomes of it, without its parameters.
        typed: its parameters' values as typed; None leaves them.
        job: the job whose current version declares them.
    """
    if typed is not None:
        declared = _declared(service, job, None)
        values = {name: _parse(declared, name, value) for name, value in typed.items()}
        change = change.model_copy(update={"parameters": values})
    return service.change_schedule(schedule, change)


def run_now(service: Service, job: str, version: int | None, typed: dict[str, str]) -> Run:
    """Queue a run of a job with parameters as they were typed.

    Args:
        service: the service, as this server's user may use it.
        job: the job, `namespace/name`.
        version: number of the version that runs, from 1; None for the current one.
        typed: the parameters' values as typed, by name; those that are left out take their default.

    Raises:
        InvalidInput: a value is not of the type that its parameter declares.
        RespawnError: what else `Service.run` raises.
    """
    declared = _declared(service, job, version)
    values = {name: _parse(declared, name, value) for name, value in typed.items()}
    return service.run(RunRequest(job=job, parameters=values, version=version))


def _declared(service: Service, job: str, version: int | None) -> list[Parameter]:
    number = version if version is not None else service.job(job).version
    found = next((one for one in service.versions(job) if one.number == number), None)
    return list(found.parameters) if found else []


def _parse(declared: list[Parameter], name: str, value: str) -> Any:
    from respawn_jobs.notebook.parameter_values import parse

    return parse(declared, name, value)


def _refuse_double(text: str, schedule: ScheduleBody, there: list[Schedule]) -> None:
    """Raise Conflict when one of the schedules that are there is the same."""
    values = _scheduled_values(text, schedule.parameters)
    for one in there:
        if one.tz != schedule.tz or one.parameters != values:
            continue
        if schedules.same_times(schedule.cron, one.cron):
            state = " (paused)" if one.paused else ""
            raise Conflict(
                f"the job has this schedule already: {one.id}, {one.cron} in {one.tz}{state}",
                field="cron",
                schedule=one.id,
            )


def _field(error: RespawnError) -> str:
    """Return the form's field that an error is about."""
    if error.fields.get("field"):
        return str(error.fields["field"])
    if "parameter" in error.fields:
        return f"{VALUE}{error.fields['parameter']}"
    named = next((field for key, field in _FIELDS.items() if key in error.fields), "")
    return named or ("namespace" if isinstance(error, Forbidden) else "")


def _scheduled_values(text: str, typed: dict[str, str]) -> dict[str, Any]:
    from respawn_jobs.notebook.document import read_notebook
    from respawn_jobs.notebook.parameter_values import check
    from respawn_jobs.notebook.parameters import inspectable

    notebook = read_notebook(text)
    declared = _parameters(notebook)
    values = {name: _parse(declared, name, value) for name, value in typed.items()}
    return check(declared, values) if inspectable(_language(notebook)) else values


def _parameters(notebook: NotebookNode) -> list[Parameter]:
    from respawn_jobs.notebook.parameters import inspect

    kernel = (notebook.metadata.get("kernelspec") or {}).get("name") or "python3"
    return inspect(notebook, kernel, _language(notebook))


def _language(notebook: NotebookNode) -> str:
    spec = notebook.metadata.get("kernelspec") or {}
    info = notebook.metadata.get("language_info") or {}
    return str(spec.get("language") or info.get("name") or "python")


def job_name(path: str) -> str:
    """Return a job name made from a file's: small letters, digits and hyphens."""
    letters = (
        char if char.isascii() and char.isalnum() else " " for char in PurePosixPath(path).stem.lower()
    )
    return "-".join("".join(letters).split())[:63].strip("-") or "notebook"
