"""Whether JupyterLab has Respawn's plugin, which an administrator may have switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_NAMES = {"respawn", "respawn:plugin"}
"""By which the plugin is disabled (JupyterLab's `PageConfig.Extension.isDisabled`)."""
_TOGETHER = "jupyter_server_ydoc"
"""With it documents do not come as files: the plugin could not hold one back."""


def lab_waits(server: ServerApp | None) -> bool:
    """Return whether JupyterLab may be asked for a debug notebook whose variables are not there yet.

    Its plugin then loads the notebook when they are.

    Args:
        server: the Jupyter server, which may serve no JupyterLab.
    """
    if server is None:
        return False
    extensions = server.extension_manager
    lab = next(iter(extensions.extension_apps.get("jupyterlab", ())), None)
    if lab is None or _TOGETHER in extensions.extensions:
        return False
    from jupyterlab_server.config import get_page_config

    paths = [*lab.extra_labextensions_path, *lab.labextensions_path]
    config = get_page_config(paths, lab.app_settings_dir)
    found = {extension["name"] for extension in config["federated_extensions"]}
    return "respawn" in found and not _NAMES & set(config["disabledExtensions"])
