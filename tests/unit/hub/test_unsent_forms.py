"""A form that is sent by somebody who is signed out does nothing, and the page after the sign-in says so."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from respawn_hub.auth import dependencies
from respawn_hub.auth.sessions import SIGN_IN
from respawn_jobs.ledger import Ledger
from support.routes import routes
from support.signed_in import SignedIn, signed_in

SERVICE = "/services/respawn/"
FORMS = sorted(
    path
    for method, path in routes()
    if method == "POST" and path.startswith(("/jobs/", "/runs/")) and not path.startswith("/api")
)
SECRET = "tr0ub4dor&3"


@pytest.fixture
def browser(ledger: Ledger, tmp_path: Path) -> SignedIn:
    return signed_in(ledger, tmp_path)


@pytest.fixture
def signed_out(browser: SignedIn) -> SignedIn:
    """A browser whose session is over."""
    browser.app.dependency_overrides.clear()
    return browser


def goes_to(browser: SignedIn, answer: httpx.Response) -> str:
    """Return where a browser goes at the end of the sign-in that an answer begins."""
    state = parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]
    begun = browser.app.state.runtime.sessions.sign_in(
        {SIGN_IN + state: answer.cookies[SIGN_IN + state]}, state
    )
    assert begun is not None
    return str(begun.next)


def example(path: str) -> str:
    """Return an address of a route."""
    words = {
        "kind": "user",
        "owner": "ada",
        "name": "report",
        "number": "1",
        "way": "resume",
        "action": "pause",
    }
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: words.get(found[1], "x"), path).lstrip("/")


@pytest.mark.parametrize("path", FORMS)
def test_each_form_of_jobs_and_runs_leads_to_the_page_that_says_so_and_from_there_back(signed_out, path):
    address = example(path)
    answer = signed_out.ask("POST", SERVICE + address, form={"parameter:rows": "7", "parameter:key": SECRET})
    assert answer.status_code == 302
    assert goes_to(signed_out, answer) == f"{SERVICE}unsent?form={quote(address, safe='')}"
    ways = [way for method, way in routes() if method == "GET"]
    patterns = [re.sub(r"\\\{\w+(:\w+)?\\\}", "[^/]+", re.escape(way)) for way in ways]
    assert any(re.fullmatch(pattern, f"/{address}") for pattern in patterns), "nothing is at its address"


def test_what_was_typed_is_in_no_address_and_no_cookie(signed_out):
    form = {"parameter:rows": "7654321", "parameter:key": SECRET}
    answer = signed_out.ask("POST", f"{SERVICE}jobs/user/ada/report/run", form=form)
    told = f"{answer.headers} {answer.text} {goes_to(signed_out, answer)}"
    for text in ("7654321", SECRET, quote(SECRET)):
        assert text not in told


def test_the_page_says_in_words_that_nothing_was_done_and_leads_back(browser):
    page = browser.ask("GET", f"{SERVICE}unsent?form=jobs/user/ada/report/run")
    assert page.status_code == 200
    assert '<h1 class="h3">Nothing was done</h1>' in page.text
    assert "send it once more" in page.text
    assert f'href="{SERVICE}jobs/user/ada/report/run"' in page.text


@pytest.mark.parametrize(
    "form",
    [
        "", "//evil.example/x", "https://evil.example", "javascript:alert(1)", "jobs/../../hub/logout",
        "runs/./x", "api/v1/runs", "jobs/\\evil", "jobs/a\nb", "sign-out", "runs//x", "unsent",
    ],
)  # fmt: skip
def test_no_other_address_becomes_a_way_back(browser, form):
    page = browser.ask("GET", f"{SERVICE}unsent?form={quote(form, safe='')}")
    assert page.status_code == 200
    assert "Back to the form" not in page.text


def test_markup_in_an_address_is_text(browser):
    page = browser.ask("GET", f"{SERVICE}unsent", params={"form": 'jobs/user/a"><script>x()</script>/b'})
    assert "Back to the form" in page.text
    assert "<script>x" not in page.text


def test_a_form_of_another_session_did_nothing_and_leads_back(browser):
    data = {"data": {dependencies.FORM_FIELD: "of a session before"}}
    page = asyncio.run(browser._ask("POST", f"{SERVICE}jobs/user/ada/report/run", data))
    assert page.status_code == 403
    assert "Nothing was done" in page.text
    assert "This form is too old or came from another site" in page.text
    assert f'href="{SERVICE}jobs/user/ada/report/run"' in page.text


def test_a_page_that_is_asked_for_is_shown_after_the_sign_in(signed_out):
    answer = signed_out.ask("GET", f"{SERVICE}jobs/user/ada/report?before=run-x")
    assert goes_to(signed_out, answer) == f"{SERVICE}jobs/user/ada/report?before=run-x"
    assert goes_to(signed_out, signed_out.ask("POST", f"{SERVICE}sign-out", form={})) == SERVICE
