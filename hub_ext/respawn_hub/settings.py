"""What the service is told at its start: by the hub (`JUPYTERHUB_*`), by its configuration (`RESPAWN_*`)."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class NotUnderHub(RuntimeError):
    """The variables that a hub gives its services are missing."""


class HubSettings(BaseSettings):
    """What the hub gives each service that it manages."""

    model_config = SettingsConfigDict(env_prefix="JUPYTERHUB_", frozen=True)

    api_token: SecretStr
    api_url: str
    """The hub's API as the service reaches it."""
    client_id: str
    service_name: str = "respawn"
    service_url: str = "http://127.0.0.1:10101"
    """Where the service listens."""
    service_prefix: str = "/services/respawn/"
    base_url: str = "/"
    host: str = ""
    """The hub's public origin, when it knows one."""
    oauth_callback_url: str = ""
    public_url: str = ""

    @classmethod
    def from_environment(cls) -> HubSettings:
        """Read the variables. Raises NotUnderHub naming those that are missing."""
        try:
            return cls()  # type: ignore[call-arg]  # filled from the environment
        except ValidationError as error:
            names = ", ".join(f"JUPYTERHUB_{str(problem['loc'][0]).upper()}" for problem in error.errors())
            raise NotUnderHub(
                f"not started by a JupyterHub: {names} missing. The service is started by the hub; "
                "add `respawn_hub.configure(c)` to jupyterhub_config.py."
            ) from error

    @property
    def prefix(self) -> str:
        """Path of the service, with a slash at each end."""
        return "/" + self.service_prefix.strip("/") + "/"

    @property
    def hub_prefix(self) -> str:
        """Path of the hub's own pages, with a slash at each end."""
        return self.base_url.rstrip("/") + "/hub/"

    @property
    def hub_pages(self) -> str:
        """Where a browser on our pages finds the hub's: a path, or an address when its domain is another.

        A path keeps people on the name by which they came (localhost, say), where their cookies are.
        """
        same = self.public_url.startswith(f"{self.host}/")
        return self.hub_prefix if same else f"{self.host}{self.hub_prefix}"

    @property
    def callback(self) -> str:
        """Where the hub sends people back after signing in."""
        return self.oauth_callback_url or f"{self.prefix}oauth_callback"

    @property
    def secure(self) -> bool:
        """Whether the public address is https, so that cookies may be marked so."""
        return self.public_url.startswith("https:")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        parts = urlsplit(self.service_url)
        return parts.hostname or "127.0.0.1", parts.port or 80


class Settings(BaseSettings):
    """How the service itself works."""

    model_config = SettingsConfigDict(env_prefix="RESPAWN_", frozen=True)

    data: Path = Path("respawn-data")
    db_url: str | None = None
    blobs_url: str | None = None
    lease_seconds: float = Field(default=15.0, gt=0)
    """How long a runner may be silent before its attempt is lost."""
    max_running: int = Field(default=4, ge=1)
    """How many runs the local executor executes at once."""
    session_seconds: int = Field(default=14 * 86400, gt=0)
    """How long a browser stays signed in, unless it signs out of the hub before."""
    shared: bool = False
    """Whether more than one person may use the hub; said by `respawn_hub.configure`."""
    cookie_secret: SecretStr | None = None
    """Secret of the session cookies; by default made at the first start and kept in `data`."""

    def secret(self) -> str:
        """Return the secret of the session cookies, making and keeping one where none was given."""
        if self.cookie_secret is not None:
            return self.cookie_secret.get_secret_value()
        path = self.data / "cookie-secret"
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32))
        return path.read_text().strip()
