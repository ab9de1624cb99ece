"""The ways in which a request can come: each kind of person, each sign-in, each page that a browser is on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from unittest.mock import patch

from cryptography.fernet import Fernet
from starlette.responses import Response

from respawn_hub.auth.dependencies import FORM_FIELD, FORM_HEADER
from respawn_hub.auth.runtime import Runtime
from respawn_hub.auth.sessions import SESSION
from support.access.asking import Asked, attempt_of
from support.access.people import OUTSIDER, Person, Place
from support.access.promise import Line, holders
from support.access.things import Things

YES, WHO, NO = "answered", "401", "403"
"""What a way leads to: what the route is for, the question who is asking, or a refusal."""
_NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
_SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
_EMBEDDED = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "same-origin"}
_OTHER_SITE = {**_EMBEDDED, "Sec-Fetch-Site": "cross-site"}


@dataclass(frozen=True)
class Way:
    """One way in which a request comes."""

    description: str
    leads: str
    headers: dict[str, str | bytes] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    """More fields of a page's form."""
    reads: bool = False
    """Whether who comes may read the namespace."""


@dataclass(frozen=True)
class Session:
    """How a request with a session's cookie comes, and where that counts."""

    description: str
    headers: dict[str, str]
    own_header: bool = False
    own_field: bool = False

    def counts(self, line: Line) -> bool:
        """Return whether the session speaks for the person, by the rule of docs/reference/access.md."""
        looks = line.method in ("GET", "HEAD")
        site = self.headers.get("Sec-Fetch-Site")
        mode = self.headers.get("Sec-Fetch-Mode", "navigate")
        of_a_person = mode == "navigate" or (mode == "no-cors" and site == "same-origin" and looks)
        if line.taken == "session" and not looks:
            return self.own_field and (of_a_person or self.own_header)
        return self.own_header or (looks and of_a_person)


SESSIONS = [
    Session("opens it", _NAVIGATES),
    Session("opens it in a browser that says nothing of pages", {}),
    Session("sees it embedded in a page of the hub", _EMBEDDED),
    Session("sees it embedded in a page of another site", _OTHER_SITE),
    Session("is on a page of the hub whose script fetches it", _SCRIPT),
    Session("is on a page of the service whose script fetches it", _SCRIPT, own_header=True),
    Session("is on a page of another site that has the header", _OTHER_SITE, own_header=True),
]
_FORMS = [
    Session("presses a button of the service", _NAVIGATES, own_field=True),
    Session("presses one in a browser that says nothing of pages", {}, own_field=True),
    Session("is on a page of the hub whose script sends the form", _SCRIPT, own_field=True),
    Session("is on a page of the service whose script sends it", _SCRIPT, own_header=True, own_field=True),
]
_FORGED = [
    Session("has the form token of another", _SCRIPT, own_header=True),
    Session("sends the form of another", _NAVIGATES, own_field=True),
]
USUAL = [SESSIONS[0], SESSIONS[5]]


def ways(line: Line, place: Place, things: Things, request: Asked) -> Iterator[Way]:
    """Yield the ways in which a request can come, and what each must lead to.

    Whether a session speaks for somebody does not follow from who that is: all its ways are gone by the
    administrator, who may do everything, and the usual ones by everybody.
    """
    if line.taken == "nothing":
        yield from _open(line, place)
        return
    if things.namespace.startswith("team"):
        yield from _nobody(line, place, things)
    for person in place.people.values():
        yield from _with_token(line, person)
        yield from _with_session(line, person, place, every=person.kind == "administrator")
    if line.taken == "attempt token":
        yield from _runners(line, things)
    if line.taken == "signature":
        yield from _signed(things, request)


def _open(line: Line, place: Place) -> Iterator[Way]:
    leads = YES if line.needs == "nothing" else WHO
    yield Way("nobody", leads)
    for person in place.people.values():
        yield Way(f"{person.kind} with a token", leads, {"Authorization": f"token {person.token}"})
        yield Way(f"{person.kind} with a session", leads, {"Cookie": person.cookie})


def _nobody(line: Line, place: Place, things: Things) -> Iterator[Way]:
    yield Way("nobody", WHO)
    yield Way("nobody, in a browser", WHO, dict(_NAVIGATES))
    for description, value in _bad_tokens(place, things).items():
        yield Way(f"somebody with {description}", WHO, {"Authorization": value})
    for description, cookie in _bad_cookies(place).items():
        yield Way(f"a browser with {description}", WHO, {**_NAVIGATES, "Cookie": f"{SESSION}={cookie}"})
    outside = NO if line.taken == "token or session" else WHO
    yield Way("a user who may not enter", outside, {"Authorization": f"token {tokens_of(place)[OUTSIDER]}"})
    narrow = tokens_of(place)["narrow"]
    yield Way("the owner with a token that is not for Respawn", outside, {"Authorization": f"token {narrow}"})


