"""The pages of versions: what one holds, how two differ, and what people do with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse

JOB = "/services/respawn/jobs/user/ada/report"
FIRST = notebook("md:# About", "a = 1", "b = a + 1", parameters="alpha: float = 0.5  # how much")
SECOND = notebook("md:# About", "a = 1", "b = a + 2", parameters="alpha: float = 0.5  # how much")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    for source in (FIRST, SECOND):
        ledger.as_actor(Actor.owner("ada")).promote(Promotion(name="report", notebook=text(source)))
    yield ledger
    ledger.close()


def plain(page: str) -> str:
    """Return a page's words."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))


def test_a_version_shows_who_made_it_and_its_source_in_colours(browse: Browse) -> None:
    page = browse("GET", f"{JOB}/versions/1")

    assert page.status_code == 200
    assert "Version 1" in page.text
    assert "ada" in page.text
    assert '<span class="mi">1</span>' in page.text, "sources have their colours"
    assert "<h2>About</h2>" in page.text, "text cells are shown as text"
    assert "how much" in page.text, "its parameters have fields"
    assert 'id="cell-3"' in page.text


def test_a_version_is_downloaded_byte_for_byte(browse: Browse) -> None:
    answer = browse("GET", f"{JOB}/versions/1/notebook")

    assert answer.text == text(FIRST)
    assert 'filename="report-v1.ipynb"' in answer.headers["content-disposition"]
    assert "sandbox" in answer.headers["content-security-policy"]


def test_markup_of_a_text_cell_is_only_in_its_sandbox(browse: Browse, ada: ActorService) -> None:
    source = notebook("md:<b onclick='steal()'>bold</b> $x^2$ [a](https://example.org)", "a = 1")
    ada.promote(Promotion(name="report", notebook=text(source)))

    page = browse("GET", f"{JOB}/versions/3").text
    document = browse("GET", f"{JOB}/versions/3/cells/0/prose")

    assert 'sandbox="allow-scripts"' in page
    assert "onclick" not in page
    assert 'href="https://example.org"' in page
    assert "<b onclick" in document.text
    assert document.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert browse("GET", f"{JOB}/versions/3/cells/1/prose").status_code == 404


def test_a_comparison_shows_the_changed_lines_with_signs_and_folds_the_rest(browse: Browse) -> None:
    page = browse("GET", f"{JOB}/compare?old=1&new=2").text

    assert "1 cell changed." in plain(page)
    assert "removed: b = a + 1" in plain(page)
    assert "added: b = a + 2" in plain(page)
    assert "3 cells are the same" in plain(page)
    assert "a = 1" not in plain(page)


def test_a_comparison_shows_a_moved_cell_once(browse: Browse, ada: ActorService) -> None:
    moved = notebook("md:# About", "a = 1", "b = a + 2", parameters="alpha: float = 0.5  # how much")
    moved.cells.append(moved.cells.pop(1))
    ada.promote(Promotion(name="report", notebook=text(moved)))

    page = plain(browse("GET", f"{JOB}/compare?old=2&new=3").text)

    assert "1 cell moved." in page
    assert "moved was cell 1" in page
    assert "removed" not in page


def test_versions_without_a_difference_say_so(browse: Browse) -> None:
    assert "These are the same version." in browse("GET", f"{JOB}/compare?old=2&new=2").text


def test_a_version_that_is_not_there_is_told(browse: Browse) -> None:
    for path in ("versions/9", "versions/9/notebook", "compare?old=1&new=9"):
        assert browse("GET", f"{JOB}/{path}").status_code == 404, path
    assert browse("GET", f"{JOB}/versions/0").status_code == 422


def test_an_older_version_is_made_current_and_run_now_uses_it(browse: Browse, ada: ActorService) -> None:
    assert "Make current" not in browse("GET", f"{JOB}/versions/2").text
    assert "in place of version 2" in browse("GET", f"{JOB}/versions/1").text

    answer = browse("POST", f"{JOB}/versions/1/current", {"seen": "2"})

    assert answer.status_code == 303
    assert ada.job("report").version == 1
    assert ada.run(RunRequest(job="report")).version == 1


def test_a_version_is_not_made_current_over_one_that_the_person_did_not_see(
    browse: Browse, ada: ActorService
) -> None:
    ada.promote(Promotion(name="report", notebook=text(notebook("c = 3"))))

    answer = browse("POST", f"{JOB}/versions/1/current", {"seen": "2"})

    assert answer.status_code == 409
    assert "version 3" in answer.text
    assert 'role="alert"' in answer.text
    assert ada.job("report").version == 3


def test_a_version_that_a_schedule_does_not_fit_is_asked_about_on_its_page(
    browse: Browse, ada: ActorService
) -> None:
    other = notebook("a = 1", parameters="beta: float = 0.5")
    ada.promote(Promotion(name="report", notebook=text(other)))
    ada.schedule(ScheduleRequest(job="report", cron="0 3 * * *", tz="UTC", parameters={"beta": 1.0}))

    asked = browse("POST", f"{JOB}/versions/1/current", {"seen": "3"})

    assert asked.status_code == 409
    assert "0 3 * * *" in asked.text
    assert "unknown parameter &#39;beta&#39;" in asked.text
    assert "Make current all the same" in asked.text
    assert ada.job("report").version == 3
    agreed = browse("POST", f"{JOB}/versions/1/current", {"seen": "3", "agreed": "break_triggers"})
    assert agreed.status_code == 303
    assert ada.job("report").version == 1


