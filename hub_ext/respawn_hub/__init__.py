"""Respawn beside a JupyterHub: the service with its pages and API, its scheduler and its dispatcher.

In jupyterhub_config.py one line is enough, as the last one of the file::

    import respawn_hub
    respawn_hub.configure(c)
"""

from __future__ import annotations

from typing import Any

__all__ = ["configure"]


def configure(c: Any, **options: Any) -> None:
    """Add Respawn to a hub's configuration; the options are those of `hub_config.configuration.configure`.

    Args:
        c: the configuration object of jupyterhub_config.py.
        options: where Respawn keeps its data, and how it is reached.
    """
    from respawn_hub.hub_config.configuration import configure as configure_hub

    configure_hub(c, **options)
