"""What the extension's own API answers to who may not ask, and to documents that no plugin sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest

from respawn_hub.startup.settings import Settings
from respawn_hub.startup.store import open_ledger
from respawn_server.api import ROUTES as API_ROUTES
from respawn_server.pages import ROUTES as PAGE_ROUTES
from support.access.stored import Stored, stored
from support.access.things import Things, settle
from support.jupyter import TOKEN, Jupyter, running_jupyter
from support.lonely import TOKEN as OF_ADA
from support.lonely import answering_hub
from support.notebooks import notebook, text
from support.service import served

pytestmark = pytest.mark.integration
Filled = tuple[str, Things, Stored]
ADA = {OF_ADA: ("ada", ["custom:respawn:edit!user=ada"])}
ASKED = [
    (method, route)
    for route, handler in [*API_ROUTES, *PAGE_ROUTES]
    for method in ("get", "post")
    if method in vars(handler)
]
"""Each handler with its methods."""
PATHS: list[Any] = [
    *(
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../b.ipynb",
        "mine.ipynb/",
        "~root",
        "\0",
        "a\0b",
    ),
    *(
        "\ud800",
        "C:\\x",
        "%2e%2e/x",
        "x" * 5000,
        "mine.ipynb\n",
        "respawn-debug",
        ".git/config",
        "mine.ipynb",
    ),
    *(None, 3, True, [], {}, ["mine.ipynb"], 1e400, -1),
]
DOCUMENTS = [
    *(b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b'"x"', b"[" * 100_000, b'{"path": ' * 20_000),
    *(b'{"path": "mine.ipynb", "path": 3}', b'{"path": NaN}', b'{"path": 1e999}', b'{"\\ud800": 1}'),
    json.dumps({f"f{number}": 0 for number in range(50_000)}).encode(),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A service with ada's things in it."""
    data, inbox, scratch = (tmp_path_factory.mktemp(name) for name in ("data", "inbox", "scratch"))
    settings = Settings(data=data, inbox_url=str(inbox))
    ledger = open_ledger(settings)
    things = settle(ledger, "user/ada", "quokkaquokka", scratch)
    with (
        answering_hub(ADA) as port,
        served(ledger, data, hub_port=port, settings=settings) as url,
        stored(data) as store,
    ):
        yield url, things, store
    ledger.close()


