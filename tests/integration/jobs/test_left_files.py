"""What the failed run did to files below the state is no part of a resume's result, or is told first."""

# ruff: noqa: E501  a cell of a notebook is one line of the table

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import ran
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration

CELLS = [
    "import os, pathlib, shutil, sqlite3\nopen('log.txt', 'w').write('head\\n')\nopen('half.txt', 'w').write('head\\n')",
    "shutil.rmtree('parts', ignore_errors=True)\nos.makedirs('parts')",
    "base = sqlite3.connect('sums.db')\nbase.execute('drop table if exists t')\n"
    "base.execute('create table t (a)')\nbase.commit()\nbase.close()",
    "apart = [1, 2, 3]",
    "rows, parts, sums = 'one', 3, 1",
    "with open('log.txt', 'a') as file:\n    file.write(f'{rows}\\n')",
    "for part in range(parts):\n    pathlib.Path('parts', f'{part}.csv').write_text('x')",
    "base = sqlite3.connect('sums.db')\nbase.execute('insert into t values (?)', (sums,))\nbase.commit()\nbase.close()",
    "seen = open('log.txt').read().split()\nfiles = len(list(pathlib.Path('parts').glob('*.csv')))",
    "base = sqlite3.connect('sums.db')\ntotal = base.execute('select sum(a) from t').fetchone()[0]\nbase.close()",
    "with open('half.txt', 'a') as file:\n    file.write('bad\\n')\n1/0",
    "print(seen, files, total, open('half.txt').read().split(), sum(apart))",
]
FIXED = {
    4: "rows, parts, sums = 'two', 2, 10",
    10: "with open('half.txt', 'a') as file:\n    file.write('good\\n')",
}
RIGHT = "['head', 'two'] 2 10 ['head', 'good'] 6\n"


@pytest.mark.long
def test_files_that_the_run_changed_further_down_are_made_again(
    newest_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.ipynb").write_text(text(notebook(*CELLS)))
    fixed = [FIXED.get(place, source) for place, source in enumerate(CELLS)]
    Path("fixed.ipynb").write_text(text(notebook(*fixed)))
    run = str(ran(newest_python, "run", "report.ipynb", status=1)["run"])
    plan = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    actions = [cell["action"] for cell in plan["cells"]]
    assert actions[:3] == ["run"] * 3
    assert actions[3] == "reuse"
    assert "which the run changed further down" in plan["cells"][0]["why"]
    ended = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb")
    cells = json.loads(Path(ended["notebook"]).read_text())["cells"]
    assert printed_by(cells[11]) == RIGHT


@pytest.mark.long
def test_what_a_cell_had_written_when_its_kernel_was_killed_is_taken_back(
    newest_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    append = "with open('log.txt', 'a') as file:\n    file.write('row\\n')"
    cells = ["import os\nopen('log.txt', 'w').write('head\\n')", "apart = 1"]
    shown = "print(open('log.txt').read().split(), apart)"
    Path("report.ipynb").write_text(text(notebook(*cells, f"{append}\nos.kill(os.getpid(), 9)", shown)))
    Path("fixed.ipynb").write_text(text(notebook(*cells, append, shown)))
    run = str(ran(newest_python, "run", "report.ipynb", status=1)["run"])
    ended = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb")
    assert [cell["state"] for cell in ended["cells"]] == ["executed", "reused", "executed", "executed"]
    cells = json.loads(Path(ended["notebook"]).read_text())["cells"]
    assert printed_by(cells[3]) == "['head', 'row'] 1\n"


@pytest.mark.long
def test_a_file_that_no_cell_makes_anew_is_named_before_anything_runs(
    newest_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = ["a = 1", "b = 2", "with open('log.txt', 'a') as file:\n    file.write('x')\n1/0"]
    Path("report.ipynb").write_text(text(notebook(*cells)))
    Path("fixed.ipynb").write_text(text(notebook(*cells[:2], cells[2].removesuffix("\n1/0"))))
    run = str(ran(newest_python, "run", "report.ipynb", status=1)["run"])
    plan = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    assert [cell["action"] for cell in plan["cells"]] == ["reuse", "reuse", "run"]
    assert plan["notices"] == [
        "cell 2 reads log.txt, and the cell that failed left it in the run before; no cell above makes it "
        "again: remove it first to have the result of a run from the top"
    ]


@pytest.mark.long
def test_a_file_that_its_cell_writes_anew_makes_nothing_run_again(
    newest_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [
        "import os\nos.makedirs('out', exist_ok=True)",
        "b = 2",
        "open('out/b.csv', 'w').write('x')\n1/0",
    ]
    Path("report.ipynb").write_text(text(notebook(*cells)))
    Path("fixed.ipynb").write_text(text(notebook(*cells[:2], cells[2].removesuffix("\n1/0"))))
    run = str(ran(newest_python, "run", "report.ipynb", status=1)["run"])
    plan = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    assert [cell["action"] for cell in plan["cells"]] == ["reuse", "reuse", "run"]
    assert plan["notices"] == []
