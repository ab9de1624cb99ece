"""What a hub must know of Respawn: a managed service, scopes, roles, and where single-user servers find it.

Everything is added to what the configuration already holds; nothing of it is replaced. Lists that are
assigned *after* `configure` (`c.JupyterHub.services = [...]`) would drop what it added, so it comes last.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from respawn_hub.hub_config.job_server_spawn import refuse_settings_of_one_spawner, start_job_servers
from respawn_hub.hub_config.one_person import for_one_person, value
from respawn_hub.hub_config.quick_restart import notice_ended_services
from respawn_hub.hub_config.service_port import kept_port
from respawn_jobs.api.job_profiles import checked_profiles, read_profiles

SERVICE = "respawn"
_TEMPLATES = Path(__file__).parents[1] / "hub_templates"
"""Where the hub finds its page for a service that does not answer."""
SCOPES: dict[str, dict[str, Any]] = {
    "custom:respawn:read": {"description": "See jobs, runs and their outputs."},
    "custom:respawn:run": {
        "description": "Run, resume, restart and cancel jobs.",
        "subscopes": ["custom:respawn:read"],
    },
    "custom:respawn:edit": {
        "description": "Promote notebooks to jobs and schedule them.",
        "subscopes": ["custom:respawn:run"],
    },
    "custom:respawn:enter": {
        "description": "Go to the servers of a team's account, where kernels of failed runs live on.",
    },
    "custom:respawn:admin": {
        "description": "Everything in Respawn, with the audit record.",
        "subscopes": ["custom:respawn:edit"],
    },
}
ACCESS = f"access:services!service={SERVICE}"
_SERVICE_ROLE: dict[str, Any] = {
    "name": "respawn-service",
    "description": "Lets Respawn see which users there are: a name may be another person's than it was.",
    "services": [SERVICE],
    "scopes": ["list:users", "read:users"],
}
_PASSED_ON = ("AWS_", "RESPAWN_")
_KEPT_BACK = {"RESPAWN_URL", "RESPAWN_TOKEN"}


def configure(
    c: Any,
    *,
    data: str | Path | None = None,
    db_url: str | None = None,
    blobs_url: str | None = None,
    inbox_url: str | None = None,
    channels_file: str | Path | None = None,
    port: int | None = None,
    url_for_servers: str | None = None,
    external_url: str | None = None,
    external_token: str | None = None,
    environment: dict[str, str] | None = None,
    everyone: bool = True,
    jobs_share_an_account: bool = False,
    executor: Literal["local", "hub"] | None = None,
    team_accounts: dict[str, str] | None = None,
    job_server_command: list[str] | None = None,
    job_profiles: Mapping[str, Mapping[str, Any]] | str | Path | None = None,
) -> None:
    """Add the Respawn service to a hub.

    People get every right over their own namespace, and the hub's `admin_users` over all of them; give
    a group its team's namespace with a role of your own, such as ``{"name": "risk-jobs",
    "groups": ["risk"], "scopes": ["custom:respawn:edit!group=risk"]}``.

    On a hub for several people each job runs as its owner, in a server that the hub starts for them. On a hub
    for one person jobs run beside the service, as its account: whoever may edit can run code as it. For more
    than one person the service does not start like that, unless `jobs_share_an_account` says that it is
    meant. A hub is for one person when its authenticator is one of JupyterHub's own and admits exactly one
    name.

    Args:
        c: the configuration object of jupyterhub_config.py.
        data: directory of the service's own files; by default `respawn-data` where the hub runs.
        db_url: SQLAlchemy URL of the metadata; by default SQLite in `data`.
        blobs_url: fsspec URL of the blobs, such as ``s3://bucket/prefix``; by default files in `data`.
        inbox_url: path or fsspec URL of the inbox, where objects appear that run jobs, those of each
            namespace in a directory of its name; by default there is none.
        channels_file: TOML file of the channels through which people are notified; see
            docs/how-to/notifications.md.
        port: TCP port of the service on the loopback; by default a free one, kept over restarts.
        url_for_servers: the service's URL as single-user servers reach it, when that is not the loopback.
        external_url: address at which the service's replicas answer together, a load balancer's say. The hub
            then starts none itself; see docs/how-to/postgresql.md.
        external_token: the hub token of these replicas, a secret of your own.
        environment: more variables for the service. ``RESPAWN_*`` and ``AWS_*`` of the hub are passed on.
        everyone: whether all users may promote notebooks and run jobs. If not, they may only read, and you
            give ``custom:respawn:edit!user`` to those you trust, with a role of your own.
        jobs_share_an_account: whether jobs of several people may run as the one account of the service.
        executor: where jobs run: `local`, as the account of the service; `hub`, each as the account of its
            owner, in a named server that the hub's Spawner starts. None for `hub`, unless one person uses the
            hub, they may share an account, or replicas run elsewhere.
        team_accounts: with `hub`, the hub's user as whom the jobs of a team's namespace run, such as
            ``{"team/risk": "risk-jobs"}``; jobs of other teams do not start.
        job_server_command: with `hub`, what starts a job server where users' servers run; by default
            ``python -m respawn_server.job_server`` of the hub's own interpreter.
        job_profiles: with `hub`, the profiles of servers that jobs may choose from, by name, or the path of a
            TOML or JSON file of them: ``{"gpu": {"title": "One GPU", "user_options": {"profile": "gpu"},
            "allowed": ["team/risk"], "slots": 1}}``; see docs/how-to/choose-images-and-resources.md.

    Raises:
        ValueError: one of `external_url` and `external_token` is given without the other; settings of
            `c.Spawner` that `executor="hub"` needs are set for one class of Spawners; or profiles are given
            without that executor.
        InvalidInput: a profile cannot be used.
    """
    if (external_url is None) != (external_token is None):
        raise ValueError("external_url and external_token go together: replicas need a token for the hub")
    one_person = for_one_person(c)
    if executor is None:
        alone = one_person or jobs_share_an_account or external_url is not None
        executor = "local" if alone else "hub"
    profiles = _profiles(job_profiles) if job_profiles is not None else None
    if profiles is not None and executor != "hub":
        raise ValueError("job_profiles are of the job servers of executor='hub': give that too")
    if executor == "hub":
        refuse_settings_of_one_spawner(c)
    directory = Path(data or "respawn-data").absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    own_port = None if external_url else port or kept_port(directory)
    address = external_url.rstrip("/") if external_url else f"http://127.0.0.1:{own_port}"
    base = value(c.JupyterHub, "base_url", "") or urlsplit(value(c.JupyterHub, "bind_url", "")).path
    prefix = f"{base.rstrip('/')}/services/{SERVICE}"
    passed = {
        name: text
        for name, text in os.environ.items()
        if name.startswith(_PASSED_ON) and name not in _KEPT_BACK and not name.startswith("RESPAWN_EMBEDDED_")
    }
    own = {
        "RESPAWN_DATA": str(directory),
        "RESPAWN_DB_URL": db_url,
        "RESPAWN_BLOBS_URL": blobs_url,
        "RESPAWN_INBOX_URL": inbox_url,
        "RESPAWN_CHANNELS_FILE": str(Path(channels_file).absolute()) if channels_file else None,
        "RESPAWN_SHARED": "no" if one_person else "yes",
        "RESPAWN_JOBS_SHARE_AN_ACCOUNT": "yes" if jobs_share_an_account else None,
        "RESPAWN_HUB_PID": str(os.getpid()),
        "RESPAWN_EXECUTOR": executor,
        "RESPAWN_JOB_PROFILES": profiles,
        "RESPAWN_TEAM_ACCOUNTS": ",".join(f"{name}={who}" for name, who in (team_accounts or {}).items()),
    }
    variables = {**passed, **{name: text for name, text in own.items() if text}, **(environment or {})}
    started = {"command": [sys.executable, "-m", "respawn_hub"], "environment": variables}
    service = {
        "name": SERVICE,
        "url": address,
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": [*SCOPES],
        **({"api_token": external_token} if external_url else started),
    }
    _append(c.JupyterHub, "services", service)
    _append(c.JupyterHub, "template_paths", str(_TEMPLATES))
    notice_ended_services()
    _add_rights(c, everyone, starts_servers=executor == "hub")
    if executor == "hub":
        start_job_servers(c, job_server_command)
    servers = dict(value(c.Spawner, "environment", {}))
    servers.setdefault("RESPAWN_URL", url_for_servers or f"{address}{prefix}")
    c.Spawner.environment = servers


def _profiles(given: Mapping[str, Mapping[str, Any]] | str | Path) -> str:
    """Return profiles as the service's setting has them. Raises `InvalidInput` for what cannot be used."""
    if isinstance(given, Mapping):
        checked_profiles(given)
        return json.dumps({name: dict(profile) for name, profile in given.items()})
    path = str(Path(given).absolute())
    read_profiles(path)
    return path