def tokens_of(place: Place) -> dict[str, str]:
    """Return tokens that are not good here, made once: of who may not enter, an expired one, a narrow one."""
    found: dict[str, str] = place.app.state.__dict__.setdefault("tokens_of_matrix", {})
    if not found:
        found["expired"] = place.expired_token("ada")
        found[OUTSIDER] = place.token(OUTSIDER)
        found["narrow"] = place.token("ada", scopes=["read:users!user=ada"])
    return found


def _bad_tokens(place: Place, things: Things) -> dict[str, str | bytes]:
    good = place.people["ada"].token
    changed = good[:-1] + ("0" if good[-1] != "0" else "1")
    return {
        "an expired token": f"token {tokens_of(place)['expired']}",
        "an empty token": "token",
        "a token and no scheme": good,
        "the scheme Basic": f"Basic {good}",
        "a token of other characters": b"token \xe9",
        "half a token": f"token {good[: len(good) // 2]}",
        "a changed token": f"Bearer {changed}",
        "a token twice": f"token {good} {good}",
        "a token that is too long": f"token {good * 20}",
        "the token of an ended attempt": f"Bearer {things.tokens[things.ids['ended']]}",
    }


def _bad_cookies(place: Place) -> dict[str, str]:
    runtime: Runtime = place.app.state.runtime
    good = place.people["ada"].cookies[SESSION]
    then = SimpleNamespace(time=lambda: time.time() - runtime.settings.session_seconds - 1)
    with patch("cryptography.fernet.time", then):
        old = session_of(runtime, place.people["ada"].token)
    return {
        "no session": "",
        "a changed session": good[:-8] + "AAAAAAA=",
        "a session of another service": Fernet(Fernet.generate_key()).encrypt(b'{"token": "x"}').decode(),
        "an old session": old,
        "a session whose token has expired": session_of(runtime, tokens_of(place)["expired"]),
    }


def session_of(runtime: Runtime, token: str) -> str:
    """Return the cookie of a browser that signed in with a token."""
    response = Response()
    runtime.sessions.open(response, token)
    return response.headers["set-cookie"].partition("=")[2].partition(";")[0]


def _with_token(line: Line, person: Person) -> Iterator[Way]:
    rights = holders()[person.kind]
    leads = (YES if line.needs in rights else NO) if line.taken == "token or session" else WHO
    for scheme in ("token", "Bearer"):
        headers: dict[str, str | bytes] = {"Authorization": f"{scheme} {person.token}"}
        yield Way(f"{person.kind} with a token ({scheme})", leads, headers, reads="read" in rights)


def _with_session(line: Line, person: Person, place: Place, *, every: bool) -> Iterator[Way]:
    rights = holders()[person.kind]
    other = next(one for one in place.people.values() if one is not person)
    of_people = line.taken in ("session", "token or session")
    form = line.taken == "session" and line.method == "POST"
    for session in (SESSIONS + _FORMS if form else SESSIONS) if every else (_FORMS[:1] if form else USUAL):
        leads = YES if line.needs in rights and session.counts(line) else NO
        yield _way(session, person, person.form_token, leads if of_people else WHO, "read" in rights)
    for session in _FORGED[: (2 if form else 1) if every else 0]:
        yield _way(session, person, other.form_token, NO if of_people else WHO, "read" in rights)


def _way(session: Session, person: Person, form_token: str, leads: str, reads: bool) -> Way:
    headers: dict[str, str | bytes] = {**session.headers, "Cookie": person.cookie}
    if session.own_header:
        headers[FORM_HEADER] = form_token
    fields = {FORM_FIELD: form_token} if session.own_field else {}
    return Way(f"{person.kind} who {session.description}", leads, headers, fields, reads)


def _runners(line: Line, things: Things) -> Iterator[Way]:
    own = attempt_of(line.method, line.path, things)
    for attempt, token in things.tokens.items():
        leads, whose = (YES, "the") if attempt == own else (WHO, "another")
        headers: dict[str, str | bytes] = {"Authorization": f"Bearer {token}"}
        yield Way(f"{whose} attempt's runner", leads, headers, reads=attempt == own)
    yield Way("its runner with another scheme", WHO, {"Authorization": f"token {things.tokens[own]}"})


def _signed(things: Things, request: Asked) -> Iterator[Way]:
    body = request.body or b""
    yield Way("whoever signs it", YES, {**things.signed(body)})
    yield Way("whoever signed another", WHO, {**things.signed(body + b" ")})
    yield Way("whoever signed it long ago", WHO, {**things.signed(body, at=time.time() - 1000)})
    forged = things.signed(body)
    forged["webhook-signature"] = "v1," + "A" * 43 + "="
    yield Way("whoever makes a signature up", WHO, {**forged})
