"""Making a notebook of this server a job: what it would be, and the promotion with its schedule."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from nbformat import NotebookNode

from respawn_jobs.models import Model, Parameter, Schedule, Version
from respawn_jobs.service import Promotion, ScheduleRequest, Service


class ScheduleBody(Model):
    """When a promoted notebook is to run, and with what."""

    cron: str
    tz: str
    parameters: dict[str, str] = {}
    """As typed; read by the types that the notebook declares."""


class Inspection(Model):
    """What a notebook would be as a job, told before it is promoted."""

    name: str
    namespace: str
    kernel: str | None
    display_name: str | None
    language: str
    parameters: list[Parameter]


def inspect_notebook(path: str, text: str, owner: str) -> Inspection:
    """Return what a notebook would be as a job of `owner`. Raises InvalidInput for what is not a notebook."""
    from respawn_jobs.notebooks import read_notebook

    notebook = read_notebook(text)
    spec = notebook.metadata.get("kernelspec") or {}
    return Inspection(
        name=_job_name(path),
        namespace=f"user/{owner}",
        kernel=spec.get("name"),
        display_name=spec.get("display_name") or spec.get("name"),
        language=_language(notebook),
        parameters=_parameters(notebook),
    )


def promote(
    service: Service, promotion: Promotion, schedule: ScheduleBody | None
) -> tuple[Version, Schedule | None]:
    """Promote a notebook and schedule it.

    Raises:
        RespawnError: What `service` raises. A schedule that cannot be is refused before anything is promoted.
    """
    if schedule is None:
        return service.promote(promotion), None
    values = _scheduled_values(promotion.notebook, schedule.parameters)
    service.preview(schedule.cron, schedule.tz, 1)
    version = service.promote(promotion)
    request = ScheduleRequest(job=version.job, cron=schedule.cron, tz=schedule.tz, parameters=values)
    return version, service.schedule(request)


def _scheduled_values(text: str, typed: dict[str, str]) -> dict[str, Any]:
    from respawn_jobs.notebooks import read_notebook
    from respawn_jobs.parameters import check, inspectable, parse

    notebook = read_notebook(text)
    declared = _parameters(notebook)
    values = {name: parse(declared, name, value) for name, value in typed.items()}
    return check(declared, values) if inspectable(_language(notebook)) else values


def _parameters(notebook: NotebookNode) -> list[Parameter]:
    from respawn_jobs.parameters import inspect

    kernel = (notebook.metadata.get("kernelspec") or {}).get("name") or "python3"
    return inspect(notebook, kernel, _language(notebook))


def _language(notebook: NotebookNode) -> str:
    spec = notebook.metadata.get("kernelspec") or {}
    info = notebook.metadata.get("language_info") or {}
    return str(spec.get("language") or info.get("name") or "python")


def _job_name(path: str) -> str:
    """Return a job name made from a file's: small letters, digits and hyphens."""
    letters = (
        char if char.isascii() and char.isalnum() else " " for char in PurePosixPath(path).stem.lower()
    )
    return "-".join("".join(letters).split())[:63].strip("-") or "notebook"
