"""The manifest of a checkpoint: which variables it holds, in which blobs, and what it could not hold.

A checkpoint directory, whether a spool that a kernel writes or a download that a kernel restores from, is

    <directory>/manifests/<cell>.json     one manifest per boundary, written last and whole
    <directory>/blobs/<digest>            content-addressed data, named by the BLAKE3 of its bytes

Manifests are JSON and never need unpickling to be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class StoredVariable:
    """A variable that the checkpoint holds."""

    name: str
    type: str
    """Qualified name of its class, such as `pandas.DataFrame`."""
    description: str
    """Shape, length or a short value; safe to show."""
    size: int | None
    """Bytes in memory where the object tells cheaply."""
    cell: int | None = None
    """The cell that made its present value."""


@dataclass(frozen=True)
class UnstoredVariable:
    """A variable that the checkpoint could not hold."""

    name: str
    type: str
    reason: str
    cell: int | None = None


@dataclass(frozen=True)
class Blob:
    """A blob that the checkpoint needs."""

    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a kernel's namespace was just after a cell."""

    cell: int
    engine: str
    """Which snapshot engine wrote it, such as `plain`; the same engine reads it."""
    python: str
    cwd: str
    execution_count: int
    variables: list[StoredVariable]
    unstored: list[UnstoredVariable]
    blobs: list[Blob]
    seconds: float = 0.0
    """How long the kernel was kept waiting."""
    payload: dict[str, Any] = field(default_factory=dict)
    """The engine's own part: which blob is which."""
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the manifest as a JSON document."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read a manifest; who wrote it need not be trusted.

        Raises ValueError for a format that this version does not know, and naming a field that is wrong.
        """
        try:
            data = json.loads(text)
        except RecursionError as error:
            raise ValueError("the manifest is nested too deeply") from error
        if not _is_object(data):
            raise ValueError("the manifest is not a JSON object")
        if data.get("format") != FORMAT:
            raise ValueError(f"checkpoint format {data.get('format')!r} is not known here (known: {FORMAT})")
        _check(data, _MANIFEST, "manifest")
        for name, (_, checks) in _PARTS.items():
            for place, part in enumerate(data[name]):
                _check(part, checks, f"{name}[{place}]")
        return cls(
            **{**data, **{name: [of(**part) for part in data[name]] for name, (of, _) in _PARTS.items()}}
        )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


_Checks = dict[str, Callable[[Any], bool]]
_MANIFEST: _Checks = {
    "cell": _is_count,
    "engine": _is_text,
    "python": _is_text,
    "cwd": _is_text,
    "execution_count": _is_count,
    "variables": _is_list,
    "unstored": _is_list,
    "blobs": _is_list,
    "seconds": _is_seconds,
    "payload": _is_object,
    "format": _is_count,
}
_NAMED: _Checks = {"name": _is_text, "type": _is_text, "cell": _is_count_or_none}
_PARTS: dict[str, tuple[type[Any], _Checks]] = {
    "variables": (StoredVariable, {**_NAMED, "description": _is_text, "size": _is_count_or_none}),
    "unstored": (UnstoredVariable, {**_NAMED, "reason": _is_text}),
    "blobs": (Blob, {"digest": _is_digest, "size": _is_count}),
}
_OPTIONAL = {"manifest": {"seconds", "payload"}}


def _check(document: Any, checks: _Checks, where: str) -> None:
    """Raise ValueError naming the field of `document` that is missing, unknown or of another kind."""
    if not _is_object(document):
        raise ValueError(f"{where} is not an object")
    for name in document.keys() - checks.keys():
        raise ValueError(f"{where}.{name} is not a known field")
    for name, right in checks.items():
        if name not in document and name not in _OPTIONAL.get(where, {"cell"}):
            raise ValueError(f"{where}.{name} is missing")
        if name in document and not right(document[name]):
            raise ValueError(f"{where}.{name} is not {right.__name__.removeprefix('_is_').replace('_', ' ')}")
