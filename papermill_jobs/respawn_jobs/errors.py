"""The errors that callers act on: fix the call, ask for access, try again, give up.

Each is a small record: `code` names the case for machines, `status` is what HTTP answers for it, and
`fields` hold what the message names. They survive a trip over HTTP (`as_dict`, `from_dict`) and pickling.
How they look in a page, a terminal or a log is decided there.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RespawnError(Exception):
    """Something was refused or could not be done; nothing was changed."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.fields))

    def as_dict(self) -> dict[str, Any]:
        """Return the wire form: `error` (the code), `message` and the fields."""
        return {"error": self.code, "message": self.message, "fields": self.fields}


class InvalidInput(RespawnError):
    """The call is wrong: a notebook, parameter, cron, zone, name or option that cannot be used."""

    code = "invalid_input"
    status = 422


class NotFound(RespawnError):
    """No such job, version, run, cell or blob; or none that the caller may know of."""

    code = "not_found"
    status = 404


class Forbidden(RespawnError):
    """The caller's scopes do not allow it."""

    code = "forbidden"
    status = 403


class Unauthenticated(RespawnError):
    """No valid hub token or sign-in came with the request."""

    code = "unauthenticated"
    status = 401


class QuotaExceeded(RespawnError):
    """The namespace stores, or lets wait, as much as it may; the message names the quota and the fix."""

    code = "quota_exceeded"
    status = 403


class Conflict(RespawnError):
    """The thing is in a state that does not allow it: already resumed, already finished, name taken."""

    code = "conflict"
    status = 409


class Fenced(RespawnError):
    """This attempt lost its lease or was replaced: its runner must stop and commit nothing more."""

    code = "fenced"
    status = 410


class Corrupt(RespawnError):
    """Stored bytes do not match the address that names them."""

    code = "corrupt"
    status = 500


class SentWrong(Corrupt):
    """Bytes that were sent do not match the address that was given for them; nothing was stored."""

    status = 422


class Unavailable(RespawnError):
    """The service, its database or its blob store does not answer; the same call may succeed later."""

    code = "unavailable"
    status = 503


_BY_CODE: dict[str, type[RespawnError]] = {
    cls.code: cls
    for cls in (
        RespawnError,
        InvalidInput,
        NotFound,
        Forbidden,
        Unauthenticated,
        QuotaExceeded,
        Conflict,
        Fenced,
        Corrupt,
        Unavailable,
    )
}


def from_dict(document: dict[str, Any]) -> RespawnError:
    """Rebuild the error that `as_dict` described; an unknown code becomes a plain `RespawnError`."""
    cls = _BY_CODE.get(str(document.get("error")), RespawnError)
    return _rebuild(cls, str(document.get("message", "unknown error")), dict(document.get("fields") or {}))


def _rebuild(cls: type[RespawnError], message: str, fields: dict[str, Any]) -> RespawnError:
    return cls(message, **fields)
