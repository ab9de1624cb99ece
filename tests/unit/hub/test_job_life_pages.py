"""The forms of a page that rename, archive, restore and remove a job, and the one that removes a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.errors import NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.signed_in import Browse

SERVICE = "/services/respawn"
JOB = f"{SERVICE}/jobs/user/ada/report"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    ada = ledger.as_actor(Actor.owner("ada"))
    for name in ("report", "other"):
        ada.promote(Promotion(name=name, notebook=text(notebook("a = 1"))))
    yield ledger
    ledger.close()


def test_a_renamed_job_is_found_at_its_former_address(browse: Browse, ada: ActorService) -> None:
    renamed = browse("POST", f"{JOB}/manage/rename", {"name": "weekly-report"})
    there = f"{SERVICE}/jobs/user/ada/weekly-report"

    assert (renamed.status_code, renamed.headers["location"]) == (303, there)
    assert browse("GET", there).status_code == 200
    for rest in ("", "/versions/1", "/compare?old=1&new=1"):
        assert browse("GET", f"{JOB}{rest}").headers["location"] == f"{there}{rest}"
    assert ada.job("weekly-report").version == 1


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("other", 409, "other"), ("No Name", 422, "No Name"), (" ", 422, "type the name")],
)
def test_a_name_that_cannot_be_had_is_told_at_its_field(
    browse: Browse, ada: ActorService, name: str, status: int, words: str
) -> None:
    answer = browse("POST", f"{JOB}/manage/rename", {"name": name})

    assert answer.status_code == status
    assert words in answer.text
    assert 'id="rename-problem"' in answer.text
    assert 'aria-describedby="rename-problem"' in answer.text
    assert ada.job("report").name == "report"


def test_an_archived_job_leaves_the_list_and_comes_back(browse: Browse, ada: ActorService) -> None:
    ada.schedule(ScheduleRequest(job="report", cron="0 3 * * *", tz="UTC"))

    assert browse("POST", f"{JOB}/manage/archive", {}).status_code == 303

    assert JOB not in browse("GET", f"{SERVICE}/").text
    assert JOB in browse("GET", f"{SERVICE}/archived").text
    page = browse("GET", JOB).text
    assert "Archived" in page
    assert "Run now" not in page
    assert "Add schedule" not in page
    assert "Run version" not in browse("GET", f"{JOB}/versions/1").text

    assert browse("POST", f"{JOB}/manage/restore", {}).status_code == 303
    assert JOB in browse("GET", f"{SERVICE}/").text
    assert "There are none." in browse("GET", f"{SERVICE}/archived").text
    assert "Run now" in browse("GET", JOB).text


def test_a_job_with_open_runs_is_not_archived(browse: Browse, ada: ActorService) -> None:
    ada.run(RunRequest(job="report"))

    answer = browse("POST", f"{JOB}/manage/archive", {})

    assert answer.status_code == 409
    assert 'id="archive-problem"' in answer.text
    assert ada.job("report").archived_at is None


def test_a_job_is_removed_when_its_name_is_typed_and_not_before(browse: Browse, ada: ActorService) -> None:
    ada.change_job("report", JobChange(archived=True))

    slip = browse("POST", f"{JOB}/manage/remove", {"typed": "repor"})
    assert slip.status_code == 422
    assert "type the job" in slip.text
    assert ada.job("report").archived_at is not None

    assert (
        browse("POST", f"{JOB}/manage/remove", {"typed": "report"}).headers["location"]
        == f"{SERVICE}/archived"
    )
    with pytest.raises(NotFound):
        ada.job("report")


def test_a_job_at_work_is_not_removed(browse: Browse, ada: ActorService) -> None:
    answer = browse("POST", f"{JOB}/manage/remove", {"typed": "report"})

    assert answer.status_code == 409
    assert ada.job("report").version == 1


def test_an_ended_run_is_removed_on_its_page(browse: Browse, ada: ActorService) -> None:
    run = ada.run(RunRequest(job="report")).id
    assert f"runs/{run}/remove" not in browse("GET", f"{SERVICE}/runs/{run}").text
    ada.cancel(run)

    assert f"runs/{run}/remove" in browse("GET", f"{SERVICE}/runs/{run}").text
    assert browse("GET", f"{SERVICE}/runs/{run}/remove").headers["location"] == f"{SERVICE}/runs/{run}"
    assert browse("POST", f"{SERVICE}/runs/{run}/remove", {}).headers["location"] == JOB
    gone = browse("GET", f"{SERVICE}/runs/{run}")
    assert gone.status_code == 404
    assert "This was removed" in gone.text


REFUSED = re.compile(r'<div class="alert alert-danger[^>]*id="refused"[^>]*>(.*?)</div>', re.DOTALL)


def test_what_a_button_of_a_run_cannot_do_is_told_on_the_runs_page(browse: Browse, ada: ActorService) -> None:
    run = ada.run(RunRequest(job="report")).id
    there = f"{SERVICE}/runs/{run}"
    removed = browse("POST", f"{there}/remove", {})
    retried = browse("POST", f"{there}/retry", {})
    ada.cancel(run)
    cancelled = browse("POST", f"{there}/cancel", {"revision": "0"})

    for answer, words in ((removed, "still queued"), (retried, "queued"), (cancelled, "changed")):
        assert answer.status_code == 409
        (why,) = REFUSED.findall(answer.text)
        assert words in why
        assert f'<h1 class="h3 mb-0 me-1 text-break">{run}</h1>' in answer.text


def test_what_a_button_of_a_trigger_cannot_do_is_told_on_the_jobs_page(
    browse: Browse, ada: ActorService
) -> None:
    schedule = ada.schedule(ScheduleRequest(job="report", cron="0 3 * * *", tz="UTC"))
    ada.unschedule(schedule.id)
    buttons = [f"schedules/{schedule.id}/{act}" for act in ("remove", "pause", "unpause")]
    for button in (
        *buttons,
        "hooks/hok-aaaaaaaaaa/remove",
        "sensors/sen-aaaaaaaaaa/remove",
        "dependency/remove",
    ):
        answer = browse("POST", f"{JOB}/{button}", {})
        assert answer.status_code == 404, button
        assert len(REFUSED.findall(answer.text)) == 1, button
        assert "Run now" in answer.text, button
        assert browse("GET", f"{JOB}/{button}").headers["location"].partition("#")[0] == JOB


def test_links_to_what_was_removed_say_by_whom_and_when(browse: Browse, ada: ActorService) -> None:
    run = ada.run(RunRequest(job="report")).id
    ada.cancel(run)
    ada.remove_run(run)
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 2"))))
    ada.remove_version("report", 1)
    others = [ada.run(RunRequest(job="other")).id for _ in range(2)]
    for other in others:
        ada.cancel(other)
    ada.change_job("other", JobChange(archived=True))
    ada.remove_job("other")

    links = {
        f"debug/{run}": f"{run} was removed by ada",
        f"runs/{run}": f"{run} was removed by ada",
        f"open/{run}": f"{run} was removed by ada",
        f"runs/{others[0]}": f"{others[0]} was removed by ada",
        "jobs/user/ada/other": "user/ada/other was removed by ada",
        "jobs/user/ada/report/versions/1": "Version 1 of user/ada/report was removed by ada",
        "jobs/user/ada/report/compare?old=1&new=2": "Version 1 of user/ada/report was removed by ada",
    }
    for link, words in links.items():
        page = browse("GET", f"{SERVICE}/{link}")
        assert page.status_code == 404, link
        assert words in page.text, link
        assert "This was removed" in page.text, link
        assert "audit trail" in page.text, link
    never = browse("GET", f"{SERVICE}/runs/run-aaaaaaaaaa").text
    assert "There is no such page" in never
    assert "was removed" not in never


def test_who_may_not_read_a_namespace_is_not_told_what_was_removed_there(
    ada: ActorService, ledger: Ledger
) -> None:
    run = ada.run(RunRequest(job="report")).id
    ada.cancel(run)
    ada.remove_run(run)
    bob = ledger.as_actor(Actor("bob", frozenset({"custom:respawn:edit!user=bob"})))
    with pytest.raises(NotFound, match=f"^there is no run {run}$"):
        bob.show(run)


def test_a_refused_form_that_is_loaded_again_leads_back(browse: Browse) -> None:
    for change in ("rename", "archive", "restore", "remove"):
        assert browse("GET", f"{JOB}/manage/{change}").headers["location"] == JOB
    assert browse("GET", f"{JOB}/manage/burn").status_code == 422
