"""`respawn run` of a promoted job and of a notebook beside it, on an embedded store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.notebooks import notebook, text

pytestmark = pytest.mark.integration


@pytest.mark.long
def test_a_version_that_is_not_current_is_run_once(command):
    for code in ("a = 1", "a = 2"):
        Path("report.ipynb").write_text(text(notebook(code)))
        assert command("promote", "report.ipynb", "--name", "report")[0] == 0
    report = json.loads(command("run", "report", "--version", "1", "--json")[1])
    assert (report["state"], report["version"]) == ("succeeded", 1)
    assert json.loads(command("run", "report", "--json")[1])["version"] == 2
    status, _, err = command("run", "report", "--version", "7")
    assert status != 0
    assert "has no version 7" in err
    status, _, err = command("run", "report.ipynb", "--version", "1")
    assert status != 0
    assert "--version belongs to jobs" in err


def test_a_notebook_that_is_only_run_is_asked_nothing(command):
    for name, code in (("report", "a = 1\nb = 2"), ("other", "a = 1\nb = 3")):
        Path(f"{name}.ipynb").write_text(text(notebook(code)))
    assert command("promote", "report.ipynb", "--name", "report")[0] == 0
    Path("elsewhere").mkdir()
    Path("elsewhere/report.ipynb").write_text(Path("other.ipynb").read_text())
    told = [
        json.loads(command("run", path, "--json")[1]) for path in ("report.ipynb", "elsewhere/report.ipynb")
    ]
    assert [(run["job"].rpartition("/")[2], run["state"]) for run in told] == [("~report", "succeeded")] * 2
