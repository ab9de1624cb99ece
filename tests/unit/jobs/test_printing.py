"""Tables of the command fit the terminal: what must stay in one piece does, while there is room for it."""

from __future__ import annotations

import re

import pytest

from respawn_jobs.cli.common import printing

COLUMNS = ["job", "version", "last run", "schedules"]
LAST = "timed out 2026-11-29 07:15:31"
ROWS = [["user/ada/a-job-with-a-rather-long-name-that-somebody-typed", "12", LAST, "30 4 * * 1-5, 0 0 * * *"]]


def printed(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    printing.table(COLUMNS, ROWS)
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("width", [40, 60, 79, 80, 120, 200])
def test_every_column_is_shown_and_no_line_is_wider_than_the_terminal(width, monkeypatch, capsys):
    lines = printed(width, monkeypatch, capsys)
    assert all(len(line) <= width for line in lines)
    starts = [lines[0].index(column) for column in COLUMNS]
    for cell, start, end in zip(ROWS[0], starts, [*starts[1:], width], strict=True):
        shown = "".join(line[start:end] for line in lines[1:])
        assert shown.replace(" ", "") == cell.replace(" ", "")


@pytest.mark.parametrize("width", [80, 120])
def test_states_with_their_times_stay_in_one_piece_where_there_is_room(width, monkeypatch, capsys):
    assert any(LAST in line for line in printed(width, monkeypatch, capsys))


def test_what_another_program_reads_is_one_line_for_each_row(capsys):
    printing.table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(cell in lines[1] for cell in ROWS[0])
