"""Fields of forms for parameters: which control each gets, and what the texts of a form mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from respawn_jobs import parameters
from respawn_jobs.errors import InvalidInput, RespawnError
from respawn_jobs.models import Parameter

FIELD = "parameter:"
"""What the names of fields for parameters begin with."""
NONE = "none:"
"""What the names of boxes begin with that give a parameter None."""
EMPTY = "empty:"
"""What the names of boxes begin with that give a parameter the empty text."""
_PARAMETER_DUE = "respawn_due"
_INPUTS = {
    "int": "number", "float": "number", "date": "date", "datetime": "datetime-local", "time": "time",
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One parameter's field."""

    id: str
    parameter: Parameter
    control: str
    """select, textarea, or the type of an input."""
    options: list[str]
    """Of a select, without that for an empty choice."""
    given: str
    """What the form that was sent had in it."""
    none: bool
    """Whether that form gave None by the field's box."""
    empty: bool
    """Whether that form gave the empty text by the field's box."""
    now: str
    """What an empty field leaves in place, as a person types it; empty when it is not known."""
    computed: str
    """Source of a default that is no plain value."""
    needed: bool
    problem: str | None
    """What is wrong with what was sent."""

    @property
    def kind(self) -> str:
        """What it takes, in a word or two."""
        if self.parameter.choices:
            return "one of"
        items = f" of {self.parameter.items}" if self.parameter.items else ""
        return f"{self.parameter.type or 'any value'}{items}"

    @property
    def may_be_none(self) -> bool:
        """Whether it has a box for None: a select has an option for it."""
        return self.parameter.nullable and self.control != "select"

    @property
    def may_be_empty(self) -> bool:
        """Whether it has a box for the empty text: an empty field gives nothing."""
        if self.parameter.choices:
            return "" in self.parameter.choices
        return self.parameter.type in ("str", None) and self.control in ("text", "password")


def fields(
    declared: Sequence[Parameter],
    form: FormData | None = None,
    problem: RespawnError | None = None,
    values: Mapping[str, Any] | None = None,
) -> list[Field]:
    """Return the fields of a form.

    Args:
        declared: The parameters.
        form: What was sent, when it comes back to be corrected.
        problem: Why it was refused.
        values: What a run has, where an empty field keeps that; None where it takes the default.
    """
    sent = form or FormData()
    wrong = str(problem.fields.get("parameter", "")) if problem else ""
    return [
        Field(
            id=f"p{number}",
            parameter=one,
            control=_control(one),
            options=_options(one),
            given=str(sent.get(FIELD + one.name, "")),
            none=NONE + one.name in sent,
            empty=EMPTY + one.name in sent,
            now=_now(one, values),
            computed="" if _plain(one) or (values and one.name in values) else one.default_source,
            needed=one.required and not (values and one.name in values) and one.name != _PARAMETER_DUE,
            problem=problem.message if problem and wrong == one.name else None,
        )
        for number, one in enumerate(declared, 1)
    ]


def given_parameters(form: FormData, declared: list[Parameter]) -> dict[str, object]:
    """Return the parameters that a form gives; fields that are left empty give none, boxes None or "".

    Raises `InvalidInput` naming the parameter whose text cannot be read, or that is given in two ways.
    """
    sent = {name.removeprefix(FIELD): str(value) for name, value in form.items() if name.startswith(FIELD)}
    given: dict[str, object] = {
        name: parameters.parse(declared, name, text) for name, text in sent.items() if text.strip() != ""
    }
    for prefix, value in ((NONE, None), (EMPTY, "")):
        for name in (box.removeprefix(prefix) for box in form if box.startswith(prefix)):
            if name in given:
                raise InvalidInput(
                    f"parameter {name!r} is given in two ways: leave its field empty, or untick the box",
                    parameter=name,
                )
            given[name] = value
    return given


def typed(value: Any) -> str:
    """Return a value as a person writes it into its field."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _control(parameter: Parameter) -> str:
    if parameter.secret:
        return "password"
    if parameter.choices or parameter.type == "bool":
        return "select"
    if parameter.type in ("list", "dict"):
        return "textarea"
    aware = (
        any(word in parameter.default_source for word in ("tz", "UTC")) or parameter.name == _PARAMETER_DUE
    )
    if parameter.type in ("datetime", "time") and aware:
        return "text"  # the browser's own control knows no zones
    return _INPUTS.get(parameter.type or "", "text")


def _options(parameter: Parameter) -> list[str]:
    options = [typed(choice) for choice in parameter.choices if choice != ""] or ["True", "False"]
    return [*options, *(["None"] if parameter.nullable else [])]


def _plain(parameter: Parameter) -> bool:
    return parameter.default is not None or parameter.default_source in ("", "None")


def _now(parameter: Parameter, values: Mapping[str, Any] | None) -> str:
    if parameter.secret:
        return ""
    if values and parameter.name in values:
        return typed(values[parameter.name])
    if parameter.required or not _plain(parameter):
        return ""
    return typed(parameter.default)
