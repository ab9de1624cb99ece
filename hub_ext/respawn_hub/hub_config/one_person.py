"""Whether it is certain that one person only uses a hub, whose servers run on its own machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_AUTHENTICATORS = {
    "default",
    "dummy",
    "pam",
    "shared-password",
    "jupyterhub.auth.DummyAuthenticator",
    "jupyterhub.auth.PAMAuthenticator",
    "jupyterhub.authenticators.shared.SharedPasswordAuthenticator",
}
"""Those that admit who is named in `allowed_users` and `admin_users`, and whom the options below add."""
_MORE = (
    "allow_all",
    "allow_existing_users",
    "allowed_groups",
    "admin_groups",
    "any_allow_config",
    "whitelist",
)
_LOCAL_SPAWNERS = {
    "default",
    "localprocess",
    "simple",
    "jupyterhub.spawner.LocalProcessSpawner",
    "jupyterhub.spawner.SimpleLocalProcessSpawner",
}


def for_one_person(c: Any) -> bool:
    """Return whether one person only signs in, and keep it so.

    A hub that names its users admits also those whom an administrator adds while it runs
    (`allow_existing_users`). Where the configuration does not set that option, it is set to False.

    Args:
        c: the configuration object of jupyterhub_config.py.
    """
    hub = c.JupyterHub
    known = (
        _name(value(hub, "authenticator_class", "default")) in _AUTHENTICATORS
        and _name(value(hub, "spawner_class", "default")) in _LOCAL_SPAWNERS
    )
    sections = list(_sections(c))
    names = {
        name
        for section in sections
        for option in ("allowed_users", "admin_users")
        for name in value(section, option, ())
    }
    more = any(value(section, option, None) for section in sections for option in _MORE)
    if not known or more or len(names) != 1:
        return False
    if not any("allow_existing_users" in section for section in sections):
        c.Authenticator.allow_existing_users = False
    return True


def value(section: Any, name: str, default: Any) -> Any:
    """Return a trait's configured value, also when it was only appended to (`c.X.list.append(...)`).

    Args:
        section: one class's part of the configuration (`traitlets.config.Config`), such as `c.JupyterHub`.
        name: the trait.
        default: what is returned, or appended to, where the configuration does not set the trait.
    """
    if name not in section:
        return default
    found = section[name]
    lazy = getattr(found, "get_value", None)
    return lazy(default) if lazy else found


def _sections(c: Any) -> Iterator[Any]:
    return (section for section in c.values() if hasattr(section, "items"))


def _name(chosen: Any) -> str:
    if isinstance(chosen, type):
        return f"{chosen.__module__}.{chosen.__qualname__}"
    return str(chosen)
