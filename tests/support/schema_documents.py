"""Documents made from a model's JSON schema: all fields, random values, and where enumerations stand."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from random import Random
from typing import Any

from pydantic import BaseModel

Place = tuple[str | int, ...]
"""The way to a value in a document: names of fields and places in lists. The last one may be a key itself."""
_LISTED = 2
_FORMATS = {
    "date-time": "2026-03-02T08:00:00Z",
    "date": "2026-03-02",
    "time": "08:00:00",
    "path": "/srv/report.ipynb",
}
_BY_PATTERN = ("random", "default", "09:30", "0" * 64, "run-0123456789abcdef")
"""Texts of the forms that models want."""


class Documents:
    """Makes documents of one model."""

    def __init__(self, model: type[BaseModel], seed: int) -> None:
        self._schema = model.model_json_schema()
        self._random = Random(seed)
        self.places: list[Place] = []
        """Where the last document has values of enumerations."""
        self.keys: list[Place] = []
        """Where it has keys that are values of enumerations."""

    def make(self) -> dict[str, Any]:
        """Return a document with all fields; `places` and `keys` are those of it then."""
        self.places, self.keys = [], []
        document: dict[str, Any] = self._value(self._schema, (), 0)
        return document

    def _value(self, given: dict[str, Any], place: Place, depth: int) -> Any:
        schema = self._resolved(given)
        if "anyOf" in schema:
            kinds = [one for one in schema["anyOf"] if one.get("type") != "null"]
            return self._value(self._random.choice(kinds), place, depth)
        if "enum" in schema or "const" in schema:
            self.places.append(place)
            return self._random.choice(schema["enum"]) if "enum" in schema else schema["const"]
        match schema.get("type"):
            case "object":
                return self._object(schema, place, depth)
            case "array":
                return self._array(schema, place, depth)
            case "string":
                return self._text(schema)
            case "integer":
                return self._number(schema)
            case "number":
                return float(self._number(schema))
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
            case _:
                return "anything"

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._schema["$defs"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _object(self, schema: dict[str, Any], place: Place, depth: int) -> dict[str, Any]:
        made = {
            name: self._value(one, (*place, name), depth + 1)
            for name, one in schema.get("properties", {}).items()
        }
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and not made:
            names = self._resolved(schema.get("propertyNames", {}))
            key = self._random.choice(names["enum"]) if "enum" in names else "name"
            if "enum" in names:
                self.keys.append((*place, key))
            made[key] = self._value(more, (*place, key), depth + 1)
        return made

    def _array(self, schema: dict[str, Any], place: Place, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [
                self._value(one, (*place, index), depth + 1)
                for index, one in enumerate(schema["prefixItems"])
            ]
        count = max(schema.get("minItems", 0), _LISTED if depth < 8 else 0)
        return [self._value(schema.get("items", {}), (*place, index), depth + 1) for index in range(count)]

    def _text(self, schema: dict[str, Any]) -> str:
        if "pattern" in schema:
            return next(text for text in _BY_PATTERN if re.search(schema["pattern"], text))
        return _FORMATS.get(schema.get("format", ""), f"text {self._random.randrange(100)}")

    def _number(self, schema: dict[str, Any]) -> int:
        low = int(schema.get("minimum", schema.get("exclusiveMinimum", 0)))
        return self._random.randint(low + 1, min(int(schema.get("maximum", low + 5)), low + 5))


def changed(document: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return a copy of a document with another value in a place."""
    copied = copy.deepcopy(document)
    _holder(copied, place)[place[-1]] = value
    return copied


def renamed(document: dict[str, Any], place: Place, key: str) -> dict[str, Any]:
    """Return a copy of a document with another key in a place."""
    copied = copy.deepcopy(document)
    holder = _holder(copied, place)
    holder[key] = holder.pop(place[-1])
    return copied


def value_at(document: Any, place: Place) -> Any:
    """Return what a document has in a place."""
    for step in place:
        document = document[step]
    return document


def _holder(document: Any, place: Place) -> Any:
    return value_at(document, place[:-1])


def models_in(hint: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type hint names."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for one in getattr(hint, "__args__", ()):
        yield from models_in(one)
