"""`respawn promote`, `versions`, `diff` and `schedule` on an embedded store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_jobs.api.versions import RUN_ANYHOW
from respawn_jobs.cli.run.jobs import promote
from support.notebooks import notebook, text


@pytest.fixture
def respawn(command):
    """A store with a job."""
    for name, code in (("report", "a = 1\nb = 2"), ("other", "a = 1\nb = 3")):
        Path(f"{name}.ipynb").write_text(text(notebook(code)))
    assert command("promote", "report.ipynb", "--name", "report")[0] == 0
    return command


def test_the_same_notebook_again_is_told_as_unchanged(respawn):
    status, out, _ = respawn("promote", "report.ipynb", "--name", "report")
    assert (status, out.split(" of ")[0]) == (0, "unchanged: version 1")
    assert out.endswith("has the same notebook already\n")


def test_another_notebook_is_refused_without_a_terminal_until_that_is_agreed(respawn):
    take_over = ("promote", "other.ipynb", "--name", "report")
    status, _, err = respawn(*take_over)
    assert status == 2
    assert "other.ipynb would take the job over" in err
    assert "--agree take_over" in err
    status, out, _ = respawn(*take_over, "--agree", "take_over")
    assert status == 0
    assert "becomes version 2, differs from version 1 in 1 cell" in out


def test_all_that_a_promotion_asks_can_be_agreed_to_beforehand():
    (agree,) = [option for option in promote.params if option.name == "agree"]
    assert tuple(agree.type.choices) == RUN_ANYHOW


def test_a_dry_run_shows_the_difference_and_changes_nothing(respawn):
    status, out, _ = respawn("promote", "other.ipynb", "--name", "report", "--dry-run")
    assert (status, "- b = 2" in out, "+ b = 3" in out, "asks (take_over)" in out) == (0, True, True, True)
    told = json.loads(respawn("promote", "other.ipynb", "--name", "report", "--dry-run", "--json")[1])
    assert (told["outcome"], told["version"], told["current"]) == ("new_version", 2, 1)
    assert len(json.loads(respawn("versions", "report", "--json")[1])) == 1


def test_versions_are_listed_brought_back_and_compared(respawn):
    respawn("promote", "other.ipynb", "--name", "report", "--agree", "take_over")
    assert "2 (current)" in respawn("versions", "report")[1]
    assert respawn("versions", "report", "--show", "1", "-o", "old.ipynb")[0] == 0
    assert Path("old.ipynb").read_bytes() == Path("report.ipynb").read_bytes()
    assert respawn("versions", "report", "--show", "1")[1] == Path("report.ipynb").read_text()
    status, out, _ = respawn("diff", "report", "1", "2")
    assert (status, "- b = 2" in out, "+ b = 3" in out) == (0, True, True)
    assert respawn("diff", "report", "1", "7")[0] == 2


def test_a_schedule_is_changed_and_not_doubled(respawn):
    add = ("schedule", "add", "report", "--cron", "30 3 * * *")
    made = json.loads(respawn(*add, "--json")[1])["schedule"]["id"]
    status, _, err = respawn(*add)
    assert (status, made in err) == (2, True)
    status, out, _ = respawn("schedule", "change", "report", made, "--cron", "0 4 * * *")
    assert (status, "0 4 * * *" in out) == (0, True)


def test_the_table_of_schedules_shows_what_they_give_without_secrets(respawn):
    declared = 'note = ""\npassword = ""\nrows = 1\nlast = 1\nmore = 1'
    Path("given.ipynb").write_text(text(notebook("a = 1", parameters=declared)))
    respawn("promote", "given.ipynb", "--name", "given")
    given = [
        ("note", "[bold]" + "x" * 100),
        ("password", "tr0ub4dor"),
        ("rows", "2"),
        ("last", "3"),
        ("more", "4"),
    ]
    options = [part for name, value in given for part in ("-p", name, value)]
    assert respawn("schedule", "add", "given", "--cron", "30 3 * * *", *options)[0] == 0
    status, out, _ = respawn("schedule", "list", "given")
    assert status == 0
    assert "tr0ub4dor" not in out
    assert 'note="[bold]xxxx' in out
    assert "x" * 40 not in out
    assert 'password="[secret]", rows=2, ' in out
    assert out.rstrip().endswith("and 1 more")
