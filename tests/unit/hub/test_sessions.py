"""Session cookies: sealed, limited to the service's path, and worth nothing to anybody else."""

from __future__ import annotations

from http.cookies import SimpleCookie

from starlette.responses import Response

from respawn_hub.sessions import SESSION, SIGN_IN, Sessions, SignIn

PATH = "/services/respawn/"


def _sessions(secret: str = "one", *, secure: bool = False) -> Sessions:
    return Sessions(secret, path=PATH, secure=secure, seconds=60)


def _cookies(response: Response) -> SimpleCookie:
    return SimpleCookie(response.headers["set-cookie"])


def test_a_session_gives_its_token_back() -> None:
    sessions, response = _sessions(), Response()
    sessions.open(response, "hub-token")

    assert sessions.token({SESSION: _cookies(response)[SESSION].value}) == "hub-token"


def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    response = Response()
    _sessions(secure=True).open(response, "hub-token")

    cookie = _cookies(response)[SESSION]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == PATH
    assert "hub-token" not in cookie.value


def test_a_cookie_of_another_secret_or_a_changed_one_is_no_session() -> None:
    sessions, response = _sessions(), Response()
    sessions.open(response, "hub-token")
    value = _cookies(response)[SESSION].value

    assert _sessions("two").token({SESSION: value}) is None
    assert sessions.token({SESSION: value[:-4] + "AAAA"}) is None
    assert sessions.token({}) is None


def test_a_sign_in_is_known_only_by_its_own_state() -> None:
    sessions, response = _sessions(), Response()
    sessions.begin(response, "state-1", SignIn("/services/respawn/runs/run-1", "verifier"))
    cookies = {SIGN_IN + "state-1": _cookies(response)[SIGN_IN + "state-1"].value}

    assert sessions.sign_in(cookies, "state-1") == SignIn("/services/respawn/runs/run-1", "verifier")
    assert sessions.sign_in(cookies, "state-2") is None


def test_a_form_token_belongs_to_one_session() -> None:
    sessions = _sessions()
    token = sessions.form_token("hub-token")

    assert sessions.form_token_matches("hub-token", token)
    assert not sessions.form_token_matches("other-token", token)
    assert not sessions.form_token_matches("hub-token", "")
    assert not sessions.form_token_matches("hub-token", "ü")


def test_pages_that_are_opened_while_nobody_is_signed_in_fill_no_header() -> None:
    sessions, cookies = _sessions(), dict[str, str]()
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
