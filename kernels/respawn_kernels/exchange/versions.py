"""Which generations of runner, server and kernel understand each other.

A pinned environment keeps its `respawn_kernels` while service, runner and server move on. So whoever reads a
document passes over fields that it does not know, whoever adds a field gives it a default, and a runner asks
an agent for nothing that is not among its capabilities. All else needs another `PROTOCOL`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

PROTOCOL = 1
"""What runner and agent call and write for each other."""
OWN_ARRAYS = "own-arrays"
"""`restore` takes `owned`."""
SETTLE = "settle"
"""Names can be put into the order of the notebook."""
PLACES = "places"
"""`settle` takes which cell bound each name first."""
LEAVE = "leave"
"""The agent can leave a session to a person."""
CAPABILITIES = (OWN_ARRAYS, SETTLE, PLACES, LEAVE)
"""What this agent can, of what was not in the first one."""

T = TypeVar("T")


def known_fields(kind: type[T], document: Any) -> T:
    """Return a dataclass from a JSON document, without the fields that are of a newer version.

    Raises:
        TypeError: the document is no object, or lacks a field.
    """
    if not isinstance(document, dict):
        raise TypeError(f"not a {kind.__name__}: {type(document).__name__}")
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # the callers' are dataclasses
    return kind(**{name: value for name, value in document.items() if name in names})
