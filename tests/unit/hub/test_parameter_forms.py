"""The fields for parameters on a job's page: the right control each, and what is wrong told at the field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from nbformat import v4

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import CellError, CellState
from respawn_jobs.notebook.document import read_notebook, write_notebook
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import signed_in

PAGE = "/services/respawn/jobs/user/ada/report"
DECLARED = """\
from datetime import date, datetime, timezone
from typing import Literal, Optional
rows: int = 100  # how many
rate: float = 0.5
name: str = "x"
region: Literal["eu", "us"] = "eu"
flag: bool = True
maybe: Optional[bool] = None
note: Optional[str] = "a"
day: date = date(2026, 1, 1)
at: datetime = datetime(2026, 1, 1)
zoned: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)
columns: list[str] = ["a"]
password: str = "hunter2-hunter2"
twice = rows * 2
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", parameters=DECLARED))))
    yield ledger
    ledger.close()


@pytest.fixture
def browse(ledger: Ledger, tmp_path: Path) -> Callable[..., httpx.Response]:
    """Ask for something as ada's browser does, signed in; no loop runs."""
    browser = signed_in(ledger, tmp_path)

    def ask(method: str, path: str, **options: Any) -> httpx.Response:
        return browser.ask(method, path, form=options.pop("data", None), **options)

    return ask


def sent(browse: Callable[..., httpx.Response], **values: str) -> httpx.Response:
    data = {name if ":" in name else f"parameter:{name}": value for name, value in values.items()}
    return browse("POST", f"{PAGE}/run", data=data)


def control(page: str, name: str) -> str:
    """Return the opening tag of a field's control, with its attributes on one line."""
    found = re.search(rf'<(?:input|select|textarea)[^>]*name="parameter:{name}"[^>]*>', page)
    assert found, name
    return unescape(" ".join(found[0].split()))


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("rows", ['type="number"', 'step="1"', 'placeholder="100"', 'aria-describedby="p1-help"']),
        ("rate", ['type="number"', 'step="any"']),
        ("name", ['type="text"', 'placeholder="x"']),
        ("region", ["<select"]),
        ("flag", ["<select"]),
        ("day", ['type="date"']),
        ("at", ['type="datetime-local"']),
        ("zoned", ['type="text"']),
        ("columns", ["<textarea", 'placeholder="["a"]"']),
        ("password", ['type="password"', 'autocomplete="new-password"', 'placeholder="default"']),
    ],
)
def test_each_type_has_its_control(browse, name, has):
    page = browse("GET", PAGE).text
    for part in has:
        assert part in control(page, name)


def test_choices_are_options_and_a_secret_default_is_nowhere(browse):
    page = browse("GET", PAGE).text
    region = page[page.index('name="parameter:region"') :]
    assert re.findall(r"<option[^>]*>([^<]*)", region[: region.index("</select>")]) == [
        "default (eu)",
        "eu",
        "us",
    ]
    maybe = page[page.index('name="parameter:maybe"') :]
    assert re.findall(r"<option[^>]*>([^<]*)", maybe[: maybe.index("</select>")]) == [
        "default (None)", "True", "False", "None",
    ]  # fmt: skip
    assert "rows * 2" in page
    assert "hunter2" not in page


def test_none_can_be_given_to_what_may_be_none(browse, ledger):
    assert 'name="none:note"' in browse("GET", PAGE).text
    assert 'name="none:rows"' not in browse("GET", PAGE).text
    assert sent(browse, **{"none:note": "yes", "maybe": "None", "rows": "5"}).status_code == 303
    run = ledger.as_actor(Actor.owner("ada")).runs()[0]
    assert run.parameters == {"note": None, "maybe": None, "rows": 5}


def test_the_empty_text_is_given_by_its_box_and_an_empty_field_gives_nothing(browse, ledger):
    page = browse("GET", PAGE).text
    assert 'name="empty:name"' in page
    assert 'name="empty:rows"' not in page
    assert sent(browse, **{"empty:name": "yes", "note": ""}).status_code == 303
    assert ledger.as_actor(Actor.owner("ada")).runs()[0].parameters == {"name": ""}


