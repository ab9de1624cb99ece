"""`respawn job …` and `respawn remove` on an embedded store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.notebooks import notebook, text


@pytest.fixture
def respawn(command):
    """A store with a job of two versions."""
    for code in ("a = 1", "a = 2"):
        Path("report.ipynb").write_text(text(notebook(code)))
        assert command("promote", "report.ipynb", "--name", "report")[0] == 0
    return command


def listed(respawn, *options):
    return [job["name"] for job in json.loads(respawn("jobs", "--json", *options)[1])]


def test_a_job_is_renamed_and_found_by_its_former_name(respawn):
    status, out, _ = respawn("job", "rename", "report", "nightly")
    assert status == 0
    assert out.endswith("/nightly is its name now\n")
    assert listed(respawn) == ["nightly"]
    assert respawn("versions", "report")[0] == 0


def test_a_job_is_archived_restored_and_removed_only_from_the_archive(respawn):
    status, _, err = respawn("job", "remove", "report", "--yes")
    assert status != 0
    assert "archive" in err
    assert respawn("job", "archive", "report")[0] == 0
    assert (listed(respawn), listed(respawn, "--archived")) == ([], ["report"])
    assert respawn("job", "restore", "report")[0] == 0
    assert listed(respawn) == ["report"]
    assert respawn("job", "archive", "report")[0] == 0
    assert respawn("job", "remove", "report", "--yes")[0] == 0
    assert listed(respawn, "--archived") == []


def test_the_version_that_runs_is_chosen_and_another_is_removed(respawn):
    status, out, _ = respawn("job", "use", "report", "1")
    assert (status, out.endswith("use version 1\n")) == (0, True)
    status, _, err = respawn("job", "remove-version", "report", "1", "--yes")
    assert status != 0
    assert "current" in err
    assert respawn("job", "remove-version", "report", "2", "--yes")[0] == 0


@pytest.mark.parametrize(
    "words",
    [("job", "remove", "report"), ("job", "remove-version", "report", "1"), ("remove", "run-aaaaaaaaaa")],
)
def test_nothing_is_removed_where_there_is_nobody_to_ask(respawn, words):
    respawn("job", "use", "report", "2")
    respawn("job", "archive", "report")
    status, _, err = respawn(*words)
    assert status == 2
    assert "agree with --yes" in err
    assert listed(respawn, "--archived") == ["report"]


def test_a_run_that_is_not_there_cannot_be_removed(respawn):
    status, _, err = respawn("remove", "run-aaaaaaaaaa", "--yes")
    assert status != 0
    assert "run-aaaaaaaaaa" in err
