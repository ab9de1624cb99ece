"""A page that is open while its job is renamed and another one takes the name: its forms change nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import DependencyRequest, HookRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.ledger.people.actor_service import ActorService
from support.notebooks import notebook, text
from support.routes import routes
from support.signed_in import Browse

SERVICE = "/services/respawn"
JOB = f"{SERVICE}/jobs/user/ada/report"
ROUTE = "/jobs/{kind}/{owner}/{name}"
SENSOR = f"{ROUTE}/sensors/{{sensor}}/remove"
"""Sensors need an inbox, which this service has none of; their button is the webhooks' one."""


class Forms(HTMLParser):
    """The forms of a page: the action of each, and the fields that it sends of itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, or a hidden field of the last one."""
        its = {name: value or "" for name, value in attrs}
        if tag == "form" and its.get("method") == "post":
            self.found.append((its["action"], {}))
        elif tag == "input" and its.get("type") == "hidden" and self.found:
            self.found[-1][1][its["name"]] = its.get("value", "")


def promote(ada: ActorService, name: str, *codes: str) -> None:
    for code in codes:
        ada.promote(Promotion(name=name, notebook=text(notebook(code)), agreed=["take_name"]))


@pytest.fixture
def forms(browse: Browse, ada: ActorService) -> list[tuple[str, dict[str, str]]]:
    """All forms of the pages of a job, at work and archived."""
    promote(ada, "before", "b = 1")
    promote(ada, "report", "a = 1", "a = 2")
    ada.schedule(ScheduleRequest(job="report", cron="0 3 * * *", tz="UTC"))
    ada.pause(ada.schedule(ScheduleRequest(job="report", cron="0 4 * * *", tz="UTC")).id, paused=True)
    ada.hook(HookRequest(job="report"))
    ada.set_dependency(DependencyRequest(job="report", upstream=["before"]))
    pages = [browse("GET", f"{JOB}{rest}").text for rest in ("", "/versions/1", "/versions/2")]
    ada.change_job("report", JobChange(archived=True))
    pages.append(browse("GET", JOB).text)
    ada.change_job("report", JobChange(archived=False))
    return [form for page in pages for form in Forms(page).found if form[0].startswith(JOB)]


def as_route(action: str) -> str:
    """Return the path of the route that a form is sent to."""
    rest = action.removeprefix(JOB)
    for pattern, name in (
        (r"/manage/\w+$", "/manage/{change}"),
        (r"/versions/\d+", "/versions/{number}"),
        (r"/schedules/sch-\w+/\w+$", "/schedules/{schedule}/{action}"),
        (r"/hooks/hok-\w+", "/hooks/{hook}"),
    ):
        rest = re.sub(pattern, name, rest)
    return ROUTE + rest


def test_each_form_of_a_job_s_pages_says_which_job_they_show(forms, ada: ActorService) -> None:
    taken = {path for method, path in routes() if method == "POST" and path.startswith(ROUTE)}
    assert {as_route(action) for action, _ in forms} == taken - {SENSOR}
    job = ada.job("report").id
    assert [action for action, fields in forms if fields.get("shown_job") != job] == []


def test_no_form_of_a_stale_page_changes_the_job_that_took_the_name(
    forms, browse: Browse, ada: ActorService
) -> None:
    ada.change_job("report", JobChange(name="daily"))
    promote(ada, "report", "c = 1", "c = 2")
    ada.schedule(ScheduleRequest(job="report", cron="0 5 * * *", tz="UTC"))
    ada.set_dependency(DependencyRequest(job="report", upstream=["before"]))
    before = [ada.job("report"), ada.job("daily"), len(ada.audit()), len(ada.runs())]
    for action, fields in forms:
        more = {"cron": "0 6 * * *", "tz": "UTC", "name": "taken", "typed": "report", "seen": "2"}
        answer = browse("POST", action, {**more, **fields})
        assert answer.status_code == 409, action
        assert "this page showed another job" in answer.text.lower(), action
    assert [ada.job("report"), ada.job("daily"), len(ada.audit()), len(ada.runs())] == before


def test_forms_of_a_renamed_job_go_on_to_work_at_its_former_name(
    forms, browse: Browse, ada: ActorService
) -> None:
    ada.change_job("report", JobChange(name="daily"))
    ((action, fields),) = [form for form in forms if form[0] == f"{JOB}/run"][:1]
    assert browse("POST", action, fields).status_code == 303
    assert [run.job for run in ada.runs()] == ["user/ada/daily"]
    assert ada.run(RunRequest(job="daily")).job == "user/ada/daily"
