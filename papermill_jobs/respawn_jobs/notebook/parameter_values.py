"""The values of a run's parameters: checked against what is declared, read from text, compared and shown."""

from __future__ import annotations

import ast
import difflib
import json
from typing import Any

from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.jobs import Parameter
from respawn_jobs.notebook.document import TAG_PARAMETERS
from respawn_jobs.notebook.parameter_types import read
from respawn_jobs.redact import GONE
from respawn_kernels.counting import how_many
from respawn_kernels.digest import digest_of

MAX_BYTES = 100_000
"""Of all parameters of a run, as JSON in UTF-8."""


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


_SPELLED = {
    "date": "a date such as 2026-01-31",
    "datetime": "a date and time such as 2026-01-31T06:00",
    "time": "a time such as 06:00",
    "decimal": "a number",
    "path": "a path",
}


_WORDS = {"true": True, "false": False, "none": None, "null": None}


def check(declared: list[Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """Return `given` when it fits what is declared, dates and their like in one spelling.

    Raises `InvalidInput` naming the parameter and what was expected, for an unknown name, a wrong type, a
    value that is none of the choices or is not JSON, or a required one that is missing.
    """
    by_name = {parameter.name: parameter for parameter in declared}
    checked: dict[str, Any] = {}
    check_json(given)
    for name, value in given.items():
        if name not in by_name:
            raise InvalidInput(_unknown(name, list(by_name)), parameter=name, known=list(by_name))
        checked[name] = _checked(by_name[name], value)
    for parameter in declared:
        if parameter.required and parameter.name not in given:
            wanted = f" (expected {_expected(parameter)})" if parameter.type or parameter.choices else ""
            raise InvalidInput(
                f"parameter {parameter.name!r} is required and was not given{wanted}",
                parameter=parameter.name,
            )
    return checked


def shortened(text: str, most: int = 60) -> str:
    """Return a text for one line of a list, cut where it is longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def check_json(given: dict[str, Any]) -> None:
    """Raise `InvalidInput` unless names and values can be kept as JSON in UTF-8, in `MAX_BYTES` together.

    The bound is there because lists and pages show the parameters of each run.
    """
    total = 0
    for name, value in given.items():
        size = _json_size(name, value)
        total += size
        if total > MAX_BYTES:
            raise InvalidInput(
                f"parameter {name[:80]!r} has {how_many(size, 'byte')}, and all together may have "
                f"{MAX_BYTES}: keep what is larger in a file or an object store, and give its place",
                parameter=name[:80],
            )


def _json_size(name: str, value: Any) -> int:
    try:
        return len(json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        reason = "it holds half a character" if isinstance(error, UnicodeEncodeError) else str(error)
        raise InvalidInput(
            f"parameter {name!r} has a value that is not JSON: {reason}",
            parameter=name.encode(errors="replace").decode(),
        ) from error


def changed_parameters(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names whose values differ; `1`, `1.0` and `True` do."""
    return [name for name in sorted({*before, *after}) if not _same(name, before, after)]


def _same(name: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    return name in before and name in after and _canonical(before[name]) == _canonical(after[name])


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def parameters_hash(values: dict[str, Any]) -> str:
    """Return the hash that tells whether a run's parameters are the same."""
    return digest_of(json.dumps(values, sort_keys=True, ensure_ascii=False).encode(errors="replace"))


def parse(declared: list[Parameter], name: str, text: str) -> Any:
    """Return the value that `text` means for parameter `name` on a command line or in a form.

    Text for a declared `str` stays as it is, except that `None` is null where null may be given. What has
    choices is one of them. Any other is read as papermill's `-p` reads it: true, false, none, whole numbers,
    floats, and else text; lists and dicts where declared, as JSON or Python literals.

    Args:
        declared: the parameters of the notebook.
        name: the parameter; one that is not declared is read as papermill does.
        text: as it was typed.

    Raises:
        InvalidInput: a list or dict is declared, and the text is none.
    """
    parameter = next((parameter for parameter in declared if parameter.name == name), None)
    kind = parameter.type if parameter else None
    if parameter is not None and parameter.nullable and text.strip().lower() in ("none", "null"):
        return None
    if parameter is not None and parameter.choices:
        return next((choice for choice in parameter.choices if _typed(choice) == text), text)
    if kind == "str" or kind in _SPELLED:
        return text
    if kind in ("list", "dict"):
        return _container(name, kind, text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        try:
            value = number(text)
        except ValueError:
            continue
        return float(value) if kind == "float" else value
    return text


def _typed(choice: Any) -> str:
    """Return a choice as a person types it."""
    return choice if isinstance(choice, str) else str(choice)


def _container(name: str, kind: str, text: str) -> Any:
    for read_text in (json.loads, ast.literal_eval):
        try:
            value = read_text(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, tuple | set) else value
    raise InvalidInput(f"parameter {name!r}: expected {kind}, got the text {_short(text)}", parameter=name)


def _checked(parameter: Parameter, value: Any) -> Any:
    """Return a value as it is kept. Raises `InvalidInput` for one that does not fit."""
    if value is None and parameter.nullable:
        return value
    if parameter.secret and value == GONE:
        raise InvalidInput(
            f"parameter {parameter.name!r} is secret, and its value is not kept here; give it again",
            parameter=parameter.name,
        )
    if parameter.choices:
        if not any(_canonical(value) == _canonical(choice) for choice in parameter.choices):
            raise _misfit(parameter, value)
        return value
    if parameter.type in _SPELLED:
        try:
            return read(parameter.type, value)
        except (ValueError, TypeError) as error:
            raise _misfit(parameter, value) from error
    if parameter.type is not None and not _is_a(parameter.type, value):
        raise _misfit(parameter, value)
    if parameter.type == "list" and parameter.items is not None:
        return [_item(parameter, at, item) for at, item in enumerate(value)]
    return value


def _item(parameter: Parameter, at: int, value: Any) -> Any:
    kind = str(parameter.items)
    try:
        if kind in _SPELLED:
            return read(kind, value)
    except (ValueError, TypeError):
        pass
    else:
        if _is_a(kind, value):
            return value
    raise InvalidInput(
        f"parameter {parameter.name!r}, item {at}: expected {_SPELLED.get(kind, kind)}, "
        f"got {_got(parameter, value)}",
        parameter=parameter.name,
        expected=kind,
        got=_kind_of(value),
    )


def _is_a(kind: str, value: Any) -> bool:
    return isinstance(value, _PYTHON_TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))


def _misfit(parameter: Parameter, value: Any) -> InvalidInput:
    return InvalidInput(
        f"parameter {parameter.name!r}: expected {_expected(parameter)}, got {_got(parameter, value)}",
        parameter=parameter.name,
        expected=_expected(parameter),
        got=_kind_of(value),
    )


def _expected(parameter: Parameter) -> str:
    """Return what a parameter takes, in words."""
    words = _SPELLED.get(parameter.type or "", parameter.type or "a value")
    if parameter.choices:
        words = f"one of {', '.join(map(_typed, parameter.choices))}"
    return f"{words}, or None" if parameter.nullable and parameter.choices else words


def _got(parameter: Parameter, value: Any) -> str:
    if value is None:
        return "None"
    return f"{_kind_of(value)} {GONE if parameter.secret else _short(value)}"


def _kind_of(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _short(value: Any) -> str:
    return shortened(json.dumps(value, default=str))


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"unknown parameter {name!r}: the notebook declares none (tag a cell `{TAG_PARAMETERS}`)"
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else f"it has {', '.join(known)}"
    return f"unknown parameter {name!r}: {hint}"
