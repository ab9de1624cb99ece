"""`respawn backfill` and `respawn schedule add --missed` on an embedded store."""

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


JANUARY = ("report", "--from", "2026-01-01", "--to", "2026-01-31")


def test_a_backfill_is_previewed_started_listed_and_stopped(respawn, capsys):
    status, seen = respawn("backfill", "preview", *JANUARY, "--every", "day")
    assert (status, seen["total"]) == (0, 31)
    assert respawn("backfill", "list", "report") == (0, {"backfills": []})
    assert run_command(["backfill", "list", "report"]) == 0
    assert capsys.readouterr().out == "report has no backfill\n"
    times = ("--cron", "30 3 * * 1-5", "--tz", "Europe/Berlin")
    status, started = respawn("backfill", "start", *JANUARY, *times, "-p", "rows", "3")
    assert (status, started["total"], started["parallel"]) == (0, 22, 2)
    assert respawn("backfill", "show", started["id"]) == (0, started)
    status, stopped = respawn("backfill", "stop", started["id"], "--cancel")
    assert (status, stopped["id"], stopped["state"]) == (0, started["id"], "stopped")
    assert run_command(["backfill", "list", "report"]) == 0
    assert started["about"] in capsys.readouterr().out
    assert run_command(["backfill", "show", started["id"]]) == 0
    shown = capsys.readouterr().out
    assert (started["about"] in shown, "0 of 22 runs, 2 at a time" in shown) == (True, True)


def test_parameter_sets_come_from_json_and_csv_files(respawn):
    Path("sets.csv").write_text('rows,name,limits\n1,007,"[1, 2]"\n2,,\n')
    Path("sets.json").write_text('[{"rows": 5}, {}]')
    _, seen = respawn("backfill", "preview", "report", "--sets", "sets.csv")
    assert [item["parameters"] for item in seen["first"]] == [
        {"rows": 1, "name": "007", "limits": [1, 2]},
        {"rows": 2},
    ]
    _, seen = respawn("backfill", "preview", "report", "--sets", "sets.json", "-p", "rows", "9")
    assert [item["parameters"]["rows"] for item in seen["first"]] == [5, 9]


def test_wrong_calls_are_refused_and_nothing_is_kept(respawn):
    Path("odd.csv").write_text("rows,name\n1\n")
    Path("no.json").write_text('{"rows": 1}')
    Path("unfit.json").write_text('[{"rows": "x"}]')
    for arguments, says in (
        (("backfill", "start", *JANUARY, "--cron", "* * * * * *"), "seconds are not taken"),
        (("backfill", "start", *JANUARY), "has no schedule"),
        (("backfill", "start", "report", "--to", "2026-01-31", "--every", "day"), "first and the last date"),
        (("backfill", "start", "report", "--every", "day"), "say what to run"),
        (("backfill", "start", "report", "-p", "rows", "2"), "say what to run"),
        (("backfill", "preview", "report"), "say what to run"),
        (("backfill", "start", *JANUARY, "--every", "day", "--cancel"), "--cancel"),
        (("backfill", "stop", "bfl-x"), "no backfill bfl-x"),
        (("backfill", "show", "bfl-x"), "no backfill bfl-x"),
        (("backfill", "stop", "report", "bfl-x"), "unexpected extra argument"),
        (("backfill", "start", "report", "--sets", "odd.csv"), "line 2: 1 field; 2 are named"),
        (("backfill", "start", "report", "--sets", "no.json"), "not a list of parameter sets"),
        (("backfill", "start", "report", "--sets", "unfit.json"), "set 1: .*expected int"),
        (("schedule", "add", "report", "--missed", "all"), "--cron"),
        (("schedule", "add", "report", "--cron", "0 * * * *", "--max-missed", "3"), "to --missed all"),
    ):
        status, told = respawn(*arguments)
        assert status == 2
        assert re.search(says, told["message"])
    assert respawn("backfill", "list", "report")[1] == {"backfills": []}
    assert respawn("schedule", "list", "report")[1] == {"schedules": []}


def test_a_schedule_is_made_with_what_becomes_of_missed_times(respawn):
    missed = ("--missed", "all", "--max-missed", "20")
    _, made = respawn("schedule", "add", "report", "--cron", "0 * * * *", *missed)
    assert (made["schedule"]["missed"], made["schedule"]["max_missed"]) == ("all", 20)
