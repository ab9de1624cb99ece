"""What it means that jobs of several people run as one account, and the refusal where nobody agreed to it."""

from __future__ import annotations

import getpass
import os

from respawn_hub.startup.settings import Settings

_SEE = "See docs/how-to/add-to-a-hub.md, 'Where jobs run'."


def warning(settings: Settings) -> str:
    """Return what an administrator must know, at each start, who agreed to it."""
    return f"{_whose(settings)} run as {_account()}: {_means(settings)} {_SEE}"


def refusal(settings: Settings) -> str:
    """Return why the service does not start, and what to do."""
    if settings.profiles_beside:
        return (
            f"this hub may be for more than one person, and {_whose(settings)} would run as {_account()}: "
            f"{_means(settings)} Where everybody who may use these profiles is trusted with that account, "
            "agree: `respawn_hub.configure(c, executor='hub', jobs_share_an_account=True)`. Else take "
            f"executor = 'local' from these profiles. {_SEE}"
        )
    return (
        f"this hub may be for more than one person, and {_whose(settings)} would run as {_account()}: "
        f"{_means(settings)} Let each job run as its owner: "
        "`respawn_hub.configure(c, executor='hub')`. Where everybody who may edit jobs is trusted with that "
        "account, agree: "
        "`respawn_hub.configure(c, jobs_share_an_account=True)`, or RESPAWN_JOBS_SHARE_AN_ACCOUNT=yes for a "
        "replica that no hub starts. For a hub of one person, let its authenticator admit exactly one name: "
        f"`c.Authenticator.allowed_users = {{'ada'}}`. {_SEE}"
    )


def _whose(settings: Settings) -> str:
    """Return whose jobs run beside the service."""
    names = settings.profiles_beside
    return f"jobs of the profiles {', '.join(names)}" if names else "jobs of all users"


def _account() -> str:
    try:
        return f"the account {getpass.getuser()}"
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "the account of this service"


def _means(settings: Settings) -> str:
    text = (
        "who has custom:respawn:edit can run code as it and read its files, "
        f"{settings.data.absolute()} with everybody's jobs among them."
    )
    if os.geteuid() == 0:
        text += " It is root: they can read and change everything on this machine, the hub included."
    return text
