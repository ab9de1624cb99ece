"""The base of what crosses a border: the store's JSON, the API, the command's documents."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LONGEST_SECONDS = 366 * 24 * 3600.0
"""The longest timeout; timers of the system end somewhere beyond."""


class Model(BaseModel):
    """Base of all wire types: immutable, unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
