"""The cookies of a signed-in browser: sealed with the service's own key, and out of reach of scripts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from starlette.responses import Response

SESSION = "respawn-session"
SIGN_IN = "respawn-sign-in-"
_SIGN_IN_SECONDS = 600
_MOST_SIGN_INS = 4


@dataclass(frozen=True)
class SignIn:
    """A sign-in under way: where it goes afterwards, and the secret half of its PKCE challenge."""

    next: str
    verifier: str


class Sessions:
    """Seals and opens the service's cookies."""

    def __init__(self, secret: str, *, path: str, secure: bool, seconds: int) -> None:
        self._key = hashlib.sha256(f"respawn cookies {secret}".encode()).digest()
        self._box = Fernet(base64.urlsafe_b64encode(self._key))
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

        Of those that the browser's `cookies` tell of, the newest few stay: each page that is opened while
        nobody is signed in begins one, and too many make a header that the proxy refuses.
        """
        known = (cookies or {}).items()
        begun = {name: self._made(sealed) for name, sealed in known if name.startswith(SIGN_IN)}
        for name in sorted(begun, key=begun.__getitem__)[:-_MOST_SIGN_INS]:
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
        return hmac.new(self._key, f"form {token}".encode(), "sha256").hexdigest()

    def form_token_matches(self, token: str, given: str) -> bool:
        """Tell whether a form came from a page of this session."""
        return hmac.compare_digest(self.form_token(token).encode(), given.encode())

    def _set(self, response: Response, name: str, content: dict[str, Any], seconds: int) -> None:
        sealed = self._box.encrypt(json.dumps(content).encode()).decode()
        response.set_cookie(
            name, sealed, max_age=seconds, path=self._path, httponly=True, samesite="lax", secure=self._secure
        )

    def _made(self, sealed: str) -> int:
        try:
            return self._box.extract_timestamp(sealed.encode())
        except InvalidToken:
            return 0

    def _read(self, sealed: str | None, seconds: int) -> dict[str, Any] | None:
        if not sealed:
            return None
        try:
            content = json.loads(self._box.decrypt(sealed.encode(), ttl=seconds))
        except InvalidToken:
            return None
        return content if isinstance(content, dict) else None
