"""How the API refuses: the document that it answers, and the statuses that it comes with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Problem(BaseModel):
    """Why a call was refused; nothing was changed."""

    error: str
    message: str
    fields: dict[str, Any] = {}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        401: "No valid hub token came with the request.",
        403: "The caller's scopes do not allow it.",
        404: "There is no such thing.",
        413: "The request is larger than 64 MB.",
        409: "The thing is in a state that does not allow it.",
        422: "The call is wrong; the message names what, and what was expected.",
        503: "The hub, the database or the blob store does not answer.",
    }.items()
}
