"""The pages of Resume and Restart say at once why nothing can start, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse, signed_in

RUNS = "/services/respawn/runs"
START = re.compile(r'<button[^>]*value="start"[^>]*>')


@pytest.fixture
def failed(ledger: Ledger, ada: ActorService) -> str:
    """A failed run whose second cell may run only once, so that its plan offers something to agree to."""
    source = notebook("a = 1", "b = a + 1", parameters=None)
    source.cells[0].metadata["tags"] = ["respawn:once"]
    ada.promote(Promotion(name="report", notebook=text(source)))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    return runner.run


def archived(ledger: Ledger, ada: ActorService, run: str) -> str:
    ada.change_job("report", JobChange(archived=True))
    return "restore it first"


def suspended(ledger: Ledger, ada: ActorService, run: str) -> str:
    ledger.settle_owners({"ada": "1"})
    ledger.settle_owners({"bob": "2"})
    return "An administrator decides"


def resumed(ledger: Ledger, ada: ActorService, run: str) -> str:
    return ada.resume(run, ResumeRequest(rerun_once=True)).id


@pytest.mark.parametrize("way", ["resume", "restart"])
@pytest.mark.parametrize("obstacle", [archived, suspended, resumed])
def test_an_obstacle_is_told_before_the_button_is_pressed(
    browse: Browse,
    ledger: Ledger,
    ada: ActorService,
    failed: str,
    way: str,
    obstacle: Callable[[Ledger, ActorService, str], str],
) -> None:
    before = START.search(browse("GET", f"{RUNS}/{failed}/{way}").text)
    assert before
    assert "disabled" not in before[0] or way == "resume"
    what_to_do = obstacle(ledger, ada, failed)

    page = browse("GET", f"{RUNS}/{failed}/{way}").text
    pressed = browse(
        "POST", f"{RUNS}/{failed}/{way}", {"button": "start", "rerun_once": "yes", "planned_strict": "no"}
    )

    button = START.search(page)
    assert button
    if way == "restart" and obstacle is resumed:
        assert "disabled" not in button[0], "a run that was resumed may still be restarted"
        assert pressed.status_code == 303
        return
    assert pressed.status_code == 409, "the page says what pressing would meet"
    assert "disabled" in button[0]
    assert 'aria-describedby="blocked"' in button[0]
    assert what_to_do in page
    assert len(re.findall(r'id="blocked"', page)) == 1


@pytest.mark.parametrize("way", ["resume", "restart"])
def test_who_may_only_look_is_told_so(ledger: Ledger, tmp_path: Path, failed: str, way: str) -> None:
    reader = signed_in(ledger, tmp_path, actor=Actor("bob", frozenset({"custom:respawn:read!user=ada"})))

    page = reader.ask("GET", f"{RUNS}/{failed}/{way}").text

    button = START.search(page)
    assert button
    assert "disabled" in button[0]
    assert "You (bob) may look at user/ada/report and not start it" in page
