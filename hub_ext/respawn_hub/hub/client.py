"""The hub as the service asks it: whose token is this, and what may they do.

Answers are kept for seconds, per token *and* browser session: for as long a right outlives its end. What
changes something is answered by what the hub said within the last second, which makes one question of the
parts of a request. While the hub does not answer, those whom it knew lately can look, and change nothing.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx

from respawn_hub.hub.directory import HubDirectory
from respawn_hub.startup.settings import HubSettings
from respawn_jobs.errors import Forbidden, Unauthenticated, Unavailable

_KEPT_SECONDS = 5.0
_KEPT_FOR_CHANGES_SECONDS = 1.0
_KEPT_IN_SILENCE_SECONDS = 60.0
_REFUSED_SECONDS = 5.0
_SILENT_SECONDS = 1.0
"""A hub that did not answer is not asked again this soon: those who wait hear it at once."""
_KEPT_ANSWERS = 4096
_START_SECONDS = 60.0
"""The hub answers a request for a server when it has started, or after ten seconds (`slow_spawn_timeout`)."""


@dataclass(frozen=True)
class HubUser:
    """Whom a hub token stands for: a person, or a service of the hub."""

    name: str
    kind: str
    scopes: frozenset[str]
    groups: frozenset[str]
    identity: str | None = None
    """What tells a person from others who had or have the name; None where the hub does not tell."""


class Hub:
    """The hub's API, asked with httpx; safe to share between threads."""

    def __init__(
        self,
        settings: HubSettings,
        *,
        tokens: Callable[[], Sequence[str]] = tuple,
        now: Callable[[], float] = time.monotonic,
        admit: Callable[[HubUser], None] = lambda _user: None,
    ) -> None:
        """Prepare to ask a hub.

        Args:
            settings: where the hub is, and the service's own token for it.
            tokens: returns further tokens of the service, one of which the hub may know while it is rotated.
            now: a clock of seconds.
            admit: called with each person before their answer is remembered; what it raises refuses them.
        """
        self.settings = settings
        self.directory = HubDirectory(self._as_service)
        self._tokens = tokens
        self._admit = admit
        self._now = now
        # To read the certificates that are trusted takes time; a hub without TLS needs none.
        tls = not settings.api_url.lower().startswith("http://")
        self._client = httpx.Client(timeout=10.0, transport=httpx.HTTPTransport(retries=2, verify=tls))
        self._kept: dict[str, tuple[float, HubUser]] = {}
        # Apart, so that tokens that somebody makes up displace nobody who is known.
        self._refused: dict[str, float] = {}
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def user(self, token: str, session: str = "", *, changes: bool = False) -> HubUser | None:
        """Return whom `token` stands for, None for an invalid one.

        Args:
            token: a hub API token, or the token of a browser sign-in.
            session: value of the browser's `jupyterhub-session-id` cookie.
            changes: whether it is for a request that changes something.

        Raises:
            Unavailable: the hub does not answer.
            Forbidden: the token is valid but has no access to this service.
        """
        known, user = self.recall(token, session, changes=changes)
        if known:
            return user
        key = _key(token, session)
        try:
            user = self._ask(token)
            if user is not None and self._may_enter(user.scopes):
                user = self._identified(user)
                self._admit(user)
        except Unavailable:
            asked, user = self._kept.get(key, (0.0, None))
            if changes or user is None or asked + _KEPT_IN_SILENCE_SECONDS < self._now():
                raise
        else:
            self._remember(key, user)
        return self._entering(user) if user is not None else None

    def recall(self, token: str, session: str = "", *, changes: bool = False) -> tuple[bool, HubUser | None]:
        """Return whether the hub's last answer still holds, and that answer; asks nobody.

        Args:
            token: a token of the hub's API, or of a browser's sign-in.
            session: value of the browser's `jupyterhub-session-id` cookie; empty for a program.
            changes: whether the request changes something: the answer then holds for one second, not five.

        Returns:
            Whether an answer holds, and whom the token stands for: None for a refused token, and without an
            answer.

        Raises:
            Forbidden: the token is valid and has no access to this service.
        """
        key, now = _key(token, session), self._now()
        asked, user = self._kept.get(key, (0.0, None))
        seconds = _KEPT_FOR_CHANGES_SECONDS if changes else _KEPT_SECONDS
        if user is not None and asked + seconds >= now:
            return True, self._entering(user)
        refused = self._refused.get(key)
        return refused is not None and refused >= now, None

    def knows_us(self) -> bool:
        """Return whether the hub accepts the service's own token. Raises `Unavailable` when it is silent."""
        answer = self._with_own_token(
            lambda token: self._call("GET", "/user", headers={"Authorization": f"token {token}"})
        )
        if answer.status_code not in (200, 401, 403):
            raise Unavailable(f"the hub answered {answer.status_code} when asked about its service")
        return answer.status_code == 200

    def forget(self, names: Collection[str]) -> None:
        """Remember nothing of these people: what they may do has changed."""
        with self._lock:
            for key in [key for key, (_, user) in self._kept.items() if user.name in names]:
                del self._kept[key]

    def _identified(self, user: HubUser) -> HubUser:
        if user.kind != "user":
            return user
        return replace(user, identity=self.directory.identities([user.name]).get(user.name))

    def _entering(self, user: HubUser) -> HubUser:
        if not self._may_enter(user.scopes):
            raise Forbidden(f"this token of {user.name} has no access to Respawn", user=user.name)
        return user

    def _remember(self, key: str, user: HubUser | None) -> None:
        with self._lock:
            for answers in (self._kept, self._refused):
                if len(answers) >= _KEPT_ANSWERS:
                    answers.clear()
            if user is None:
                self._kept.pop(key, None)
                self._refused[key] = self._now() + _REFUSED_SECONDS
            else:
                self._kept[key] = (self._now(), user)

    def _may_enter(self, scopes: frozenset[str]) -> bool:
        name = self.settings.service_name
        return bool(scopes & {"access:services", f"access:services!service={name}"})

    def _ask(self, token: str) -> HubUser | None:
        if not (token.isascii() and token.isprintable()):  # no header takes it, and the hub gives none
            return None
        answer = self._call("GET", "/user", headers={"Authorization": f"token {token}"})
        if answer.status_code in (401, 403):
            return None
        if answer.status_code != 200:
            raise Unavailable(f"the hub answered {answer.status_code} when asked who is signed in")
        model = answer.json()
        if model.get("kind", "user") == "user":
            self.directory.note_groups(model)
        return HubUser(
            name=str(model["name"]),
            kind=str(model.get("kind", "user")),
            scopes=frozenset(model.get("scopes") or ()),
            groups=frozenset(model.get("groups") or ()),
        )

    def authorize_url(self, state: str, verifier: str) -> str:
        """Return where a browser signs in; it comes back to the callback with a code and `state`."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.callback,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.settings.hub_pages}api/oauth2/authorize?{urlencode(query)}"

    def token_for_code(self, code: str, verifier: str) -> str:
        """Exchange a sign-in code for the browser's token. Raises Unauthenticated for a code not valid."""
        given = {
            "client_id": self.settings.client_id,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.settings.callback,
            "code_verifier": verifier,
        }
        answer = self._with_own_token(
            lambda token: self._call("POST", "/oauth2/token", data={**given, "client_secret": token})
        )
        if answer.status_code != 200:
            raise Unauthenticated("the hub did not accept this sign-in; please sign in again")
        return str(answer.json()["access_token"])

    def call_as_service(
        self, method: str, path: str, document: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Call the hub's API as the service; an answer may take as long as the hub lets a server start.

        Args:
            method: the method of HTTP, such as `POST`.
            path: below the address of the hub's API.
            document: the JSON body; None for none.

        Raises:
            Unavailable: the hub does not answer.
        """

        def ask(token: str) -> httpx.Response:
            headers = {"Authorization": f"token {token}"}
            address = self.settings.api_url.rstrip("/") + path
            try:
                return self._client.request(
                    method, address, headers=headers, json=document, timeout=_START_SECONDS
                )
            except httpx.HTTPError as error:
                raise Unavailable("the hub does not answer; try again in a moment") from error

        return self._with_own_token(ask)

    def _as_service(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        """Ask as the service itself."""
        address = f"{path}?{urlencode(query)}" if query else path
        kind = {"Accept": "application/jupyterhub-pagination+json"}
        return self._with_own_token(
            lambda token: self._call("GET", address, headers={**kind, "Authorization": f"token {token}"})
        )

    def _with_own_token(self, ask: Callable[[str], httpx.Response]) -> httpx.Response:
        """Ask with a token of the service, and with the next one it has when the hub does not know it."""
        own = self.settings.api_token.get_secret_value()
        answer = ask(own)
        for token in self._tokens():
            if answer.status_code not in (401, 403):
                break
            if token != own:
                answer = ask(token)
        return answer

    def _call(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
    ) -> httpx.Response:
        if self._silent_until > self._now():
            raise Unavailable("the hub does not answer; try again in a moment")
        try:
            return self._client.request(
                method, self.settings.api_url.rstrip("/") + path, headers=headers, data=data
            )
        except httpx.HTTPError as error:
            self._silent_until = self._now() + _SILENT_SECONDS
            raise Unavailable("the hub does not answer; try again in a moment") from error


def _key(token: str, session: str) -> str:
    return hashlib.sha256(f"{session}:{token}".encode()).hexdigest()


def new_verifier() -> str:
    """Return a fresh PKCE verifier."""
    return secrets.token_urlsafe(48)