@pytest.fixture(scope="module")
def jupyter(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Ada's server, with a notebook of hers and what lies outside of its root."""
    directory = tmp_path_factory.mktemp("jupyter")
    told = {"RESPAWN_URL": filled[0], "RESPAWN_TOKEN": OF_ADA}
    with running_jupyter(directory, told) as server:
        (server.root / "mine.ipynb").write_text(text(notebook("x = 1")))
        (directory / "b.ipynb").write_text(text(notebook("outside")))
        debugged = nbformat.v4.new_notebook(metadata={"respawn": {"run": filled[1].ids["run"]}})
        nbformat.write(debugged, server.root / "debugged.ipynb")
        yield server


@pytest.fixture
def things(filled: Filled) -> Things:
    return filled[1]


@pytest.fixture
def store(filled: Filled) -> Iterator[Stored]:
    """The service's store, which is afterwards what it was."""
    filled[2].changed()
    yield filled[2]
    filled[2].go_back()


def address(route: str, run: str) -> str:
    """Return where a handler answers, for a run."""
    return f"/respawn/{route.partition('(?P')[0]}{run if '(?P' in route else ''}"


def good(route: str) -> dict[str, Any]:
    """Return what a handler does its work for."""
    name = "mine.ipynb" if route in ("api/inspect", "api/promote") else "debugged.ipynb"
    return {"path": name, **({"name": "stolen"} if route == "api/promote" else {})}


QUERY = {"path": "mine.ipynb", "cron": "0 3 * * *", "tz": "UTC"}


@pytest.mark.parametrize(("method", "route"), ASKED)
def test_nobody_is_answered_without_the_servers_token(
    jupyter: Jupyter, things: Things, store: Stored, method: str, route: str
) -> None:
    where = address(route, things.ids["run"])
    for headers in (
        {},
        {"Authorization": "token wrong"},
        {"Authorization": f"token {OF_ADA}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "username-127-0-0-1=forged; _xsrf=x", "X-XSRFToken": "x"},
    ):
        body = {"json": good(route)} if method == "post" else {"params": QUERY}
        answer = httpx.request(method, jupyter.url + where, headers=headers, **body)  # type: ignore[arg-type]
        assert answer.status_code in (302, 401, 403), answer.text[:300]
        assert "quokka" not in answer.text
    assert not store.changed()


@pytest.mark.parametrize("route", [route for method, route in ASKED if method == "post"])
def test_a_page_of_another_origin_acts_with_nobodys_session(
    jupyter: Jupyter, things: Things, store: Stored, route: str
) -> None:
    with httpx.Client(base_url=jupyter.url, timeout=60) as browser:
        browser.get("/lab", params={"token": TOKEN})
        browser.get(f"/respawn/debug/{things.ids['run']}")
        token = browser.cookies["_xsrf"]
        strange = {"Origin": "https://elsewhere.example", "Referer": "https://elsewhere.example/x"}
        where, form = address(route, things.ids["run"]), {"Content-Type": "text/plain"}
        for headers in ({**strange, **form}, {**form}, {**strange, "X-XSRFToken": "x" * len(token)}):
            answer = browser.post(where, content=json.dumps(good(route)), headers=headers)
            # Jupyter says of another origin that there is nothing.
            assert answer.status_code in (403, 404), f"{headers}: {answer.text[:300]}"
    assert not store.changed()


@pytest.mark.parametrize(("method", "route"), [one for one in ASKED if one[1].startswith("api/")])
def test_no_document_breaks_the_server_or_reaches_what_is_outside_of_it(
    jupyter: Jupyter, things: Things, method: str, route: str, store: Stored
) -> None:
    where = address(route, things.ids["run"])
    if "(?P" in route:  # no path is taken from anybody
        return
    with jupyter.client() as client:
        for path in PATHS:
            if method == "get":
                value = path.encode("utf-8", "surrogatepass") if isinstance(path, str) else path
                answer = client.get(where, params={**QUERY, "path": value, "cron": value, "tz": value})
            else:
                body = json.dumps({**good(route), "path": path}).encode()
                answer = client.post(where, content=body)
            assert answer.status_code < 500, f"{path!r}: {answer.text[:300]}"
            assert "outside" not in answer.text
            assert "root:" not in answer.text
        for document in DOCUMENTS if method == "post" else []:
            answer = client.post(where, content=document)
            assert 400 <= answer.status_code < 500, f"{document[:40]!r}: {answer.text[:300]}"


@pytest.mark.parametrize("run", ["run-0", "run-" + "0" * 10, "RUN-0123456789", "x" * 3000, "..", "run-%00"])
@pytest.mark.parametrize(("method", "route"), [one for one in ASKED if "(?P" in one[1]])
def test_no_name_of_a_run_breaks_the_server(jupyter: Jupyter, method: str, route: str, run: str) -> None:
    with jupyter.client() as client:
        answer = client.request(method, address(route, run))
    assert answer.status_code < 500, answer.text[:300]


def test_what_a_debug_notebook_names_is_only_ever_a_run(jupyter: Jupyter, store: Stored) -> None:
    for named in ("../jobs", "run-1/../..", "", 3, None, [], "run-0123456789?x=1", "x" * 9000, "\ud800"):
        metadata = json.dumps({"metadata": {"respawn": {"run": named}}, "cells": [], "nbformat": 4})
        Path(jupyter.root / "forged.ipynb").write_text(metadata)
        with jupyter.client() as client:
            for route in ("plan", "resume", "restart"):
                answer = client.post(f"/respawn/api/{route}", json={"path": "forged.ipynb"})
                assert answer.status_code in (404, 422), f"{named!r}: {answer.text[:300]}"
    assert not store.changed()
