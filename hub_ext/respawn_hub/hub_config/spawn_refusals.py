"""Why a server is not started, in words that reach whoever asked for it."""

from __future__ import annotations


def refusal(message: str, status: int = 400) -> Exception:
    """Return what a hook or a Spawner raises so that the hub gives its message to people and programs.

    Args:
        message: what is wrong, and who can do what about it.
        status: of HTTP. Below 500 it does not count as a failure of the hub, which may end itself after some
            of these (`consecutive_failure_limit`).
    """
    from tornado.web import HTTPError

    # The hub overwrites `reason`: it says `error` to all.
    error = HTTPError(status, "%s", message)
    vars(error)["jupyterhub_message"] = message
    return error
