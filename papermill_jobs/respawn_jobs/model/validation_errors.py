"""What pydantic finds wrong, in plain words: what was wanted, and of an address also what stands there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from respawn_kernels.counting import how_many

_MAX_SHOWN_LENGTH = 40
_ADDRESS = ("path", "query")
_PLACES = {"path": " in the address", "query": " in the address, after the `?`,", "header": " in the headers"}
_KINDS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "string": "text",
    "list": "a list", "dict": "an object with names", "model": "an object with names",
    "datetime": "a time such as 2026-11-29T14:05:00Z", "date": "a day such as 2026-11-29",
    "time": "a time of day such as 14:05", "bytes": "bytes", "none": "nothing (null)", "decimal": "a number",
}  # fmt: skip
"""What a type of error begins with, and what was wanted then."""
_BOUNDS = {
    "greater_than_equal": ("ge", "{} or more"), "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "{} or less"), "less_than": ("lt", "less than {}"),
}  # fmt: skip
_LENGTHS = {
    "string_too_long": ("max_length", "at most", "character"),
    "string_too_short": ("min_length", "at least", "character"),
    "too_long": ("max_length", "at most", "item"), "too_short": ("min_length", "at least", "item"),
}  # fmt: skip


def in_words(problem: Mapping[str, Any], *, place: bool = True) -> str:
    """Return one error of pydantic as a part of a sentence that names what is wrong and what is wanted.

    Values of a body are not repeated, for they may be secret; those of an address are.

    Args:
        problem: as `ValidationError.errors()` lists it.
        place: whether its location begins with where it was given: path, query, body.
    """
    loc: Sequence[Any] = problem["loc"]
    where = str(loc[0]) if place and loc else ""
    name = ".".join(str(part) for part in (loc[1:] if place else loc))
    subject = f"`{name}`" if name else "the document"
    if problem["type"] == "missing":
        return f"{subject}{_PLACES.get(where, '').rstrip(',')} is missing: give it"
    given = f", not {_short(problem.get('input'))}" if where in _ADDRESS else ""
    fix = ": correct it" + (", or leave it out" if where == "query" else "") if where in _ADDRESS else ""
    return f"{subject}{_PLACES.get(where, '')} {wanted(problem)}{given}{fix}"


def wanted(problem: Mapping[str, Any]) -> str:
    """Return what one error of pydantic wants, such as "must be a whole number"."""
    kind, about = str(problem["type"]), problem.get("ctx") or {}
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        limit = about[bound]
        return f"must be {words.format(f'{limit:,}' if isinstance(limit, int | float) else limit)}"
    if kind in _LENGTHS:
        bound, words, counted = _LENGTHS[kind]
        return f"must have {words} {how_many(about[bound], counted)}"
    if kind in ("literal_error", "enum"):
        return f"must be {about['expected']}"
    if kind == "extra_forbidden":
        return "is not known here: leave it out"
    if kind == "string_pattern_mismatch":
        return f"must have the form {about['pattern']}"
    if kind == "json_invalid":
        return "must be JSON"
    if kind.startswith("int_parsing_size"):
        return "is a number too large"
    kind_words = _KINDS.get(kind.partition("_")[0])
    if kind_words is not None and kind.endswith(
        ("_type", "_parsing", "_from_float", "_invalid", "_too_large")
    ):
        return f"must be {kind_words}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"cannot be used ({message[:1].lower()}{message[1:]})"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return f"“{text if len(text) <= _MAX_SHOWN_LENGTH else text[: _MAX_SHOWN_LENGTH - 1] + '…'}”"
