"""The forms for schedules on a job's page: what their fields hold, and what a form that was sent asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.datastructures import FormData

from respawn_hub.pages.parameter_fields import FIELD, Field, fields, filled_with, given_parameters, untouched
from respawn_jobs.api.service import ScheduleRequest
from respawn_jobs.api.versions import ScheduleChange
from respawn_jobs.errors import InvalidInput, RespawnError
from respawn_jobs.model.base import Model
from respawn_jobs.model.jobs import Parameter, Schedule
from respawn_jobs.model.validation_errors import in_words

WITH_PARAMETERS = "with_parameters"
"""The field of a form that has fields for parameters."""
_TIMES = ("cron", "tz", "missed", "max_missed")
_DUE = "respawn_logical_date"
_Wanted = TypeVar("_Wanted", bound=Model)


@dataclass(frozen=True)
class ScheduleForm:
    """A form for a schedule, as its page shows it."""

    key: str
    """What the ids of its fields begin with."""
    given: dict[str, Any]
    """What stands in the fields that are not for parameters."""
    fields: list[Field]
    problem: RespawnError | None
    left: dict[str, Any] = field(default_factory=dict)
    """What the schedule gives that the notebook does not declare: it goes when the form is saved."""

    @property
    def at_field(self) -> bool:
        """Whether what was refused stands at a field for a parameter."""
        return any(one.problem for one in self.fields)


def new_form(
    declared: Sequence[Parameter], form: FormData | None = None, problem: RespawnError | None = None
) -> ScheduleForm:
    """Return the form that adds a schedule.

    Args:
        declared: the parameters of the job's current version.
        form: what was sent, when it was refused; None for an empty form.
        problem: why it was refused; None when it was not.
    """
    given = _texts(form) if form else {}
    shown = fields(_shown(declared, {}), form, problem, key="new-")
    return ScheduleForm("new", given, shown, problem)


def edit_form(
    declared: Sequence[Parameter],
    schedule: Schedule,
    form: FormData | None = None,
    problem: RespawnError | None = None,
    *,
    drops: bool = True,
) -> ScheduleForm:
    """Return the form that changes a schedule, with its own values, or what was sent and refused.

    Args:
        declared: the parameters of the job's current version.
        schedule: the schedule.
        form: what was sent.
        problem: why it was refused.
        drops: whether what is not declared goes: not where nothing tells what a notebook declares.
    """
    shown = _shown(declared, schedule.parameters)
    own, kept = filled_with(shown, schedule.parameters)
    names = {one.name for one in declared}
    return ScheduleForm(
        schedule.id,
        _texts(form) if form else schedule.model_dump(include=set(_TIMES)),
        fields(shown, form or own, problem, key=f"{schedule.id}-", kept=kept),
        problem,
        {name: value for name, value in schedule.parameters.items() if drops and name not in names},
    )


def schedule_request(ref: str, form: FormData, declared: list[Parameter]) -> ScheduleRequest:
    """Return what a form asks for.

    Args:
        ref: the job, `kind/owner/name`.
        form: the sent form: `cron`, `tz`, `missed`, `max_missed`, and fields for parameters.
        declared: the parameters of the job's current version, by whose types the fields are read.

    Raises:
        InvalidInput: a field holds what the request or its parameter does not take.
    """
    texts = _texts(form)
    given: dict[str, Any] = {name: text for name, text in texts.items() if text or name in ("cron", "tz")}
    return _read(ScheduleRequest, {"job": ref, "parameters": given_parameters(form, declared), **given})


def schedule_change(form: FormData, declared: list[Parameter]) -> ScheduleChange:
    """Return what a form changes. Raises `InvalidInput` for what the change's fields do not take.

    Values whose fields came back as they were filled stay, secret ones among them, and those that the page
    had no field for.
    """
    given: dict[str, Any] = {name: text for name, text in _texts(form).items() if text}
    if WITH_PARAMETERS in form:
        kept = untouched(form)
        given["parameters"] = given_parameters(form, declared, but=kept)
        given["keep"] = sorted(kept | {one.name for one in declared if FIELD + one.name not in form})
    return _read(ScheduleChange, given)


def _shown(declared: Sequence[Parameter], values: dict[str, Any]) -> list[Parameter]:
    """Return the parameters that have fields: each run is given the time that it was due for."""
    return [one for one in declared if one.name != _DUE or one.name in values]


def _texts(form: FormData) -> dict[str, str]:
    return {name: str(form[name]).strip() for name in _TIMES if name in form}


def _read(model: type[_Wanted], given: dict[str, Any]) -> _Wanted:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidInput(in_words(wrong, place=False)) from error
