"""The page and the command show which files the cells of a run read and changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.cli.entry import run_command
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse

RUNS = "/services/respawn/runs"
NOON = 1_767_182_400_000_000_000  # 31 December 2025, 12:00 UTC, in nanoseconds


@pytest.fixture
def run(ledger: Ledger, ada: ActorService, tmp_path: Path) -> str:
    """A failed run: its first cell wrote two files, its second reads one of them, its third is a mystery."""
    home = str(tmp_path)
    source = notebook("a = 1", "b = a + 1", "c = 1", "1 / 0", parameters=None)
    ada.promote(Promotion(name="report", notebook=text(source), directory=home))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    made, table, old, outside = f"{home}/parts", f"{home}/parts/a.csv", f"{home}/old.csv", "/data/<b>.csv"
    runner.execute(
        0,
        evidence=CellEvidence(
            opened=(outside,),
            inputs=((outside, 2048, NOON),),
            written=(made, old, table),
            outputs=((made, -1, 0), (old, -2, 0), (table, 5, NOON)),
        ),
    )
    runner.execute(1, evidence=CellEvidence(opened=(table,), inputs=((table, 5, NOON),)))
    runner.execute(2, evidence=CellEvidence(overflow=True))
    runner.fail(3)
    return runner.run


def test_the_service_says_for_each_cell_what_it_read_and_how_it_left_what_it_changed(
    ada: ActorService, run: str, tmp_path: Path
) -> None:
    first, second, third = ada.files(run)
    assert [(one.path, one.size) for one in first.read] == [("/data/<b>.csv", 2048)]
    assert first.read[0].modified is not None
    assert first.read[0].modified.isoformat() == "2025-12-31T12:00:00+00:00"
    written = {Path(one.path).name: one for one in first.written}
    assert (written["parts"].directory, written["old.csv"].gone, written["a.csv"].size) == (True, True, 5)
    assert (second.cell, [one.path for one in second.read]) == (1, [f"{tmp_path}/parts/a.csv"])
    assert not first.more
    assert not second.written
    assert third.more


def test_the_page_names_files_by_the_runs_directory_and_the_cell_that_made_them(
    browse: Browse, run: str
) -> None:
    assert f'href="{RUNS}/{run}/files"' in browse("GET", f"{RUNS}/{run}").text
    page = browse("GET", f"{RUNS}/{run}/files").text
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)[1:]
    first, second, third = (" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows)
    assert "/data/&lt;b&gt;.csv" in first, "names are text"
    assert "old.csv removed" in first
    assert "2 KiB, changed" in first
    assert "parts/a.csv" in second
    assert ", by cell 0" in second
    assert "not all of its files were seen" in third


def test_a_run_without_files_says_so(browse: Browse, ledger: Ledger, ada: ActorService) -> None:
    ada.promote(Promotion(name="other", notebook=text(notebook("a = 1", "1 / 0", parameters=None))))
    waiting = ada.run(RunRequest(job="other")).id
    assert "No cell has ended yet." in browse("GET", f"{RUNS}/{waiting}/files").text
    runner = PlayedRunner(ledger, waiting)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    assert "No cell was seen to read or change a file." in browse("GET", f"{RUNS}/{waiting}/files").text


def test_the_command_lists_them(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_USER", "ada")
    monkeypatch.setenv("COLUMNS", "400")
    assert run_command(["files", run]) == 0
    listed = capsys.readouterr().out
    lines = [line.split() for line in listed.splitlines()]
    assert ["0", "changed", f"{tmp_path}/old.csv", "removed"] in lines, listed
    assert listed.endswith("not all files were seen of cell 2\n")
