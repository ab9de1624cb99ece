"""A Jupyter server with the extension and no Respawn service: everything else must go on working."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Page, expect

from support.jupyter import Jupyter, running_jupyter

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with running_jupyter(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.mark.long
def test_debug_page_needs_a_sign_in(jupyter: Jupyter) -> None:
    answer = httpx.get(f"{jupyter.url}/respawn/debug/run-0123456789")
    assert answer.status_code == 302
    assert "/login" in answer.headers["location"]


@pytest.mark.parametrize("route", ["plan", "resume", "restart", "promote", "debug/run-0123456789"])
def test_api_refuses_strangers(jupyter: Jupyter, route: str) -> None:
    assert httpx.post(f"{jupyter.url}/respawn/api/{route}", json={}).status_code == 403


def test_browser_without_the_xsrf_token_is_refused(jupyter: Jupyter) -> None:
    with httpx.Client(base_url=jupyter.url) as browser:
        browser.get("/lab", params={"token": "token-of-a-test"})
        browser.get("/respawn/debug/run-0123456789")
        assert (
            browser.get("/respawn/api/preview", params={"cron": "* * * * *", "tz": "UTC"}).status_code == 503
        )
        assert browser.post("/respawn/api/debug/run-0123456789").status_code == 403
        token = browser.cookies["_xsrf"]
        assert (
            browser.post("/respawn/api/debug/run-0123456789", headers={"X-XSRFToken": token}).status_code
            == 200
        )


def test_missing_service_is_said_where_it_is_needed(jupyter: Jupyter) -> None:
    with jupyter.client() as client:
        answer = client.get("/respawn/api/preview", params={"cron": "* * * * *", "tz": "UTC"})
        assert answer.status_code == 503
        assert "RESPAWN_URL is not set" in answer.json()["message"]
        last = client.post("/respawn/api/debug/run-0123456789").text.splitlines()[-1]
        assert "RESPAWN_URL is not set" in last


def test_notebook_that_is_not_a_debug_notebook_cannot_be_resumed(jupyter: Jupyter) -> None:
    nbformat.write(v4.new_notebook(), jupyter.root / "mine.ipynb")
    with jupyter.client() as client:
        answer = client.post("/respawn/api/resume", json={"path": "mine.ipynb"})
        assert answer.status_code == 422
        assert "mine.ipynb is not a debug notebook" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"path": "nowhere.ipynb"}, 404, "no notebook 'nowhere.ipynb'"),
        ({"path": "../../etc/passwd"}, 404, "no notebook"),
        ({}, 422, "path"),
        ({"path": 3}, 422, "path"),
        ([], 422, "JSON object"),
    ],
)
def test_wrong_request_is_refused_naming_what_is_wrong(
    jupyter: Jupyter, body: object, status: int, said: str
) -> None:
    with jupyter.client() as client:
        answer = client.post("/respawn/api/plan", json=body)
        assert (answer.status_code, said in answer.json()["message"]) == (status, True)


def test_jupyterlab_is_given_the_plugin(jupyter: Jupyter) -> None:
    with jupyter.client() as client:
        page = client.get("/lab").text
        assert '"name": "respawn"' in page
        for file in ("remoteEntry.js", "plugin.js", "style.css"):
            assert client.get(f"/lab/extensions/respawn/static/{file}").status_code == 200


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.parametrize(
    ("link", "shown"),
    [("https://hub.example/runs/1", True), ("javascript:alert(1)", False), (" JaVaScript:alert(1)", False)],
)
def test_link_in_a_notebook_leads_to_web_pages_only(
    page: Page, jupyter: Jupyter, link: str, shown: bool
) -> None:
    metadata = {"respawn": {"run": "run-0123456789", "link": link}}
    nbformat.write(v4.new_notebook(metadata=metadata), jupyter.root / "linked.ipynb")
    page.goto(f"{jupyter.url}/lab/tree/linked.ipynb?reset&token=token-of-a-test")
    bar = page.get_by_role("toolbar", name="Respawn")
    expect(bar).to_contain_text("run-0123456789")
    expect(bar.get_by_role("link")).to_have_count(int(shown))
