"""A further try, and a resume of a resume, mind what the tries before have done to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import ran
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration

MAKES, APART = "import os\nopen('log.txt', 'w').write('head\\n')", "apart = 1"
APPEND = "with open('log.txt', 'a') as file:\n    file.write('row\\n')"
DIES_ONCE = "if not os.path.exists('died'):\n    open('died', 'w').close()\n    os.kill(os.getpid(), 9)"
SHOWN = "print(open('log.txt').read().split(), apart)"
NOTHING_KEPT = {2: ["respawn:no-checkpoint"]}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, *cells: str) -> None:
    Path(name).write_text(text(notebook(*cells, tags=NOTHING_KEPT)))


def shown(run: dict) -> str:
    return printed_by(json.loads(Path(run["notebook"]).read_text())["cells"][4])


@pytest.mark.long
def test_a_try_that_begins_where_the_one_before_began_makes_files_again(newest_python: Path) -> None:
    """The resumed run finds nothing to make again; its first attempt appends, dies, and leaves no state."""
    write("report.ipynb", MAKES, APART, "1/0", "pass", SHOWN)
    write("fixed.ipynb", MAKES, APART, APPEND, DIES_ONCE, SHOWN)
    promoted = ["--name", "log", "--no-fork", "--checkpoint-share", "1", "--max-attempts", "2", "--retry"]
    ran(newest_python, "promote", "report.ipynb", *promoted, "cell_error=1")
    run = str(ran(newest_python, "run", "log", status=1)["run"])
    ended = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb")
    assert shown(ended) == "['head', 'row'] 1\n"


@pytest.mark.long
def test_a_resume_of_a_resume_that_left_no_state_makes_files_again(newest_python: Path) -> None:
    """The second resume starts from the first run's state; the first resume has appended since."""
    write("report.ipynb", MAKES, APART, "1/0", "pass", SHOWN)
    write("fixed.ipynb", MAKES, APART, APPEND, DIES_ONCE, SHOWN)
    ran(newest_python, "promote", "report.ipynb", "--name", "log", "--no-fork", "--checkpoint-share", "1")
    run = str(ran(newest_python, "run", "log", status=1)["run"])
    again = str(ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", status=1)["run"])
    ended = ran(newest_python, "resume", again)
    assert shown(ended) == "['head', 'row'] 1\n"


@pytest.mark.long
def test_a_retry_says_which_files_are_left_and_appends_no_more_than_it_must(newest_python: Path) -> None:
    once = "if not os.path.exists('went'):\n    open('went', 'w').close()\n    1/0"
    write("report.ipynb", f"import os\n{APPEND}", APART, f"{APPEND}\n{once}", "pass", SHOWN)
    run = ran(newest_python, "run", "report.ipynb", status=1)["run"]
    ended = ran(newest_python, "retry", str(run))
    assert shown(ended) == "['row', 'row', 'row'] 1\n", "the failed cell has appended before it failed"
    note = ended["cells"][2]["note"]
    assert "cell 2 may look whether log.txt is there, and the cell that failed changed it in the run" in note
    assert "cell 2 may look whether went is there, and the cell that failed left it" in note
