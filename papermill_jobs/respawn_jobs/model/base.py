"""The base of what crosses a border: the store's JSON, the API, the command's documents.

What comes in costs what its size says. Validation ends at the first wrong element of a list, for a record of
each wrong one takes a hundred times the room of the element; and a document is refused, before it is parsed,
when it has more elements than any that is meant.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

from respawn_jobs.errors import InvalidInput
from respawn_kernels.counting import how_many

MAX_DURATION_SECONDS = 366 * 24 * 3600.0
"""The longest timeout; timers of the system end somewhere beyond."""
MAX_ELEMENTS = 400_000
"""Values and keys of a JSON document, texts counted once whatever is in them."""
_MAX_UNKNOWN_FIELDS = 20
"""Unknown fields of an object: each is reported, which takes room."""
_CHUNK = 1 << 18

T = TypeVar("T")


class _AtFirst(FailFast):
    """As its base, and with a hash: unions of types need one."""

    __hash__ = object.__hash__


Many = Annotated[list[T], _AtFirst()]
"""A list in what comes in."""
LARGEST = 2**53
"""The largest integer that every reader of JSON takes for what it is; the store holds 64 bits."""
Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
"""An integer in what comes in, unless it has closer bounds."""


class Model(BaseModel):
    """Base of all wire types: immutable, unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, given: Any) -> Any:
        if isinstance(given, dict) and len(given) > len(cls.model_fields) + _MAX_UNKNOWN_FIELDS:
            raise ValueError(f"it has {how_many(len(given), 'field')}, and {len(cls.model_fields)} are known")
        return given


def check_elements(document: bytes, most: int = MAX_ELEMENTS) -> None:
    """Raise `InvalidInput` for JSON that has more elements than it may.

    Args:
        document: JSON, or what is sent for it.
        most: values and keys, at most.
    """
    if len(document) <= most:
        return
    bare = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    found, inside = 0, 0
    for start in range(0, len(bare), _CHUNK):
        parts = bare[start : start + _CHUNK].split(b'"')
        outside = b"".join(parts[inside::2])
        found += sum(map(outside.count, (b",", b":", b"[", b"{")))
        inside = (inside + len(parts) - 1) % 2
        if found > most:
            raise InvalidInput(f"the document has more than {how_many(most, 'element')}")