def _add_rights(c: Any, everyone: bool, *, starts_servers: bool) -> None:
    c.JupyterHub.custom_scopes = {**value(c.JupyterHub, "custom_scopes", {}), **SCOPES}
    _extend_role(c, "user", [ACCESS, f"custom:respawn:{'edit' if everyone else 'read'}!user"])
    _append(c.JupyterHub, "load_roles", _admin_role(c))
    more = ["servers"] if starts_servers else []
    _append(c.JupyterHub, "load_roles", {**_SERVICE_ROLE, "scopes": [*_SERVICE_ROLE["scopes"], *more]})
    # A server acts for its owner, in the owner's own namespace, never with more than the owner has. Without
    # the filter, whatever runs in an administrator's server could change everybody's jobs.
    servers = [ACCESS, "custom:respawn:edit!user"]
    token_scopes = value(c.Spawner, "server_token_scopes", None)
    if isinstance(token_scopes, list) and token_scopes:
        c.Spawner.server_token_scopes = [*token_scopes, *servers]
    else:
        _extend_role(c, "server", servers)


def _admin_role(c: Any) -> dict[str, Any]:
    """Return the role of those who see and may do everything; the hub's own `admin` cannot be extended."""
    role: dict[str, Any] = {
        "name": "respawn-admin",
        "description": "Administers Respawn: all jobs and runs, and the audit record.",
        "scopes": ["custom:respawn:admin"],
    }
    # An authenticator that manages roles gives this one itself; the hub refuses to mix the two ways.
    if not value(c.Authenticator, "manage_roles", False):
        role["users"] = sorted(value(c.Authenticator, "admin_users", set()))
    return role


def _extend_role(c: Any, name: str, scopes: list[str]) -> None:
    from jupyterhub.roles import get_default_roles

    roles = [dict(role) for role in value(c.JupyterHub, "load_roles", [])]
    role = next((role for role in roles if role["name"] == name), None)
    if role is None:
        role = {"name": name}
        roles.append(role)
    default = next(role["scopes"] for role in get_default_roles() if role["name"] == name)
    # The hub ignores extra_user_scopes once a role of that name is loaded: take them along.
    extra = (
        value(c.JupyterHub, "extra_user_scopes", set()) if name == "user" and "scopes" not in role else set()
    )
    present = [*role.get("scopes", default), *sorted(extra)]
    role["scopes"] = [*present, *(scope for scope in scopes if scope not in present)]
    c.JupyterHub.load_roles = roles


def _append(section: Any, name: str, item: Any) -> None:
    setattr(section, name, [*value(section, name, []), item])
