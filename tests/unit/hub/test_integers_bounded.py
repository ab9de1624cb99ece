"""Integers that are to be stored are no larger than the store holds: the description bounds each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from respawn_hub.app import all_routes

_STORED = 2**63
_AS_JSON = {"CellEvidence"}
"""What is stored as a document, whose integers may be of any size: times of files in nanoseconds."""
_COMPARED = {
    "CurrentRequest.seen", "CurrentRequest.version", "Promotion.seen", "ResumeRequest.revision",
    "RunRequest.version", "SeenRun.revision",
}  # fmt: skip
"""What is only compared with what is there: a number that cannot be is not found, or was not seen."""


def _integers(
    schema: Any, parts: dict[str, Any], place: str, seen: frozenset[str]
) -> Iterator[tuple[str, Any]]:
    """Yield each integer of a schema with its place, through what it refers to."""
    if isinstance(schema, list):
        for part in schema:
            yield from _integers(part, parts, place, seen)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "integer" and "enum" not in schema and "const" not in schema:
        yield place, schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen | _AS_JSON:
        yield from _integers(parts[name], parts, name, seen | {name})
    for key, inner in schema.get("properties", {}).items():
        yield from _integers(inner, parts, f"{place}.{key}", seen)
    for key in ("anyOf", "allOf", "oneOf", "items", "prefixItems", "additionalProperties"):
        yield from _integers(schema.get(key), parts, place, seen)


def test_every_integer_that_is_to_be_stored_is_one_that_the_store_holds() -> None:
    app = FastAPI(title="Respawn", version="1")
    app.include_router(all_routes())
    described = app.openapi()
    parts, found = described["components"]["schemas"], {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            asked = f"{method.upper()} {path}"
            for content in operation.get("requestBody", {}).get("content", {}).values():
                found |= dict(_integers(content["schema"], parts, asked, frozenset()))
    assert {"CellEvent.index", "JobSettings.keep_runs"} <= set(found)
    loose = {
        place
        for place, schema in found.items()
        if schema.get("minimum", schema.get("exclusiveMinimum", -_STORED - 1)) < -_STORED
        or schema.get("maximum", schema.get("exclusiveMaximum", _STORED + 1)) > _STORED
    }
    assert sorted(loose - _COMPARED) == []
