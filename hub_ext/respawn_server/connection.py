"""The way from this Jupyter server to the Respawn service, as the person whose server it is."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from respawn_jobs.api.service import Service
from respawn_jobs.errors import Unavailable


class HubConnection:
    """Makes the service's client once, when it is first needed.

    Args:
        environment: `RESPAWN_URL` and a token, `RESPAWN_TOKEN` or the server's own `JUPYTERHUB_API_TOKEN`,
            as the hub gives them to every single-user server.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._service: Service | None = None

    def service(self) -> Service:
        """Return the service. Raises Unavailable when this server was started without one."""
        if self._service is None:
            url = self._environment.get("RESPAWN_URL", "")
            token = self._environment.get("RESPAWN_TOKEN") or self._environment.get(
                "JUPYTERHUB_API_TOKEN", ""
            )
            if not url:
                raise Unavailable(
                    "This Jupyter server has no Respawn service (RESPAWN_URL is not set). Start it from a "
                    "JupyterHub with Respawn, or use the command respawn in a terminal."
                )
            if not token:
                raise Unavailable(
                    "This Jupyter server has no token for the Respawn service: neither RESPAWN_TOKEN nor "
                    "JUPYTERHUB_API_TOKEN is set."
                )
            from respawn_jobs.remote.client import RemoteService

            self._service = RemoteService.connect(url, token)
        return self._service


def pages_url(environment: Mapping[str, str]) -> str:
    """Return where a browser finds the service's pages, without a slash at the end; empty without a service.

    The service is called directly; a browser must take the hub's own address, that of its sign-in.
    """
    url = environment.get("RESPAWN_URL", "").rstrip("/")
    base = environment.get("JUPYTERHUB_BASE_URL")
    if not url or base is None:
        return url
    service = urlsplit(url).path.rpartition("/services/")[2] or "respawn"
    return f"{environment.get('JUPYTERHUB_HOST', '')}{base.rstrip('/')}/services/{service}"