def test_an_older_version_runs_once_with_typed_parameters(browse: Browse, ada: ActorService) -> None:
    wrong = browse("POST", f"{JOB}/versions/1/run", {"parameter:alpha": "much"})
    right = browse("POST", f"{JOB}/versions/1/run", {"parameter:alpha": "1.5"})

    assert wrong.status_code == 422
    assert 'value="much"' in wrong.text
    (run,) = ada.runs(job="report")
    assert right.headers["location"].endswith(f"/runs/{run.id}")
    assert (run.version, run.parameters) == (1, {"alpha": 1.5})
    assert ada.job("report").version == 2


def test_a_version_is_removed_unless_something_names_it(browse: Browse, ada: ActorService) -> None:
    ada.run(RunRequest(job="report"))
    browse("POST", f"{JOB}/versions/1/current", {})

    refused = browse("POST", f"{JOB}/versions/2/remove", {})
    assert refused.status_code == 409
    assert "run-" in refused.text
    assert [version.number for version in ada.versions("report")] == [2, 1]

    ada.promote(Promotion(name="report", notebook=text(notebook("c = 3"))))
    assert browse("POST", f"{JOB}/versions/1/remove", {}).status_code == 303
    assert [version.number for version in ada.versions("report")] == [3, 2]


def test_the_runs_of_a_version_are_paged_however_many_others_the_job_has(
    browse: Browse, ada: ActorService
) -> None:
    own = [ada.run(RunRequest(job="report", version=1)).id for _ in range(12)]
    for _ in range(30):
        ada.run(RunRequest(job="report"))

    newest = browse("GET", f"{JOB}/versions/1").text
    older = browse("GET", f"{JOB}/versions/1?before={own[2]}").text

    shown = [run for run in own if run in newest]
    assert shown == own[2:]
    assert f'href="{JOB}/versions/1?before={own[2]}#runs"' in newest
    assert [run for run in own if f"runs/{run}" in older] == own[:2]
    assert "Newest runs" in older
    assert [run.id for run in ada.runs(job="report", version=1, limit=3)] == own[:-4:-1]


def test_a_fix_names_the_version_and_the_run_that_it_fixed(
    browse: Browse, ada: ActorService, ledger: Ledger
) -> None:
    failed = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    failed.begin()
    failed.execute(0)
    failed.execute(2)
    failed.fail(3)
    fixed = notebook("md:# About", "a = 1", "b = a + 3", parameters="alpha: float = 0.5  # how much")
    resumed = ada.resume(failed.run, ResumeRequest(notebook=text(fixed)))

    page = browse("GET", f"{JOB}/versions/3").text
    assert f"{JOB}/versions/2" in page
    assert f"runs/{failed.run}" in page
    assert f"runs/{resumed.id}" in page
    assert "Fixed by" in browse("GET", f"{JOB}/versions/2").text
    assert f'href="{JOB}/versions/3"' in browse("GET", f"/services/respawn/runs/{resumed.id}").text


def test_a_large_notebook_is_cut_and_says_so(browse: Browse, ada: ActorService) -> None:
    cells = [f"x{number} = '" + "a" * 100_000 + "'" for number in range(25)]
    ada.promote(Promotion(name="report", notebook=text(notebook(*cells))))

    page = browse("GET", f"{JOB}/versions/3").text

    assert "too long for a page" in page
    assert len(page) < 3_000_000


def test_a_refused_form_that_is_loaded_again_leads_back(browse: Browse) -> None:
    for action in ("current", "run", "remove"):
        answer = browse("GET", f"{JOB}/versions/1/{action}")
        assert answer.headers["location"] == f"{JOB}/versions/1"


def test_the_versions_of_a_long_history_are_paged(browse: Browse, ada: ActorService) -> None:
    for number in range(3, 21):
        ada.promote(Promotion(name="report", notebook=text(notebook(f"a = {number}"))))

    newest = browse("GET", JOB).text
    older = browse("GET", f"{JOB}?below=6").text

    assert f'href="{JOB}/versions/6"' in newest
    assert f'href="{JOB}/versions/5"' not in newest
    assert f'href="{JOB}?below=6#versions"' in newest
    assert f'href="{JOB}/versions/5"' in older
    assert "Newest versions" in older


def test_a_schedule_is_changed_and_refusals_stand_at_their_fields(browse: Browse, ada: ActorService) -> None:
    schedule = ada.schedule(ScheduleRequest(job="report", cron="0 3 * * *", tz="UTC"))
    there = f"{JOB}/schedules/{schedule.id}/change"

    wrong = browse("POST", there, {"cron": "0 0 30 2 *", "tz": "UTC", "missed": "latest"})
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    assert "never fires" in plain(wrong.text)
    assert browse("GET", there).headers["location"] == f"{JOB}?edit={schedule.id}#schedules"

    assert (
        browse("POST", there, {"cron": "0 4 * * *", "tz": "Europe/Berlin", "missed": "all"}).status_code
        == 303
    )
    (changed,) = ada.job("report").schedules
    assert (changed.cron, changed.tz, changed.missed) == ("0 4 * * *", "Europe/Berlin", "all")


def test_a_schedule_that_is_there_already_is_refused_at_the_form(browse: Browse, ada: ActorService) -> None:
    schedule = ada.schedule(ScheduleRequest(job="report", cron="0 3 * * *", tz="UTC"))

    answer = browse("POST", f"{JOB}/schedules", {"cron": "0  3 * * *", "tz": "UTC"})

    assert answer.status_code == 409
    assert schedule.id in plain(answer.text)
    assert len(ada.job("report").schedules) == 1
