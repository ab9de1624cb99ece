"""Enumerations whose values may grow: a reader of answers takes one that it does not know as `unknown`.

A service may be newer than the client that reads its answer. One run in a state that the client does not know
must not make a list of runs unreadable. So validation that is given `AS_ANSWER` as its context is open. All
other validation is strict: of requests, of stored documents, and of archives. `unknown` is no member of an
enumeration: it is in no list of what may be asked for, and in no schema.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import GetCoreSchemaHandler, ValidationError, ValidationInfo, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

UNKNOWN: str = "unknown"
"""What a value is called that the reader of an answer does not know."""
AS_ANSWER: Final[dict[str, Any]] = {"open": True}
"""The context of a validation that reads what a service answered."""

_made: dict[type[OpenEnum], Any] = {}


class OpenEnum(StrEnum):
    """An enumeration that stands in answers. Code that tells its values apart says what unknown ones do."""

    @classmethod
    def unknown(cls) -> Self:
        """Return what stands for all values that this version does not know; always the same object."""
        found = _made.get(cls)
        if found is None:
            value = str.__new__(cls, UNKNOWN)
            value._name_, value._value_ = UNKNOWN.upper(), UNKNOWN
            found = _made.setdefault(cls, value)
        member: Self = found
        return member

    @property
    def known(self) -> bool:
        """Whether this version knows the value; `in` would say it otherwise in each version of Python."""
        return self is not type(self).unknown()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of an enumeration that is open to the readers of answers."""
        return _opened(handler(source), cls.unknown)


class _OpenWord:
    """Opens a `Literal` of texts, as an annotation of it; a reader finds the text `unknown` in its place."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _opened(handler(source), lambda: UNKNOWN)


OPEN: Final = _OpenWord()
"""The annotation of a `Literal` that stands in answers: `Annotated[Literal["queue", "skip"], OPEN]`."""


def _opened(strict: CoreSchema, unknown: Callable[[], Any]) -> CoreSchema:
    def validate(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return handler(value)
        except ValidationError:
            if isinstance(value, str) and info.context is not None and info.context.get("open"):
                return unknown()
            raise

    return core_schema.with_info_wrap_validator_function(validate, strict)
