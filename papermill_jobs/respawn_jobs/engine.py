"""The door through which papermill finds the engine of `papermill --engine respawn in.ipynb out.ipynb`.

papermill loads every registered engine while it is itself still being imported, and a module may also import
this one first. So the class lives in `respawn_jobs.papermill_engine` and is fetched when asked for: by then
papermill's own engines exist, whoever came first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from respawn_jobs.papermill_engine import RespawnEngine

__all__ = ["RespawnEngine"]


def __getattr__(name: str) -> Any:
    if name != "RespawnEngine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # papermill first: when it is not loaded yet, it comes back here for the engine and finds its base class.
    import papermill.engines  # noqa: F401

    from respawn_jobs.papermill_engine import RespawnEngine

    return RespawnEngine
