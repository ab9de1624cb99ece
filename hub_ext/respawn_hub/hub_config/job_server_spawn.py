"""What a hub must do for job servers: allow named servers, and start these by a command of their own."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from respawn_hub.hub_config.one_person import value
from respawn_hub.hub_config.spawn_refusals import refusal
from respawn_jobs.api.job_server_protocol import (
    NONCE_OPTION,
    NONCE_VARIABLE,
    PREFIX,
    PROFILE_OPTION,
)
from respawn_jobs.host.process_environment import PROFILE_VARIABLE

Hook = Callable[[Any], Awaitable[None] | None]


def start_job_servers(c: Any, command: Sequence[str] | None) -> None:
    """Let the hub start job servers.

    Args:
        c: the configuration object of jupyterhub_config.py.
        command: what starts one where users' servers run; None for this interpreter.
    """
    c.JupyterHub.allow_named_servers = True
    before = value(c.Spawner, "pre_spawn_hook", None)
    c.Spawner.pre_spawn_hook = _hook(
        before, list(command or [sys.executable, "-m", "respawn_server.job_server"])
    )


def refuse_settings_of_one_spawner(c: Any) -> None:
    """Refuse what would take the place of our own settings of `c.Spawner`.

    Args:
        c: the configuration object of jupyterhub_config.py.

    Raises:
        ValueError: `environment` or `pre_spawn_hook` is set for one class of Spawners.
    """
    for name, section in c.items():
        for option in ("environment", "pre_spawn_hook"):
            if name != "Spawner" and name.endswith("Spawner") and option in section:
                raise ValueError(
                    f"c.{name}.{option} would take the place of what executor='hub' needs there. Set "
                    f"c.Spawner.{option} instead: it holds for {name} too."
                )


def _hook(before: Hook | None, command: list[str]) -> Hook:
    """Return a hook that does what one before did, then sees to job servers."""

    async def hook(spawner: Any) -> None:
        if before is not None:
            waited = before(spawner)
            if inspect.isawaitable(waited):
                await waited
        if not spawner.name.startswith(PREFIX):
            return
        # A nonce holds once, and is no token: the server proves itself with the hub's own.
        nonce = (spawner.user_options or {}).get(NONCE_OPTION)
        if not isinstance(nonce, str):
            raise refusal(f"servers whose names begin with {PREFIX} are started by Respawn alone", 403)
        spawner.cmd = command
        own = {NONCE_VARIABLE: nonce, PROFILE_VARIABLE: spawner.user_options.get(PROFILE_OPTION)}
        own = {name: text for name, text in own.items() if isinstance(text, str)}
        spawner.environment = {**spawner.environment, **own}

    return hook
