"""Plans through the command: what was seen decides, strict ones, and a resume that never began."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from respawn_jobs.cli.entry import run_command
from support.lengths import quick
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration
Command = Callable[..., dict]
WATCHED = sys.version_info >= (3, 12)
"""Whether this Python tells which code runs."""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in an empty directory; returns its JSON document."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, status: int = 0) -> dict:
        assert run_command([*words, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return run


def failed(command: Command, cells: list[str], fixed: Mapping[int, str], *options: str) -> str:
    """The id of a run of `cells` that failed; `fixed.ipynb` has other sources in their place."""
    Path("report.ipynb").write_text(text(notebook(*cells)))
    edited = [fixed.get(place, source) for place, source in enumerate(cells)]
    Path("fixed.ipynb").write_text(text(notebook(*edited)))
    return str(command("run", "report.ipynb", *options, status=1)["run"])


@pytest.mark.long
def test_what_a_function_that_a_library_called_was_seen_to_read_is_told(command: Command) -> None:
    helper = "def apply(function, value):\n    return function(value)\n"
    Path("applying.py").write_text(helper)
    cells = [
        "import applying",
        "scale = 2",
        "handlers = {'f': lambda value: value * scale}",
        "total = applying.apply(handlers['f'], 21)",
        "1/0",
        "print(total)",
    ]
    run = failed(command, cells, {1: "scale = 10", 4: ""})
    plan = command("resume", run, "--notebook", "fixed.ipynb", "--plan")
    assert plan["cells"][3]["action"] == "run"
    assert "scale" in plan["cells"][3]["why"]
    marks = [cell["unwatched"] for cell in plan["cells"] if cell["action"] == "reuse" and cell["index"] > 1]
    assert all((mark is None) is WATCHED for mark in marks)
    ended = command("resume", run, "--notebook", "fixed.ipynb")
    cells = json.loads(Path(ended["notebook"]).read_text())["cells"]
    assert printed_by(cells[5]) == "210\n"


@pytest.mark.long
def test_a_strict_resume_runs_everything_from_the_first_change_on(command: Command) -> None:
    cells = ["a = 1", "b = 2", "open('ran', 'a').write('x')", "1/0"]
    run = failed(command, cells, {0: "a = 5", 3: ""})
    told = command("resume", run, "--notebook", "fixed.ipynb", "--plan", "--strict")
    assert (told["strict"], told["first"], told["rerun"]) == (True, 0, [])
    ended = command("resume", run, "--notebook", "fixed.ipynb", "--strict")
    assert [cell["state"] for cell in ended["cells"]] == ["executed"] * 4
    assert Path("ran").read_text() == "xx"


def test_a_job_whose_resumes_are_strict_says_so(command: Command) -> None:
    Path("report.ipynb").write_text(text(notebook("a = 1", "b = 2", "1/0")))
    Path("fixed.ipynb").write_text(text(notebook("a = 5", "b = 2", "c = 3")))
    command("promote", "report.ipynb", "--name", "strictly", "--strict-resume")
    run = command("run", "strictly", status=1)["run"]
    assert command("resume", run, "--notebook", "fixed.ipynb", "--plan")["first"] == 0
    lax = command("resume", run, "--notebook", "fixed.ipynb", "--plan", "--no-strict")
    assert (lax["strict"], lax["first"] == 0 and lax["rerun"] == []) == (False, False)


@pytest.mark.long
def test_a_run_whose_resume_could_not_restore_is_resumed_again(command: Command) -> None:
    Path("things.py").write_text("class Thing:\n    size = 7\n")
    cells = ["import things", "thing = things.Thing()", "1/0", "print(thing.size)"]
    run = failed(command, cells, {2: ""})
    Path("things.py").rename("away.py")
    ended = command("resume", run, "--notebook", "fixed.ipynb", status=1)
    assert ended["error"]["name"] == "RestoreFailed"
    Path("away.py").rename("things.py")
    again = command("resume", run, "--notebook", "fixed.ipynb")
    assert (again["state"], again["origin"]) == ("succeeded", run)


@pytest.mark.long
def test_inputs_that_changed_since_are_told(command: Command) -> None:
    Path("in.csv").write_text("a\n1\n")
    cells = ["rows = open('in.csv').read()", "1/0"]
    run = failed(command, cells, {1: "print(rows)"})
    Path("in.csv").write_text("a\n1\n2\n")
    plan = command("resume", run, "--notebook", "fixed.ipynb", "--plan")
    assert plan["cells"][0]["changed_inputs"] == ["in.csv has changed since (had 4 bytes, has 6)"]
    assert any("has read what is no longer the same" in notice for notice in plan["notices"])


@pytest.mark.long
@pytest.mark.parametrize("again", quick({1}, [0, 1]), ids=["first import", "import from the cache"])
def test_a_fix_in_a_module_beside_the_notebook_counts(command: Command, again: int) -> None:
    Path("cleaning.py").write_text("LIMIT = 1\ndef clean(rows): return [r for r in rows if r > LIMIT]\n")
    cells = [
        "import json, cleaning",
        "rate = json.loads('0.5')",
        "kept = cleaning.clean([1, 2, 3])",
        "assert len(kept) < 2, kept",
        "print(kept, cleaning.LIMIT, rate)",
    ]
    run = [failed(command, cells, {}, "--checkpoint-share", "1") for _ in range(again + 1)][-1]
    Path("cleaning.py").write_text("LIMIT = 2\ndef clean(rows): return [r for r in rows if r > LIMIT]\n#\n")
    plan = command("resume", run, "--notebook", "fixed.ipynb", "--plan")
    assert plan["cells"][0]["why"].startswith("cleaning.py has changed since")
    assert [cell["action"] for cell in plan["cells"][:3]] == ["run", "reuse", "run"], json.dumps(plan)
    ended = command("resume", run, "--notebook", "fixed.ipynb")
    cells = json.loads(Path(ended["notebook"]).read_text())["cells"]
    assert printed_by(cells[4]) == "[3] 2 0.5\n"
