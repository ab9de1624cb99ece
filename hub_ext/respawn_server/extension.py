"""What the extension adds to a Jupyter server: its handlers, and what they share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_server.base.handlers import FileFindHandler
from jupyter_server.utils import url_path_join

from respawn_server.api import ROUTES as API_ROUTES
from respawn_server.connection import HubConnection, pages_url
from respawn_server.drift import DriftLooks
from respawn_server.kernel import Kernels
from respawn_server.living_kernels import LivingKernels
from respawn_server.notebooks import Notebooks
from respawn_server.openings import Openings
from respawn_server.pages import ROUTES as PAGE_ROUTES
from respawn_server.shared import KEY, Shared
from respawn_server.terminals import add_command

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

STATIC = Path(__file__).parent / "static"


def load(server: ServerApp) -> None:
    """Add the pages and the API of Respawn below `<base url>/respawn/`."""
    web_app = server.web_app
    connection = HubConnection(os.environ)
    notebooks = Notebooks(server.contents_manager)
    kernels = Kernels(server.session_manager, server.kernel_manager, server.kernel_spec_manager)
    living = LivingKernels(kernels)
    web_app.settings[KEY] = Shared(
        connection=connection,
        notebooks=notebooks,
        kernels=kernels,
        living=living,
        openings=Openings(connection, notebooks, kernels, living, server.log),
        drift=DriftLooks(kernels),
        pages=pages_url(os.environ),
    )
    # The JupyterLab plugin links to the service's pages by it.
    web_app.settings.setdefault("page_config_data", {})["respawnPages"] = pages_url(os.environ)
    base = web_app.settings["base_url"]
    routes = [(url_path_join(base, "respawn", route), handler) for route, handler in PAGE_ROUTES + API_ROUTES]
    static = (url_path_join(base, "respawn/static/(.*)"), FileFindHandler, {"path": [str(STATIC)]})
    web_app.add_handlers(".*$", [*routes, static])  # type: ignore[no-untyped-call]
    add_command(server)
