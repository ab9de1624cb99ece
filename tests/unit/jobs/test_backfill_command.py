"""`respawn backfill` and `respawn schedule --missed` on an embedded store."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from respawn_jobs.cli.entry import run_command
from support.notebooks import notebook, text


@pytest.fixture
def respawn(capsys, tmp_path, monkeypatch):
    """Run a command line with `--json`; returns the exit status and the one document on stdout."""
    monkeypatch.chdir(tmp_path)

    def respawn(*arguments):
        capsys.readouterr()
        status = run_command([*arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    Path("report.ipynb").write_text(
        text(notebook("a = rows", parameters="rows: int = 1\nname: str = ''\nlimits: list = []"))
    )
    respawn("promote", "report.ipynb", "--name", "report")
    return respawn


JANUARY = ("backfill", "report", "--from", "2026-01-01", "--to", "2026-01-31")


def test_a_backfill_is_previewed_started_listed_and_stopped(respawn, capsys):
    status, seen = respawn(*JANUARY, "--every", "day", "--preview")
    assert (status, seen["total"]) == (0, 31)
    assert respawn("backfill", "report") == (0, {"backfills": []})
    status, started = respawn(*JANUARY, "--cron", "30 3 * * 1-5", "--tz", "Europe/Berlin", "-p", "rows", "3")
    assert (status, started["total"], started["parallel"]) == (0, 22, 2)
    status, stopped = respawn("backfill", "report", "--stop", started["id"], "--cancel")
    assert (status, stopped["backfills"][0]["state"]) == (0, "stopped")
    assert run_command(["backfill", "report"]) == 0
    assert started["about"] in capsys.readouterr().out


def test_parameter_sets_come_from_json_and_csv_files(respawn):
    Path("sets.csv").write_text('rows,name,limits\n1,007,"[1, 2]"\n2,,\n')
    Path("sets.json").write_text('[{"rows": 5}, {}]')
    _, seen = respawn("backfill", "report", "--sets", "sets.csv", "--preview")
    assert [item["parameters"] for item in seen["first"]] == [
        {"rows": 1, "name": "007", "limits": [1, 2]},
        {"rows": 2},
    ]
    _, seen = respawn("backfill", "report", "--sets", "sets.json", "-p", "rows", "9", "--preview")
    assert [item["parameters"]["rows"] for item in seen["first"]] == [5, 9]


def test_wrong_calls_are_refused_and_nothing_is_kept(respawn):
    Path("odd.csv").write_text("rows,name\n1\n")
    Path("no.json").write_text('{"rows": 1}')
    Path("unfit.json").write_text('[{"rows": "x"}]')
    for arguments, says in (
        ((*JANUARY, "--cron", "* * * * * *"), "seconds are not taken"),
        (JANUARY, "has no schedule"),
        (("backfill", "report", "--to", "2026-01-31", "--every", "day"), "first and the last date"),
        (("backfill", "report", "--preview"), "say what to run"),
        (("backfill", "report", "--cancel"), "--stop"),
        ((*JANUARY, "--stop", "bfl-x"), "stands alone"),
        (("backfill", "report", "--stop", "bfl-x"), "no backfill bfl-x"),
        (("backfill", "report", "--sets", "odd.csv"), "line 2: 1 fields; 2 are named"),
        (("backfill", "report", "--sets", "no.json"), "not a list of parameter sets"),
        (("backfill", "report", "--sets", "unfit.json"), "set 1: .*expected int"),
        (("schedule", "report", "--missed", "all"), "belong to --cron"),
        (("schedule", "report", "--cron", "0 * * * *", "--missed-most", "3"), "belongs to --missed all"),
    ):
        status, told = respawn(*arguments)
        assert status == 2
        assert re.search(says, told["message"])
    assert respawn("backfill", "report")[1] == {"backfills": []}
    assert respawn("schedule", "report")[1] == {"schedules": []}


def test_a_schedule_is_made_with_what_becomes_of_missed_times(respawn):
    _, made = respawn("schedule", "report", "--cron", "0 * * * *", "--missed", "all", "--missed-most", "20")
    assert (made["schedule"]["missed"], made["schedule"]["missed_most"]) == ("all", 20)
