"""How the API refuses: the document that it answers, and the statuses that it comes with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Problem(BaseModel):
    """Why a call was refused; nothing was changed."""

    error: str
    message: str
    fields: dict[str, Any] = {}


Answers = dict[int | str, dict[str, Any]]
"""What a route may answer, by status, as its description tells."""


def _described(descriptions: dict[int, str]) -> Answers:
    return {status: {"model": Problem, "description": text} for status, text in descriptions.items()}


PROBLEMS: Answers = _described(
    {
        401: "No valid hub token came with the request.",
        403: "The caller's scopes do not allow it.",
        404: "There is no such thing.",
        413: "The request is larger than 64 MiB.",
        409: "The thing is in a state that does not allow it.",
        422: "The call is wrong; the message names what, and what was expected.",
        503: "The hub, the database or the blob store does not answer.",
    }
)
TO_RUNNERS: Answers = _described(
    {
        401: "The token is not that of the attempt.",
        404: "The attempt may not read such a blob.",
        409: "The attempt was claimed before, or was not claimed.",
        410: "The attempt ended or was replaced: its runner must stop.",
        413: "The document is larger than 16 MiB.",
        422: "The call is wrong, or names a blob that was not put; the message says which.",
        503: "The database or the blob store does not answer.",
    }
)


def sends(media_type: str) -> Answers:
    """Describe an answer that is not JSON: a file, a stream."""
    return {200: {"content": {media_type: {}}}}


def takes(media_type: str, **schema: Any) -> dict[str, Any]:
    """Describe a request's body that a handler reads by itself, as a JSON schema."""
    return {
        "requestBody": {"content": {media_type: {"schema": schema or {"type": "string", "format": "binary"}}}}
    }
