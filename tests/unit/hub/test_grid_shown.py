"""A job's page has a grid of its latest runs and their cells."""

from __future__ import annotations

import re
from itertools import pairwise, permutations

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.cell_grid import MAX_CELLS
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.errors import Forbidden, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.differences.cell_grid import merged
from respawn_jobs.ledger.people.actor_service import ActorService
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse

JOB = "/services/respawn/jobs/user/ada/report"


def made(*sources: str, ids: str) -> str:
    """A notebook whose cells have the ids that the letters of `ids` are."""
    book = notebook(*sources, parameters=None)
    for cell, letter in zip(book.cells, ids, strict=True):
        cell["id"] = f"cell-{letter}"
    return text(book)


def play(ledger: Ledger, ada: ActorService, clock: MovedClock, *, fail: int | None = None) -> str:
    clock.forward(minutes=1)
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    for cell in ada.show(runner.run).cells:
        if cell.index == fail:
            runner.fail(cell.index)
            return runner.run
        clock.forward(seconds=2)
        runner.execute(cell.index)
    runner.succeed()
    return runner.run


def test_a_cell_keeps_its_row_when_others_come_above_it(
    ledger: Ledger, ada: ActorService, clock: MovedClock
) -> None:
    ada.promote(Promotion(name="report", notebook=made("a = 1", "c = 1", "old()", ids="aco")))
    first = play(ledger, ada, clock, fail=1)
    ada.promote(Promotion(name="report", notebook=made("a = 2", "\n\nb = 1", "c = 1", ids="abc")))
    second = play(ledger, ada, clock)
    grid = ada.cell_grid("report")
    assert [run.id for run in grid.runs] == [first, second]
    rows = {row.title: [cell and (cell.index, cell.state.value) for cell in row.cells] for row in grid.rows}
    assert rows == {
        "a = 2": [(0, "executed"), (0, "executed")],
        "b = 1": [None, (1, "executed")],
        "c = 1": [(1, "failed"), (2, "executed")],
        "old()": [(2, "skipped"), None],
    }
    assert list(rows) == ["a = 2", "b = 1", "c = 1", "old()"]
    assert [run.id for run in ada.cell_grid("report", before=second).runs] == [first]
    assert not ada.cell_grid("report", before=first).runs


def test_the_page_shows_it_once_there_are_two_runs_and_leads_to_each_cell(
    browse: Browse, ledger: Ledger, ada: ActorService, clock: MovedClock
) -> None:
    ada.promote(Promotion(name="report", notebook=made("a = 1", "b = '<i>'", "c = 1", ids="abc")))
    first = play(ledger, ada, clock, fail=2)
    assert "cell-grid" not in browse("GET", JOB).text
    resumed = PlayedRunner(ledger, ada.resume(first, ResumeRequest()).id)
    resumed.begin()
    resumed.execute(2)
    resumed.succeed()
    page = browse("GET", JOB).text
    squares = re.findall(r'<a tabindex="-1" class="grid-cell grid-(\w+) deep-\d" href="([^"]+)"', page)
    runs = "/services/respawn/runs"
    assert sorted(squares) == sorted(
        [
            *[("executed", f"{runs}/{first}#cell-{n}") for n in (0, 1)],
            ("failed", f"{runs}/{first}#cell-2"),
            *[("reused", f"{runs}/{resumed.run}#cell-{n}") for n in (0, 1)],
            ("executed", f"{runs}/{resumed.run}#cell-2"),
        ]
    )
    assert f"cell 2 of {first}: failed" in page
    assert "b = &#39;&lt;i&gt;&#39;" in page, "code is text"


def test_a_notebook_of_more_cells_than_a_grid_has_says_how_many_are_left_out(
    browse: Browse, ledger: Ledger, ada: ActorService, clock: MovedClock
) -> None:
    sources = [f"x{n} = 1" for n in range(MAX_CELLS + 3)]
    ada.promote(Promotion(name="report", notebook=text(notebook(*sources, parameters=None))))
    for _ in range(2):
        play(ledger, ada, clock, fail=0)
    grid = ada.cell_grid("report")
    assert (len(grid.rows), grid.left_out) == (MAX_CELLS, 3)
    page = browse("GET", JOB).text
    assert f"{MAX_CELLS + 3 - 100} further cells are not shown" in page
    assert len(page) < 600_000, "it is fetched every few seconds"


@pytest.mark.parametrize("older", [list(one) for one in permutations("abcd", 3)], ids="".join)
def test_all_ids_are_in_one_order_that_of_the_newest_first(older: list[str]) -> None:
    newest = ["a", "x", "c"]
    found = merged([newest, older])
    assert sorted(found) == sorted({*newest, *older})
    assert [one for one in found if one in newest] == newest
    for before, new in pairwise(older):
        if new not in newest:
            assert found[found.index(before) + 1] == new, "it follows the one that stood before it"


def test_the_grid_of_a_job_that_one_may_not_read_is_refused(ledger: Ledger, ada: ActorService) -> None:
    ada.promote(Promotion(name="report", notebook=made("a = 1", ids="a")))
    with pytest.raises((NotFound, Forbidden)):
        ledger.as_actor(Actor("eve", frozenset({"custom:respawn:edit!user=eve"}))).cell_grid(
            "user/ada/report"
        )
