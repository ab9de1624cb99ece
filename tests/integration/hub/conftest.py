"""One real hub for the tests of this directory, with people who may and people who may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.remote.client import RemoteService
from support.browser import chromium, context, page
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.ledgers import clock, database_kind, ledger, store_url
from support.lonely import LonelyService, answering_hub, lonely_service
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.waiting import wait_for

# The browser's fixtures, and those of a ledger in this process.
__all__ = ["chromium", "clock", "context", "database_kind", "ledger", "page", "store_url"]

GOOD = text(notebook("print('hello')", "from IPython.display import HTML\nHTML('<b>bold</b>')"))
BAD = text(
    notebook("x = 41", "print('sent')", "raise ValueError('no such column')", tags={1: ["respawn:once"]})
)
FIXED = text(notebook("x = 41", "print('sent')", "print(x + 1)", tags={1: ["respawn:once"]}))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub with ada (in the group risk), bob, and root who administers it."""
    with running_hub(
        tmp_path_factory.mktemp("hub"),
        users=("ada", "bob"),
        admins=("root",),
        groups={"risk": {"users": ["ada"]}},
        roles=[{"name": "risk-jobs", "groups": ["risk"], "scopes": ["custom:respawn:edit!group=risk"]}],
        service_environment={"RESPAWN_LEASE_SECONDS": "4"},
    ) as running:
        tolerate(running.process.pid)
        yield running


@pytest.fixture(scope="module")
def ada(hub: RunningHub) -> RemoteService:
    return hub.service("ada")


@pytest.fixture
def bob(hub: RunningHub) -> RemoteService:
    return hub.service("bob")


@pytest.fixture(scope="module")
def failed(ada: RemoteService) -> Run:
    """A run of ada's that failed in cell 2."""
    ada.promote(Promotion(name="fails", notebook=BAD))
    run = ended(ada, ada.run(RunRequest(job="fails")).id)
    assert run.state is RunState.FAILED
    return run


@pytest.fixture(scope="module")
def succeeded(ada: RemoteService) -> Run:
    """A run of ada's that succeeded."""
    ada.promote(Promotion(name="works", notebook=GOOD))
    run = ended(ada, ada.run(RunRequest(job="works")).id)
    assert run.state is RunState.SUCCEEDED
    return run


def ended(service: RemoteService, run: str, timeout: float = 60) -> Run:
    """Wait until a run is final, and return it."""

    def final() -> Run | None:
        seen = service.show(run).run
        return seen if seen.state.final else None

    return wait_for(final, timeout, f"the end of {run}")


class Visitor:
    """A person's browser, without scripts: cookies, redirects and forms."""

    def __init__(self, hub: RunningHub, user: str) -> None:
        self.hub = hub
        headers = {"Accept": "text/html", "Sec-Fetch-Dest": "document"}
        self.client = httpx.Client(headers=headers, follow_redirects=True, timeout=30)
        page = self.client.get(f"{hub.service_url}/")
        xsrf = re.search(r'name="_xsrf"\s+value="([^"]+)"', page.text)
        assert xsrf, page.text[:500]
        self.landed = self.client.post(
            str(page.url), data={"username": user, "password": hub.password, "_xsrf": xsrf.group(1)}
        )

    def get(self, path: str = "", **options: object) -> httpx.Response:
        """Open a page of the service."""
        return self.client.get(f"{self.hub.service_url}/{path}", **options)  # type: ignore[arg-type]

    def post(self, path: str, page: str, **options: object) -> httpx.Response:
        """Send a form as the page at `page` would."""
        token = re.search(r'name="_form_token" value="([^"]+)"', self.get(page).text)
        assert token
        fields = {"_form_token": token.group(1), **options.pop("data", {})}  # type: ignore[dict-item]
        return self.client.post(f"{self.hub.service_url}/{path}", data=fields, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sign_in(hub: RunningHub) -> Iterator[Callable[[str], Visitor]]:
    """Sign a person in, as a browser does it."""
    opened: list[Visitor] = []

    def enter(user: str) -> Visitor:
        opened.append(Visitor(hub, user))
        return opened[-1]

    yield enter
    for visitor in opened:
        visitor.client.close()


@pytest.fixture
def uploads(tmp_path: Path) -> Callable[[str], tuple[str, bytes]]:
    """Return a notebook as a form sends a file."""
    return lambda source: ("fixed.ipynb", source.encode())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lonely")


@pytest.fixture(scope="module")
def runner(data: Path) -> PlayedRunner:
    """A runner at work, from before the service started."""
    return at_work(data)


def at_work(data: Path) -> PlayedRunner:
    """Return a runner at work on a run of ada's, in the store of a directory that no service uses yet."""
    ledger = Ledger.embedded(data, lease_seconds=600)
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("1", "2"))))
    played = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    played.begin()
    ledger.close()
    return played


@pytest.fixture(scope="module")
def service(data: Path, runner: PlayedRunner) -> Iterator[LonelyService]:
    with answering_hub() as hub, lonely_service(data, hub) as running:
        tolerate(running.process.pid)
        yield running
