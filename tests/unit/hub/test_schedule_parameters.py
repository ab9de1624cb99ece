"""Parameters of schedules on a job's page: shown in the list, given in its forms, kept where untouched."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.jobs import Schedule
from respawn_jobs.store.tables import ScheduleRow
from support.notebooks import notebook, text
from support.signed_in import Browse

PAGE = "/services/respawn/jobs/user/ada/report"
NEW = "new-schedule"
TIMES = {"cron": "0 3 * * *", "tz": "UTC", "missed": "latest"}
DECLARED = """\
from datetime import date, datetime
from typing import Any, Literal, Optional
rows: int = 100
rate: float = 0.5
name: str = "x"
region: Literal["eu", "us"] = "eu"
flag: bool = True
maybe: Optional[bool] = None
note: Optional[str] = "a"
day: date = date(2026, 1, 1)
at: datetime = datetime(2026, 1, 1)
columns: list[str] = ["a"]
settings: dict = {}
anything: Any = 1
password: str = "hunter2-default"
respawn_logical_date: str
"""
GIVEN: dict[str, Any] = {
    "rows": 10**20,
    "rate": 1e16,
    "name": "\nline one\r\n  line <two> \"'& ",
    "region": "us",
    "flag": False,
    "maybe": None,
    "note": None,
    "day": "2026-02-03",
    "at": "2026-02-03T04:05:06.123456",
    "columns": ["<b>", "ü", ""],
    "settings": {"deep": {"a": [1, None]}},
    "anything": "5",
    "password": "tr0ub4dor",
}
"""Values that a browser's controls, or the reading of what is typed, could make others."""


