"""`respawn resume` with other parameters and agreements, and what its plan prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_jobs.cli.entry import run_command
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration
CELLS = (
    "loans = [1, 2]",
    "totals = [x * rate for x in loans]",
    "it = iter(open('loans'))",
    "count = len(loans)",
)


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """A run with parameters whose last cell but one failed; another one needs what cannot be stored."""
    monkeypatch.chdir(tmp_path)
    Path("loans").write_text("first\n")
    nb = notebook(*CELLS, "1 / 0", "print(totals, next(it))", parameters="rate = 1")
    Path("loans.ipynb").write_text(text(nb))
    assert run_command(["run", "loans.ipynb", "-p", "rate", "2", "--json"]) == 1
    nb.cells[5].source = ""
    Path("fixed.ipynb").write_text(text(nb))
    return json.loads(capsys.readouterr().out)["run"]


def test_a_plan_says_for_each_cell_what_happens_and_why(
    failed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["resume", failed, "--notebook", "fixed.ipynb", "-p", "rate", "5", "--plan"]) == 0
    told = capsys.readouterr().out
    lines = {line.split()[0]: line for line in told.splitlines() if line[:1].isdigit()}
    assert "run" in lines["1"]
    assert "parameter rate changed" in lines["1"]
    assert "reuse" in lines["2"]
    assert "unchanged and finished" in lines["2"]
    assert "reads rate, which cell 1 makes" in lines["3"]
    assert "cannot restore" in lines["7"]
    assert "could not be stored" in lines["7"]
    assert "changed parameters: rate = 5" in told
    assert "--rerun-producers" in told


@pytest.mark.long
def test_a_resume_with_another_parameter_runs_what_depends_on_it(
    failed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--notebook", "fixed.ipynb", "-p", "rate", "5", "--rerun-producers", "--json"]
    assert run_command(["resume", failed, *given]) == 0
    told = json.loads(capsys.readouterr().out)
    states = [cell["state"] for cell in told["cells"]]
    assert (states[0], states[2], states[3], states[4]) == ("reused", "reused", "executed", "executed")
    cells = json.loads(Path(told["notebook"]).read_text())["cells"]
    assert "[5, 10] first" in printed_by(cells[7])


def test_a_parameter_that_does_not_fit_is_refused(failed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["resume", failed, "-p", "rat", "5", "--plan"]) == 2
    assert "did you mean rate?" in capsys.readouterr().err
