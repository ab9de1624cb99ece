"""Respawn inside a person's Jupyter server: debug notebooks, promotion, and the way to the service.

Importing the package costs nothing; the server calls `_load_jupyter_server_extension` when it loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "respawn_server"}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "respawn"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from respawn_server.extension import load

    load(server)
