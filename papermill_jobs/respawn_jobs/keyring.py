"""The service's own keys: one file, outside of the database, that only its owner can read.

    cookies    seals the session cookies of browsers
    webhooks   what the secrets of webhooks are derived from
    audit      signs the records of the audit trail
    hub-token  the token by which replicas that the hub does not start are known to it

Each purpose has one current key. One that was replaced is accepted until a stated time. The file is read
again when it changes, so processes that run take a new key without a restart; it is replaced whole, under a
lock. Keys stay in the file after their time: records that they signed are checked with them.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import Conflict, InvalidInput, Unavailable

logger = logging.getLogger(__name__)
FILE = "keys.json"
"""Its name in a data directory."""
OLDER_FILE = "cookie-secret"
"""Where earlier versions kept the one secret of cookies and webhooks; it is taken over."""
GIVEN = "RESPAWN_COOKIE_SECRET"
KEYS_FILE = "RESPAWN_KEYS_FILE"

Purpose = Literal["cookies", "webhooks", "audit", "hub-token"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_MADE_AT_FIRST: tuple[Purpose, ...] = ("cookies", "webhooks", "audit")


class Key(BaseModel):
    """A secret and for how long it is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    """Names the key where the secret must not stand."""
    secret: str = Field(min_length=1, repr=False)
    made_at: datetime
    accepted_until: datetime | None = None
    """None for the current key."""

    def accepted(self, at: datetime) -> bool:
        """Return whether the key is valid at a time."""
        return self.accepted_until is None or at < self.accepted_until


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: Literal[1] = 1
    keys: dict[Purpose, list[Key]]
    """Of each purpose, the newest first."""


