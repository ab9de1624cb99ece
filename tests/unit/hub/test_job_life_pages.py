"""The forms of a page that rename, archive, restore and remove a job, and the one that removes a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.errors import NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.service import ActorService
from respawn_jobs.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.service_versions import JobChange
from support.notebooks import notebook, text
from support.signed_in import Browse

SERVICE = "/services/respawn"
JOB = f"{SERVICE}/jobs/user/ada/report"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(tmp_path / "data")
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
    assert browse("POST", f"{SERVICE}/runs/{run}/remove", {}).status_code == 409
    ada.cancel(run)

    assert f"runs/{run}/remove" in browse("GET", f"{SERVICE}/runs/{run}").text
    assert browse("GET", f"{SERVICE}/runs/{run}/remove").headers["location"] == f"{SERVICE}/runs/{run}"
    assert browse("POST", f"{SERVICE}/runs/{run}/remove", {}).headers["location"] == JOB
    assert browse("GET", f"{SERVICE}/runs/{run}").status_code == 404


def test_a_refused_form_that_is_loaded_again_leads_back(browse: Browse) -> None:
    for change in ("rename", "archive", "restore", "remove"):
        assert browse("GET", f"{JOB}/manage/{change}").headers["location"] == JOB
    assert browse("GET", f"{JOB}/manage/burn").status_code == 422
