"""What cells took, and that one is blocked, as the pages, the command and the metrics show it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from respawn_hub.monitoring.metrics import Metrics
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.cli.entry import run_command
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.cell_cost import CellCost
from respawn_jobs.model.runs import CellState
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import signed_in

SMALL = CellCost(cpu_seconds=0.04, memory_bytes=80 << 20, read_bytes=1_200, written_bytes=90)
LARGE = CellCost(cpu_seconds=75.2, memory_bytes=2355 << 20, read_bytes=201 << 17, written_bytes=450 << 10)
SINCE = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(prepared_data(tmp_path / "data"))
    yield ledger
    ledger.close()


@pytest.fixture
def runner(ledger: Ledger) -> PlayedRunner:
    """Of a run of three cells, which has begun."""
    ada = ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", "b = load()", "wait()"))))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    return runner


@pytest.fixture
def browse(ledger: Ledger, tmp_path: Path) -> Callable[[str], str]:
    browser = signed_in(ledger, tmp_path)
    return lambda path: browser.ask("GET", f"/services/respawn/{path}").text


def executed(runner: PlayedRunner, index: int, cost: CellCost | None) -> None:
    runner.port.record([runner.event(index, CellState.EXECUTED, seconds=1.5, cost=cost)])


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def header(page: str, index: int) -> str:
    return words(page[page.index(f'id="cell-{index}"') :].partition("</header>")[0])


def test_each_cell_says_what_it_took_and_the_run_what_all_did(browse, runner):
    executed(runner, 0, SMALL)
    executed(runner, 1, LARGE)
    page = browse(f"runs/{runner.run}")
    assert "1.5 s CPU 0.0 s memory 80 MiB " in header(page, 0)
    assert "read" not in header(page, 0)
    assert "1.5 s CPU 1 min 15 s memory 2.3 GiB read 25.1 MiB wrote 450 KiB " in header(page, 1)
    facts = words(page[page.index('class="facts"') :].partition("</dl>")[0])
    assert "CPU 1 min 15 s Peak memory 2.3 GiB Read 25.1 MiB Wrote 450 KiB " in facts


def test_cells_that_nobody_measured_say_their_time_alone(browse, runner, ledger):
    executed(runner, 0, None)
    page = browse(f"runs/{runner.run}")
    assert "1.5 s" in header(page, 0)
    assert "CPU" not in words(page)
    assert "memory" not in words(page)


def test_a_blocked_cell_is_told_by_the_page_and_the_metric_until_it_ends(browse, runner, ledger):
    runner.port.record([runner.event(2, CellState.RUNNING, started_at=SINCE, blocked_since=SINCE)])
    page = browse(f"runs/{runner.run}")
    assert "blocked No sign of life for" in re.sub(r"wait\(\)", "", header(page, 2)).replace("  ", " ")
    assert "Cell 2 is blocked: no sign of life for" in words(page)
    assert b"respawn_blocked_cells 1.0" in Metrics(ledger.operations().figures).text()
    runner.port.record([runner.event(2, CellState.EXECUTED, seconds=1.5)])
    assert "blocked" not in words(browse(f"runs/{runner.run}"))
    assert b"respawn_blocked_cells 0.0" in Metrics(ledger.operations().figures).text()


def test_a_blocked_cell_whose_runner_is_lost_is_blocked_no_more(runner, ledger):
    runner.port.record([runner.event(2, CellState.RUNNING, started_at=SINCE, blocked_since=SINCE)])
    ledger.lose(runner.attempt, "its machine is gone")
    ended = ledger.as_actor(Actor.owner("ada")).show(runner.run)
    assert ended.cells[2].state is CellState.FAILED
    assert ended.cells[2].blocked_since is None


def test_the_command_shows_what_cells_took(runner, tmp_path, monkeypatch, capsys):
    executed(runner, 0, SMALL)
    runner.port.record([runner.event(2, CellState.RUNNING, started_at=SINCE, blocked_since=SINCE)])
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("RESPAWN_URL", raising=False)
    assert run_command(["show", runner.run]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"cell +state +took +cpu +memory +read +written +checkpoint", shown)
    assert re.search(r"0 +executed +1\.50 s +0\.04 s +80 MiB +1\.17 KiB +90 B", shown)
    assert "blocked: no sign of life since" in shown
