"""The cookies of a signed-in browser: sealed with the service's own key, and out of reach of scripts.

A key that was replaced opens what it sealed until its time is over.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from starlette.responses import Response

from respawn_jobs.keyring import Key, Keyring

SESSION = "respawn-session"
SIGN_IN = "respawn-sign-in-"
_SIGN_IN_SECONDS = 600
_MAX_SIGN_INS = 4


@dataclass(frozen=True)
class SignIn:
    """A sign-in under way: where it goes afterwards, and the secret half of its PKCE challenge."""

    next: str
    verifier: str


class Sessions:
    """Seals and opens the service's cookies."""

    def __init__(self, keyring: Keyring, *, path: str, secure: bool, seconds: int) -> None:
        """Prepare for the keys for `cookies` of a ring: the current one seals, all that are accepted open.

        Args:
            keyring: the service's keys.
            path: the cookies' `Path`: the service's prefix, with a slash at both ends.
            secure: whether browsers send them over HTTPS alone (`Secure`).
            seconds: how long a sign-in holds, as the cookies' `Max-Age`.
        """
        self._keyring = keyring
        self._path = path
        self._secure = secure
        self._seconds = seconds

    def open(self, response: Response, token: str) -> None:
        """Sign the browser in with its hub token."""
        self._set(response, SESSION, {"token": token}, self._seconds)

    def token(self, cookies: dict[str, str]) -> str | None:
        """Return the hub token of a signed-in browser; None without a valid session."""
        content = self._read(cookies.get(SESSION), self._seconds)
        return str(content["token"]) if content else None

    def close(self, response: Response) -> None:
        """Sign the browser out of the service."""
        response.delete_cookie(SESSION, path=self._path)

    def begin(
        self, response: Response, state: str, sign_in: SignIn, cookies: Mapping[str, str] | None = None
    ) -> None:
        """Remember a sign-in under way, under its own state: several tabs may sign in at once.

        The newest few stay: each page that is opened while nobody is signed in begins one, and too many make
        a header that the proxy refuses.

        Args:
            response: the answer that sets the cookies.
            state: OAuth's `state`, random; it names the sign-in's cookie (RFC 6749, section 10.12).
            sign_in: where the browser goes afterwards, and the PKCE verifier.
            cookies: what the browser sent, by name, with the sign-ins that it has begun; None for none.
        """
        known = (cookies or {}).items()
        opened = self._opening()
        begun = {name: _made(opened, sealed) for name, sealed in known if name.startswith(SIGN_IN)}
        for name in sorted(begun, key=begun.__getitem__)[:-_MAX_SIGN_INS]:
            response.delete_cookie(name, path=self._path)
        content = {"next": sign_in.next, "verifier": sign_in.verifier}
        self._set(response, SIGN_IN + state, content, _SIGN_IN_SECONDS)

    def finish(self, response: Response, state: str) -> None:
        """Forget a sign-in."""
        response.delete_cookie(SIGN_IN + state, path=self._path)

    def sign_in(self, cookies: dict[str, str], state: str) -> SignIn | None:
        """Return the sign-in that this browser began with `state`; None for a strange or old one."""
        content = self._read(cookies.get(SIGN_IN + state), _SIGN_IN_SECONDS)
        return SignIn(**content) if content else None

    def form_token(self, token: str) -> str:
        """Return what a form of this session must carry, so that no other site can send it."""
        return _form_token(self._keyring.current("cookies"), token)

    def form_token_matches(self, token: str, given: str) -> bool:
        """Return whether a form came from a page of this session."""
        expected = (_form_token(key, token) for key in self._keyring.accepted("cookies"))
        return any(hmac.compare_digest(one.encode(), given.encode()) for one in expected)

    def _set(self, response: Response, name: str, content: dict[str, Any], seconds: int) -> None:
        box = _box(self._keyring.current("cookies"))
        sealed = box.encrypt(json.dumps(content).encode()).decode()
        response.set_cookie(
            name, sealed, max_age=seconds, path=self._path, httponly=True, samesite="lax", secure=self._secure
        )

    def _opening(self) -> MultiFernet:
        return MultiFernet([_box(key) for key in self._keyring.accepted("cookies")])

    def _read(self, sealed: str | None, seconds: int) -> dict[str, Any] | None:
        if not sealed:
            return None
        try:
            content = json.loads(self._opening().decrypt(sealed.encode(), ttl=seconds))
        except InvalidToken:
            return None
        return content if isinstance(content, dict) else None


def _made(box: MultiFernet, sealed: str) -> int:
    try:
        box.decrypt(sealed.encode())
    except InvalidToken:
        return 0
    return int.from_bytes(base64.urlsafe_b64decode(sealed)[1:9], "big")


def _box(key: Key) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_cookie_key(key)))


def _form_token(key: Key, token: str) -> str:
    return hmac.new(_cookie_key(key), f"form {token}".encode(), "sha256").hexdigest()


def _cookie_key(key: Key) -> bytes:
    return hashlib.sha256(f"respawn cookies {key.secret}".encode()).digest()
