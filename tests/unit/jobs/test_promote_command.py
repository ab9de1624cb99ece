"""`respawn promote`, `versions`, `diff` and `schedule --change` on an embedded store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_jobs.cli.promoting import promote
from respawn_jobs.service_versions import RUN_ANYHOW
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
    add = ("schedule", "report", "--cron", "30 3 * * *")
    made = json.loads(respawn(*add, "--json")[1])["schedule"]["id"]
    status, _, err = respawn(*add)
    assert (status, made in err) == (2, True)
    status, out, _ = respawn("schedule", "report", "--change", made, "--cron", "0 4 * * *")
    assert (status, "0 4 * * *" in out) == (0, True)


def test_a_notebook_that_is_only_run_is_asked_nothing(respawn):
    Path("elsewhere").mkdir()
    Path("elsewhere/report.ipynb").write_text(Path("other.ipynb").read_text())
    told = [
        json.loads(respawn("run", path, "--json")[1]) for path in ("report.ipynb", "elsewhere/report.ipynb")
    ]
    assert [(run["job"].rpartition("/")[2], run["state"]) for run in told] == [("~report", "succeeded")] * 2