class Form(HTMLParser):
    """A form of a page, with what a browser sends of it when nothing is touched."""

    def __init__(self, page: str, end: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._end = end
        self._in = False
        self._area: str | None = None
        self._select: str | None = None
        self._first = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        its = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._in = its.get("action", "").endswith(self._end) and its.get("method") == "post"
        if not self._in or (tag != "option" and "name" not in its):
            return
        if tag == "input" and (its.get("type") != "checkbox" or "checked" in its):
            self.fields[its["name"]] = _sent(its.get("type", "text"), its.get("value", ""))
        elif tag == "textarea":
            self._area, self.fields[its["name"]] = its["name"], ""
        elif tag == "select":
            self._select, self._first = its["name"], True
        elif tag == "option" and self._select is not None:
            if "selected" in its or self._first:
                self.fields[self._select] = its.get("value", "\0")
            self._first = False

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.fields[self._area] += data
        elif self._select is not None and self.fields.get(self._select) == "\0":
            self.fields[self._select] = data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            text = self.fields[self._area].removeprefix("\n")  # what HTML leaves out behind the tag
            self.fields[self._area], self._area = _network(text), None
        self._select = None if tag == "select" else self._select
        self._in = self._in and tag != "form"


def _network(text: str) -> str:
    """Return a text with the line ends that browsers send."""
    return re.sub(r"\r\n|\r|\n", "\r\n", text)


def _sent(kind: str, value: str) -> str:
    """Return what a browser sends of an input with a value: nothing of what its type cannot show."""
    if kind in ("text", "password", "number", "date", "datetime-local"):
        value = re.sub(r"[\r\n]", "", value)
    shown = {
        "number": r"-?\d+(\.\d+)?([eE][-+]?\d+)?",
        "date": r"\d{4}-\d\d-\d\d",
        "datetime-local": r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?",
    }
    return _network(value) if kind not in shown or re.fullmatch(shown[kind], value) else ""


def promote(ada: ActorService, declared: str = DECLARED) -> None:
    nb = text(notebook("a = 1", parameters=declared))
    ada.promote(Promotion(name="report", notebook=nb, agreed=["break_triggers"]))


@pytest.fixture
def schedule(ada: ActorService) -> Schedule:
    promote(ada)
    return ada.schedule(ScheduleRequest(job="report", parameters=GIVEN, cron="0 3 * * *", tz="UTC"))


def stored(ledger: Ledger) -> dict[str, Any]:
    """Return what the one schedule gives its runs, secrets in clear."""
    with ledger.context.database.session() as session:
        (row,) = session.query(ScheduleRow).all()
        return dict(row.parameters)


def change(browse: Browse, schedule: Schedule, **typed: str | None) -> Any:
    """Send the form that changes a schedule as it is shown, but for some fields; None takes one out."""
    page = browse("GET", f"{PAGE}?edit={schedule.id}")
    fields = Form(page.text, f"{schedule.id}/change").fields
    assert fields
    fields |= {name.replace("__", ":"): value for name, value in typed.items() if value is not None}
    for name in [name.replace("__", ":") for name, value in typed.items() if value is None]:
        del fields[name]
    return browse("POST", f"{PAGE}/schedules/{schedule.id}/change", fields)


def test_a_form_that_nobody_touched_keeps_every_value_as_it_is(browse, ada, ledger, schedule):
    before = stored(ledger)
    assert before["password"] == "tr0ub4dor"
    assert change(browse, schedule, cron="0 4 * * *").status_code == 303
    assert stored(ledger) == before
    assert repr(stored(ledger)) == repr(before), "types as well"
    assert ada.job("report").schedules[0].cron == "0 4 * * *"


def test_no_page_shows_a_secret_value(browse, ada, schedule):
    for path in (PAGE, f"{PAGE}?edit={schedule.id}"):
        page = browse("GET", path).text
        assert "tr0ub4dor" not in page
        assert "hunter2-default" not in page
    refused = change(browse, schedule, cron="nonsense")
    assert refused.status_code == 422
    assert "tr0ub4dor" not in refused.text


def test_one_value_is_changed_and_the_others_stay(browse, ledger, schedule):
    assert change(browse, schedule, parameter__rate="0.75").status_code == 303
    assert stored(ledger) == {**GIVEN, "rate": 0.75}


def test_an_emptied_field_takes_the_default_again(browse, ledger, schedule):
    assert (
        change(browse, schedule, parameter__region="", parameter__name="", none__note=None).status_code == 303
    )
    assert stored(ledger) == {
        name: value for name, value in GIVEN.items() if name not in ("region", "name", "note")
    }


def test_a_secret_is_replaced_by_what_is_typed_and_taken_away_by_its_box(browse, ledger, schedule):
    assert change(browse, schedule, parameter__password="correct horse").status_code == 303
    assert stored(ledger)["password"] == "correct horse"
    both = change(browse, schedule, parameter__password="x", default__password="yes")
    assert both.status_code == 422
    assert "is given in two ways" in both.text
    assert change(browse, schedule, default__password="yes").status_code == 303
    assert "password" not in stored(ledger)


def test_a_form_that_adds_a_schedule_gives_it_parameters(browse, ada, ledger):
    promote(ada)
    fields = Form(browse("GET", PAGE).text, "/schedules").fields
    assert "parameter:respawn_logical_date" not in fields, "each run is given its due time"
    fields |= {**TIMES, "parameter:rows": "7", "parameter:password": "s3cr3t-of-it", "none:note": "yes"}
    assert browse("POST", f"{PAGE}/schedules", fields).status_code == 303
    assert stored(ledger) == {"rows": 7, "password": "s3cr3t-of-it", "note": None}
    page = browse("GET", PAGE).text
    listed = page[page.index('id="schedules"') : page.index('id="new-schedule"')]
    assert re.findall(r"<dt><code[^>]*>(\w+)</code></dt> <dd[^>]*>([^<]*)<", unescape(listed)) == [
        ("rows", "7"), ("password", "[secret]"), ("note", "null"),
    ]  # fmt: skip


def test_a_wrong_value_is_told_at_its_field_and_what_was_typed_stays(browse, ada, ledger, schedule):
    answer = change(browse, schedule, cron="0 5 * * *", parameter__rows="many", parameter__name="typed")
    assert answer.status_code == 422
    field = re.search(r'<input[^>]*name="parameter:rows" [^>]*>', answer.text[answer.text.index("/change") :])
    assert field
    assert 'aria-invalid="true"' in field[0]
    assert f"{schedule.id}-p1-problem" in field[0]
    assert 'value="many"' in field[0]
    again = Form(answer.text, f"{schedule.id}/change").fields
    assert (again["cron"], again["parameter:name"]) == ("0 5 * * *", "typed")
    assert stored(ledger) == GIVEN
    again["parameter:rows"] = "3"
    assert browse("POST", f"{PAGE}/schedules/{schedule.id}/change", again).status_code == 303
    assert stored(ledger) == {**GIVEN, "rows": 3, "name": "typed"}


def test_a_schedule_that_is_there_already_is_told_on_the_page(browse, ada, schedule):
    other = ada.schedule(ScheduleRequest(job="report", parameters={}, cron="0 3 * * *", tz="UTC"))
    fields = Form(browse("GET", PAGE).text, "/schedules").fields
    again = browse("POST", f"{PAGE}/schedules", {**fields, **TIMES})
    assert again.status_code == 409
    assert f"has that schedule already: {other.id}" in unescape(again.text)
    assert Form(again.text, "/schedules").fields["cron"] == "0 3 * * *"
    assert len(ada.job("report").schedules) == 2


def test_what_the_notebook_takes_no_longer_is_said_and_goes_when_the_form_is_saved(browse, ada, ledger):
    promote(ada, "old = 1\nother = 2")
    made = ada.schedule(ScheduleRequest(job="report", parameters={"old": 5}, cron="0 3 * * *", tz="UTC"))
    promote(ada, "new = 1")
    page = unescape(browse("GET", f"{PAGE}?edit={made.id}").text)
    assert "The notebook takes no <code>old</code> (<code>5</code>)" in page
    assert change(browse, made, parameter__new="6").status_code == 303
    assert stored(ledger) == {"new": 6}


def test_a_choice_that_is_none_any_more_is_not_changed_silently(browse, ada, ledger):
    promote(ada, 'from typing import Literal\nregion: Literal["eu", "us"] = "eu"')
    made = ada.schedule(
        ScheduleRequest(job="report", parameters={"region": "us"}, cron="0 3 * * *", tz="UTC")
    )
    promote(ada, 'from typing import Literal\nregion: Literal["eu", "asia"] = "eu"')
    answer = change(browse, made, cron="0 4 * * *")
    assert answer.status_code == 422
    assert "expected one of eu, asia" in unescape(answer.text)
    assert stored(ledger) == {"region": "us"}


def test_a_page_that_is_older_than_a_parameter_keeps_its_value(browse, ada, ledger):
    promote(ada, "rows = 1")
    made = ada.schedule(ScheduleRequest(job="report", parameters={"rows": 5}, cron="0 3 * * *", tz="UTC"))
    fields = Form(browse("GET", f"{PAGE}?edit={made.id}").text, f"{made.id}/change").fields
    promote(ada, "rows = 1\nlater = 2")
    at_once = ada.schedule(ScheduleRequest(job="report", cron="0 9 * * *", tz="UTC"))
    ada.unschedule(at_once.id)
    with ledger.context.database.session(write=True) as session:
        session.query(ScheduleRow).one().parameters = {"rows": 5, "later": 9}
    assert (
        browse("POST", f"{PAGE}/schedules/{made.id}/change", {**fields, "cron": "0 4 * * *"}).status_code
        == 303
    )
    assert stored(ledger) == {"rows": 5, "later": 9}


def test_a_form_without_fields_for_parameters_leaves_them(browse, ledger, schedule):
    there = f"{PAGE}/schedules/{schedule.id}/change"
    assert browse("POST", there, {"cron": "0 4 * * *", "tz": "UTC", "missed": "latest"}).status_code == 303
    assert stored(ledger) == GIVEN


def test_long_values_are_cut_and_many_are_folded_in_the_list(browse, ada):
    names = [f"p{number}" for number in range(9)]
    promote(ada, "\n".join(f'{name} = ""' for name in names))
    ada.schedule(
        ScheduleRequest(job="report", parameters=dict.fromkeys(names, "x" * 500), cron="0 3 * * *", tz="UTC")
    )
    page = browse("GET", PAGE).text
    assert "x" * 58 in page
    assert "x" * 60 not in page
    assert "<summary>5 more</summary>" in page