class Keyring:
    """The keys of one file; safe to share between threads and processes."""

    def __init__(
        self,
        path: Path,
        *,
        given: str | None = None,
        older: Path | None = None,
        shared: bool = False,
        clock: Clock = utc_now,
    ) -> None:
        """Name the file; it is made, with new keys, when the first key is asked for.

        Args:
            path: the file.
            given: a secret that the administrator chose (`RESPAWN_COOKIE_SECRET`): the keys of a file that is
                not there yet are made from it, in every replica the same.
            shared: whether the file is one for all replicas.
            older: a file with the one secret of an earlier version, which is taken over likewise.
            clock: the present moment.
        """
        self.path = path
        self.given = given
        self._shared = shared
        self._older = older
        self._clock = clock
        self._read: tuple[tuple[int, int, int], _Content] | None = None

    @classmethod
    def of(cls, data: Path, clock: Clock = utc_now) -> Keyring:
        """Return the keys of a data directory, or of the file that `RESPAWN_KEYS_FILE` names."""
        shared = os.environ.get(KEYS_FILE)
        path = Path(shared).expanduser().absolute() if shared else data / FILE
        given = os.environ.get(GIVEN) or None
        return cls(path, given=given, older=data / OLDER_FILE, shared=bool(shared), clock=clock)

    def current(self, purpose: Purpose) -> Key:
        """Return the key that signs and seals now. Raises `InvalidInput` where the purpose has none."""
        keys = self._content().keys.get(purpose)
        if not keys:
            raise InvalidInput(f"{self.path} has no key for {purpose}: `respawn admin rotate-key {purpose}`")
        return keys[0]

    def accepted(self, purpose: Purpose) -> list[Key]:
        """Return the keys that are valid now, the current one first."""
        now = self._clock()
        return [key for key in self.all(purpose) if key.accepted(now)]

    def all(self, purpose: Purpose) -> list[Key]:
        """Return every key that there was, the newest first."""
        return list(self._content().keys.get(purpose, []))

    def rotate(self, purpose: Purpose, until: datetime) -> Key:
        """Make a new current key, and let the one before it be accepted until a time.

        Raises:
            Conflict: the keys come from `RESPAWN_COOKIE_SECRET`, and this file is this replica's own.
        """
        if self.given is not None and not self._shared and purpose != "hub-token":
            raise Conflict(
                f"the keys come from {GIVEN}, the same for all replicas, and {self.path} is only this "
                f"replica's: set {KEYS_FILE} to one file that all replicas read; it begins with {GIVEN}",
                file=str(self.path),
            )
        self._content()  # makes the file where there is none
        return self._replace_first(purpose, secrets.token_hex(32), until)

    def take(self, text: str) -> None:
        """Write the file from what was kept elsewhere.

        Raises `InvalidInput` for what is no such file, `Conflict` when there is one already.
        """
        content = _parsed(text, self.path)
        with self._locked():
            if self.path.exists():
                raise Conflict(
                    f"{self.path} is there already, and its keys would be lost", file=str(self.path)
                )
            self._write(content)

    def text(self) -> str:
        """Return the file's content, secrets and all."""
        return self._content().model_dump_json(indent=1) + "\n"

    def _content(self) -> _Content:
        mark = _mark(self.path)
        if mark is None:
            self._make()
            mark = _mark(self.path)
        if mark is None:
            raise Unavailable(f"the file of the keys {self.path} is gone", file=str(self.path))
        if self._read is None or self._read[0] != mark:
            try:
                content = _parsed(self.path.read_text(), self.path)
            except OSError as error:
                raise Unavailable(f"the keys in {self.path} cannot be read: {error.strerror}") from error
            self._read = (mark, content)
            self._adopt_given(content)
        return self._read[1]

    def _make(self) -> None:
        """Write the first keys; of two processes that come at once, the second finds them."""
        with self._locked():
            if self.path.exists():
                return
            given, now = self.given, self._clock()
            if given is None and self._older is not None:
                with suppress(FileNotFoundError):
                    given = self._older.read_text().strip() or None
            # Of what was chosen for all replicas they must all make the same; a file of one's own need not.
            audit = secrets.token_hex(32) if self.given is None else _derived(self.given, "audit")
            other = given or secrets.token_hex(32)
            made: dict[Purpose, str] = {
                "cookies": other,
                "webhooks": given or secrets.token_hex(32),
                "audit": audit,
            }
            self._write(_Content(keys={purpose: [_key(made[purpose], now)] for purpose in _MADE_AT_FIRST}))

    def _adopt_given(self, content: _Content) -> None:
        """Let a `RESPAWN_COOKIE_SECRET` that the administrator has changed replace the keys made from it."""
        if self.given is None:
            return
        wanted: dict[Purpose, str] = {
            "cookies": self.given,
            "webhooks": self.given,
            "audit": _derived(self.given, "audit"),
        }
        for purpose, secret in wanted.items():
            keys = content.keys.get(purpose, [])
            if any(hmac.compare_digest(key.secret.encode(), secret.encode()) for key in keys):
                if keys[0].secret != secret:
                    logger.warning(
                        "%s is an older key for %s; %s has a newer one. Remove the variable",
                        GIVEN, purpose, self.path,
                    )  # fmt: skip
                continue
            logger.warning("%s has changed: it replaces the key for %s at once", GIVEN, purpose)
            self._replace_first(purpose, secret, self._clock())

    def _replace_first(self, purpose: Purpose, secret: str, until: datetime) -> Key:
        with self._locked():
            before = _parsed(self.path.read_text(), self.path)
            new = _key(secret, self._clock())
            keys = before.keys.get(purpose, [])
            ended = [
                key.model_copy(update={"accepted_until": min(until, key.accepted_until or until)})
                for key in keys
            ]
            self._write(_Content(keys={**before.keys, purpose: [new, *ended]}))
        return new

    def _write(self, content: _Content) -> None:
        write_private(self.path, content.model_dump_json(indent=1) + "\n")
        mark = _mark(self.path)
        self._read = None if mark is None else (mark, content)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(f"the keys in {self.path} cannot be written: {error.strerror}") from error
        with os.fdopen(handle) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def write_private(path: Path, text: str, *, sync: bool = True) -> None:
    """Write a file whole or not at all, readable by its owner only.

    Args:
        path: the file, in a directory that exists; the one that was there is replaced.
        text: all that it holds.
        sync: whether to wait until the file is on the disk. Without it a power cut may take the last writes
            back.

    Raises:
        Unavailable: the file cannot be written.
    """
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            Path(beside).replace(path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror or error}", file=str(path)) from error


def shown(keys: list[Key], at: datetime, word: Callable[[datetime], str]) -> str:
    """Return keys in words, without their secrets.

    Args:
        keys: the keys, in the order of the message.
        at: the time that tells whether a key which was replaced is still accepted; with a zone.
        word: writes a time for the reader.
    """
    return ", ".join(
        f"{key.id} ({'current' if key.accepted_until is None else _past(key, at, word)})" for key in keys
    )


def _past(key: Key, at: datetime, word: Callable[[datetime], str]) -> str:
    until = word(key.accepted_until) if key.accepted_until else ""
    return f"accepted until {until}" if key.accepted(at) else f"was accepted until {until}"


def _key(secret: str, now: datetime) -> Key:
    return Key(id=_derived(secret, "id")[:12], secret=secret, made_at=now)


def _derived(secret: str, what: str) -> str:
    return hmac.new(secret.encode(), f"respawn key {what}".encode(), hashlib.sha256).hexdigest()


def _parsed(text: str, path: Path) -> _Content:
    try:
        return _Content.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_input=False)[0]["loc"])) or "the document"
        raise InvalidInput(
            f"{path} is no file of keys of this version ({where} is wrong): put back the one that was kept",
            file=str(path),
        ) from None


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"the keys in {path} cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size, status.st_ino
