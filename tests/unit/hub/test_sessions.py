"""Session cookies: sealed, limited to the service's path, and worth nothing to anybody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from starlette.responses import Response

from respawn_hub.auth.sessions import SESSION, SIGN_IN, Sessions, SignIn
from respawn_jobs.keyring import Keyring
from support.clocks import MovedClock

PATH = "/services/respawn/"


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(datetime.now(UTC))


@pytest.fixture
def keyring(tmp_path: Path, clock: MovedClock) -> Keyring:
    return Keyring(tmp_path / "keys.json", clock=clock)


@pytest.fixture
def sessions(keyring: Keyring) -> Sessions:
    return _sessions(keyring)


def _sessions(keyring: Keyring, *, secure: bool = False) -> Sessions:
    return Sessions(keyring, path=PATH, secure=secure, seconds=60)


def _cookies(response: Response) -> SimpleCookie:
    return SimpleCookie(response.headers["set-cookie"])


def test_a_session_gives_its_token_back(sessions: Sessions) -> None:
    response = Response()
    sessions.open(response, "hub-token")

    assert sessions.token({SESSION: _cookies(response)[SESSION].value}) == "hub-token"


def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites(keyring: Keyring) -> None:
    response = Response()
    _sessions(keyring, secure=True).open(response, "hub-token")

    cookie = _cookies(response)[SESSION]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == PATH
    assert "hub-token" not in cookie.value


def test_a_cookie_of_another_key_or_a_changed_one_is_no_session(sessions: Sessions, tmp_path: Path) -> None:
    response = Response()
    sessions.open(response, "hub-token")
    value = _cookies(response)[SESSION].value

    assert _sessions(Keyring(tmp_path / "others")).token({SESSION: value}) is None
    assert sessions.token({SESSION: value[:-4] + "AAAA"}) is None
    assert sessions.token({}) is None


def test_a_sign_in_is_known_only_by_its_own_state(sessions: Sessions) -> None:
    response = Response()
    sessions.begin(response, "state-1", SignIn("/services/respawn/runs/run-1", "verifier"))
    cookies = {SIGN_IN + "state-1": _cookies(response)[SIGN_IN + "state-1"].value}

    assert sessions.sign_in(cookies, "state-1") == SignIn("/services/respawn/runs/run-1", "verifier")
    assert sessions.sign_in(cookies, "state-2") is None


def test_a_form_token_belongs_to_one_session(sessions: Sessions) -> None:
    token = sessions.form_token("hub-token")

    assert sessions.form_token_matches("hub-token", token)
    assert not sessions.form_token_matches("other-token", token)
    assert not sessions.form_token_matches("hub-token", "")
    assert not sessions.form_token_matches("hub-token", "ü")


def test_pages_that_are_opened_while_nobody_is_signed_in_fill_no_header(sessions: Sessions) -> None:
    cookies = dict[str, str]()
    for number in range(50):
        response = Response()
        sessions.begin(response, f"state-{number}", SignIn(PATH, "verifier" * 8), cookies)
        for said in response.headers.getlist("set-cookie"):
            for name, morsel in SimpleCookie(said).items():
                cookies = {key: value for key, value in cookies.items() if key != name}
                cookies |= {} if morsel["max-age"] == "0" else {name: morsel.value}
    assert len(cookies) <= 5
    assert sum(map(len, cookies.values())) < 4_000
    assert sessions.sign_in(cookies, "state-49") is not None


def test_sessions_and_forms_of_a_replaced_key_are_good_until_its_time_is_over(
    sessions: Sessions, keyring: Keyring, clock: MovedClock, tmp_path: Path
) -> None:
    response = Response()
    sessions.open(response, "hub-token")
    cookies = {SESSION: _cookies(response)[SESSION].value}
    form = sessions.form_token("hub-token")
    until = clock() + timedelta(hours=1)
    command = Keyring(tmp_path / "keys.json", clock=clock)
    command.rotate("cookies", until)

    assert sessions.token(cookies) == "hub-token"
    assert sessions.form_token_matches("hub-token", form)
    renewed = Response()
    sessions.open(renewed, "hub-token")
    clock.now = until
    assert sessions.token(cookies) is None, "signed in anew"
    assert not sessions.form_token_matches("hub-token", form)
    assert sessions.token({SESSION: _cookies(renewed)[SESSION].value}) == "hub-token", "the new key sealed it"
