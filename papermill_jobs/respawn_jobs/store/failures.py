"""What a database's own errors mean for the caller: most of them, that the same call may succeed later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from respawn_jobs.errors import Unavailable

_STATES = {
    "40001": "gave this up for another's change of the same rows; try again",
    "40P01": "gave this up for another's change of the same rows; try again",
    "55P03": "has been locked by others for too long; try again",
    "25P03": "ended a transaction that stood still for too long",
    "25006": "takes no changes now: it is a standby, or recovers",
    "53100": "has no room left on its disk",
    "53200": "has no memory left",
    "53300": "has no free connection",
    "57P01": "went away: it is being shut down",
    "57P02": "went away: it crashed",
    "57P03": "does not answer yet: it is starting or being shut down",
    "42501": "does not let this account do what it must: it needs to own the schema, or CREATE on it",
}
"""By SQLSTATE, which PostgreSQL gives."""
_TEXTS = {
    "database or disk is full": "has no room left on its disk",
    "database is locked": "has been locked by others for too long; try again",
    "is not a database": "cannot be read: its file is not a database",
    "malformed": "cannot be read: its file is damaged",
    "readonly database": "takes no changes: its file may not be written",
    "disk I/O error": "does not answer: its disk fails, or is full",
}
"""By message, for SQLite."""


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise `Unavailable` in place of what a database at `url` (without its secrets) does not do now."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(f"the database {url} has no free connection", database=url) from error
    except DBAPIError as error:
        message = _message_of(error)
        if message is None:
            raise
        raise Unavailable(f"the database {url} {message}", database=url) from error


def _message_of(error: DBAPIError) -> str | None:
    """Return what to tell of an error that time or an administrator fixes; None for one of the program."""
    state = getattr(error.orig, "sqlstate", None)
    if state in _STATES:
        return _STATES[state]
    text = next(iter(str(error.orig).splitlines()), "")  # more lines are hints for who types SQL
    for part, message in _TEXTS.items():
        if state is None and part in text:
            return message
    if isinstance(error, OperationalError):
        return f"does not answer: {text}"
    return f"went away: {text}" if error.connection_invalidated else None
