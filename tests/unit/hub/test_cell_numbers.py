"""One notebook with every kind of cell: all places call the cell that failed by the same number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest

from respawn_hub.notify.messages import rendered
from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.cli.common import printing
from respawn_jobs.debug.notebook import debug_notebook
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.notices.run_notices import described
from respawn_jobs.model.notices import Message
from respawn_jobs.model.runs import CellError, CellState
from respawn_jobs.store.tables import RunRow
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import signed_in

NUMBER = 6
"""Of `df.price`: behind prose, parameters, the cell that gives them, a raw cell, code, and prose."""
COUNT = 4


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    yield ledger
    ledger.close()


@pytest.fixture
def failed(ledger: Ledger) -> PlayedRunner:
    nb = notebook("md:# Prices", "df = load(day)", "md:Then", "df.price", "df.sum()", parameters="day = 1")
    nb.cells[0], nb.cells[1] = nb.cells[1], nb.cells[0]
    nb.cells.insert(2, nbformat.v4.new_raw_cell("raw", id="raw"))
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(nb)))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report", parameters={"day": 2})).id)
    runner.begin()
    assert runner.notebook.cells[NUMBER].source == "df.price"
    for count, index in enumerate((1, 2, 4), 1):
        runner.port.record([runner.event(index, CellState.EXECUTED, execution_count=count, seconds=1.0)])
    runner.port.record([runner.event(NUMBER, CellState.FAILED, execution_count=COUNT, seconds=0.1)])
    trace = f"Cell In[{COUNT}], line 1\n----> 1 df.price\nAttributeError: price"
    error = CellError(cell=NUMBER, name="AttributeError", value="price", traceback=trace)
    runner.port.finish(Outcome(state="failed", error=error))
    return runner


@pytest.fixture
def browse(ledger: Ledger, tmp_path: Path) -> Callable[[str], str]:
    """Return a page as ada's browser gets it; no loop runs."""
    browser = signed_in(ledger, tmp_path)

    def page(path: str) -> str:
        answer = browser.ask("GET", f"/services/respawn/{path}")
        assert answer.status_code == 200
        return answer.text

    return page


def numbers(words: str) -> set[int]:
    """Return the numbers of cells that a text names."""
    return {int(number) for number in re.findall(r"\bcell (\d+)", words, re.IGNORECASE)}


def test_the_runs_page_names_the_cell_and_says_which_its_execution_is(browse, failed):
    page = browse(f"runs/{failed.run}")
    alert = page[page.index('role="alert"') :]
    alert = alert[: alert.index("</div>")]
    assert f'href="#cell-{NUMBER}"' in alert
    assert numbers(alert) == {NUMBER}
    assert f"In[{COUNT}] is cell {NUMBER}" in page
    cell = page[page.index(f'id="cell-{NUMBER}"') :]
    assert f"Cell {NUMBER}<" in cell
    assert "df.price" in re.sub(r"<[^>]+>", "", cell[: cell.index("</article>")])
    assert "of 5 code cells" in page


def test_so_do_lists_and_the_plan(browse, failed, ledger):
    assert numbers(browse("")) == {NUMBER}
    plan = ledger.as_actor(Actor.owner("ada")).plan(failed.run, ResumeRequest())
    assert [cell.index for cell in plan.cells if cell.title == "df.price"] == [NUMBER]
    rows = re.findall(r"<tr.*?</tr>", browse(f"runs/{failed.run}/resume"), re.DOTALL)
    assert [row for row in rows if "df.price" in row and f'data-label="Cell">{NUMBER}<' in row]


def test_so_do_the_command_and_the_debug_notebook(failed, ledger, capsys):
    ada = ledger.as_actor(Actor.owner("ada"))
    printing.ending(ada.show(failed.run), None)
    said = capsys.readouterr().out
    assert f"In[{COUNT}] is cell {NUMBER}" in said
    assert f"cell {NUMBER}: AttributeError: price" in said
    opened = debug_notebook(ada.debug(failed.run))
    assert f"| **Cell** | {NUMBER}: `df.price`" in opened.cells[0].source
    own = [cell for cell in opened.cells if not (cell.metadata.get("respawn") or {}).get("role")]
    assert own[NUMBER].id == opened.metadata["respawn"]["failing_cell_id"]


def test_so_do_notices(failed, ledger):
    with ledger.context.database.session() as session:
        told = described(ledger.context, session, session.get_one(RunRow, failed.run), "UTC")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    message = Message(
        ids=(1,),
        channel="ops",
        kind="failure",
        namespace="user/ada",
        job="user/ada/report",
        items=(told,),
        at=at,
    )
    assert numbers(rendered(message, lambda path: f"https://hub/{path}")[1]) == {NUMBER}
