"""Fields of forms for parameters: which control each gets, and what the texts of a form mean."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from respawn_jobs.errors import InvalidInput, RespawnError
from respawn_jobs.model.jobs import Parameter
from respawn_jobs.notebook import parameter_values

FIELD = "parameter:"
"""What the names of fields for parameters begin with."""
NONE = "none:"
"""What the names of boxes begin with that give a parameter None."""
EMPTY = "empty:"
"""What the names of boxes begin with that give a parameter the empty text."""
KEPT = "kept:"
"""What the names of hidden fields begin with that say what a parameter's field was filled with."""
DROPPED = "default:"
"""What the names of boxes begin with that take a secret value away."""
_LOGICAL_DATE_PARAMETER = "respawn_logical_date"
_NOTHING = object()
_INPUTS = {
    "int": "number", "float": "number", "date": "date", "datetime": "datetime-local", "time": "time",
}  # fmt: skip
_SHOWS = {
    "number": re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "datetime-local": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?"),
    "time": re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?"),
}
"""What an input of the type can show: of any other text a browser shows, and sends, nothing."""


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
    kept: str | None = None
    """What the value that is changed here reads in the field: sent back as it was, it stays. None: there is
    no such value, or a box holds it."""
    dropped: bool = False
    """Whether the form that was sent takes a secret value away."""

    @property
    def may_be_dropped(self) -> bool:
        """Whether it has a box to take its value away: a secret one is not shown, to be deleted."""
        return self.kept is not None and self.parameter.secret and not self.parameter.required

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
    *,
    key: str = "",
    kept: Mapping[str, str] | None = None,
) -> list[Field]:
    """Return the fields of a form.

    Args:
        declared: The parameters.
        form: What was sent, when it comes back to be corrected.
        problem: Why it was refused.
        values: What a run has, where an empty field keeps that; None where it takes the default.
        key: What the ids of the fields begin with, on a page of several forms.
        kept: What fields read that are filled with values; see `Field.kept`.
    """
    sent = form or FormData()
    wrong = str(problem.fields.get("parameter", "")) if problem else ""
    found = []
    for number, one in enumerate(declared, 1):
        given = str(sent.get(FIELD + one.name, ""))
        was = (kept or {}).get(one.name)
        has = bool(values and one.name in values)
        needed = one.required and not has and one.name != _LOGICAL_DATE_PARAMETER
        found.append(
            Field(
                id=f"{key}p{number}",
                parameter=one,
                control=_control(one, given),
                options=_options(one, given),
                given=given,
                none=NONE + one.name in sent,
                empty=EMPTY + one.name in sent,
                now=_now(one, values),
                computed="" if _plain(one) or has else one.default_source,
                needed=needed and not (one.secret and was is not None),
                problem=problem.message if problem and wrong == one.name else None,
                kept=was,
                dropped=DROPPED + one.name in sent,
            )
        )
    return found


def given_parameters(
    form: FormData, declared: list[Parameter], *, but: Collection[str] = ()
) -> dict[str, object]:
    """Return the parameters that a form gives; fields that are left empty give none, boxes None or "".

    Args:
        form: What was sent.
        declared: The parameters.
        but: Names of those whose fields count for nothing.

    Raises:
        InvalidInput: names the parameter whose text cannot be read, or that is given in two ways.
    """
    sent = {
        name.removeprefix(FIELD): _lines(str(value)) for name, value in form.items() if name.startswith(FIELD)
    }
    given: dict[str, object] = {
        name: parameter_values.parse(declared, name, text)
        for name, text in sent.items()
        if text.strip() != "" and name not in but
    }
    boxes: tuple[tuple[str, object], ...] = ((NONE, None), (EMPTY, ""), (DROPPED, _NOTHING))
    for prefix, value in boxes:
        for name in (box.removeprefix(prefix) for box in form if box.startswith(prefix)):
            if name in given:
                raise InvalidInput(
                    f"parameter {name!r} is given in two ways: leave its field empty, or untick the box",
                    parameter=name,
                )
            given[name] = value
    return {name: value for name, value in given.items() if value is not _NOTHING}


def untouched(form: FormData) -> set[str]:
    """Return the names of parameters whose fields came back as they were filled, with no box ticked."""
    kept = {name.removeprefix(KEPT): str(value) for name, value in form.items() if name.startswith(KEPT)}
    return {
        name
        for name, was in kept.items()
        if _lines(str(form.get(FIELD + name, ""))) == _lines(was)
        and not any(box + name in form for box in (NONE, EMPTY, DROPPED))
    }


def filled_with(declared: Sequence[Parameter], values: Mapping[str, Any]) -> tuple[FormData, dict[str, str]]:
    """Return a form that holds values, as far as they are declared, and what its fields read.

    Of a secret value its field reads nothing.
    """
    form: dict[str, str] = {}
    kept: dict[str, str] = {}
    for one in declared:
        if one.name not in values:
            continue
        value = values[one.name]
        by_option = one.choices or one.type == "bool"
        if value is None and not (by_option and not one.secret):
            form[NONE + one.name] = "yes"
        elif value == "" and isinstance(value, str):
            form[EMPTY + one.name] = "yes"
        else:
            kept[one.name] = form[FIELD + one.name] = "" if one.secret else typed(value)
    return FormData(form), kept


def typed(value: Any) -> str:
    """Return a value as a person writes it into its field."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _lines(text: str) -> str:
    """Return a text with the line ends that Python has: browsers send others."""
    return text.replace("\r\n", "\n")


def _control(parameter: Parameter, given: str = "") -> str:
    """Return the control for a parameter, or the one that can show what it holds already."""
    usual = _usual_control(parameter)
    if ("\n" in given or "\r" in given) and usual not in ("select", "password"):
        return "textarea"
    return "text" if given and usual in _SHOWS and not _SHOWS[usual].fullmatch(given) else usual


def _usual_control(parameter: Parameter) -> str:
    if parameter.secret:
        return "password"
    if parameter.choices or parameter.type == "bool":
        return "select"
    if parameter.type in ("list", "dict"):
        return "textarea"
    aware = (
        any(word in parameter.default_source for word in ("tz", "UTC"))
        or parameter.name == _LOGICAL_DATE_PARAMETER
    )
    if parameter.type in ("datetime", "time") and aware:
        return "text"  # the browser's own control knows no zones
    return _INPUTS.get(parameter.type or "", "text")


def _options(parameter: Parameter, given: str) -> list[str]:
    options = [typed(choice) for choice in parameter.choices if choice != ""] or ["True", "False"]
    options += ["None"] if parameter.nullable else []
    return [*options, *([given] if given and given not in options else [])]


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