@pytest.mark.parametrize("box", ["none:note", "empty:note"])
def test_a_value_and_a_box_that_contradict_each_other_are_refused_at_the_field(browse, ledger, box):
    answer = sent(browse, **{box: "yes", "note": "typed"})
    assert answer.status_code == 422
    assert "is given in two ways" in answer.text
    assert 'value="typed"' in control(answer.text, "note")
    ticked = re.search(rf'<input[^>]*name="{box}"[^>]*>', answer.text)
    assert ticked, box
    assert "checked" in ticked[0]
    assert ledger.as_actor(Actor.owner("ada")).runs() == []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("region", "asia", "one of eu, us"),
        ("day", "2026-02-30", "a date such as"),
        ("rows", "five", "expected int"),
        ("columns", "a,b", "expected list"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(browse, name, text, says):
    values = {"rate": "0.25", name: text}
    answer = sent(browse, **values)
    assert answer.status_code == 422
    field = control(answer.text, name)
    assert 'aria-invalid="true"' in field
    assert "autofocus" in field
    number = re.search(r'id="(p\d+)"', field)[1]
    told = re.search(rf'id="{number}-problem">([^<]*)', answer.text)[1]
    assert says in unescape(told)
    assert f"{number}-problem" in re.search(r'aria-describedby="([^"]*)"', field)[1]
    assert 'value="0.25"' in control(answer.text, "rate")
    assert answer.text.count("parameter &#39;") == 1


def test_a_secret_is_shown_as_such_wherever_the_run_is(browse, ledger):
    assert sent(browse, password="sesame-sesame").status_code == 303
    run = ledger.as_actor(Actor.owner("ada")).runs()[0]
    assert run.parameters == {"password": "[secret]"}
    page = browse("GET", f"/services/respawn/runs/{run.id}").text
    assert "[secret]" in page
    assert "sesame" not in page


@pytest.mark.parametrize("form", ["run", "schedules"])
def test_a_refused_form_that_is_opened_again_leads_back_to_its_page(browse, form):
    answer = browse("GET", f"{PAGE}/{form}")
    assert answer.status_code == 303
    assert answer.headers["location"] == PAGE


@pytest.mark.parametrize("form", ["cancel", "retry", "pin"])
def test_so_does_one_of_a_run(browse, ledger, form):
    run = ledger.as_actor(Actor.owner("ada")).run(RunRequest(job="report")).id
    answer = browse("GET", f"/services/respawn/runs/{run}/{form}")
    assert answer.headers["location"] == f"/services/respawn/runs/{run}"


def test_a_cell_that_a_cancel_stopped_did_not_fail(browse, ledger):
    ada = ledger.as_actor(Actor.owner("ada"))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    runner.port.record([runner.event(1, CellState.FAILED)])
    error = CellError(cell=1, name="Cancelled", value="the run was cancelled")
    runner.port.finish(Outcome(state="cancelled", error=error))
    page = browse("GET", f"/services/respawn/runs/{runner.assignment.run}").text
    cell = page[page.index('id="cell-1"') :]
    assert "cancelled" in cell[: cell.index("</header>")]
    assert "failed" not in re.findall(r'class="badge[^>]*>([^<]*)', page)


def test_an_added_cell_is_left_out_by_its_tick_after_its_plan_was_shown(browse, ledger):
    ada = ledger.as_actor(Actor.owner("ada"))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    nb = read_notebook(ada.debug(runner.run).notebook)
    nb.cells[1].source = "a = 2"
    nb.cells.insert(1, v4.new_code_cell("print(rows)", id="look"))
    address = f"/services/respawn/runs/{runner.run}/resume"
    page = browse(
        "POST", address, data={"button": "plan"}, files={"notebook": ("n.ipynb", write_notebook(nb))}
    ).text
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    assert form["offered"] == "look"
    # The first press shows the plan without the cell; only the second one starts it.
    page = browse("POST", address, data={**form, "button": "start"}).text
    assert "scratch, left out" in page
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    answer = browse("POST", address, data={**form, "button": "start"})
    assert answer.status_code == 303
    stored = read_notebook(ledger.blobs.get(ada.versions("report")[0].notebook).decode())
    assert [cell.source for cell in stored.cells[1:]] == ["a = 2"]
