"""A job carries the files that it needs: runs have those of its version, and edits of them count.

What a resume gives is held against what plain papermill makes of the fixed notebook, beside the edited files.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from support.commands import ran
from support.kernels import running_kernel
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

PYTHON = Path(sys.executable)
CELLS = [
    "import csv, glob, helpers, pathlib, subprocess\nimport pyarrow.csv as pc\nimport tools.taxes as taxes",
    "rates = [int(row[0]) for row in csv.reader(open('rates.csv'))]",
    "table = pc.read_csv('table.csv').column('x').to_pylist()",
    "unseen = helpers.table()",
    "parts = [pathlib.Path(one).read_text() for one in sorted(glob.glob('parts/*.txt'))]",
    "%run script.py",
    "lines = !cat lines.txt",
    "scaled, taxed = helpers.scale(3), taxes.tax(10)",
    "child = subprocess.check_output(['cat', 'child-' + str(1) + '.txt'], text=True)",
    "written = pathlib.Path('made.txt').write_text(str(rates))",
]
LAST = (
    "print(pathlib.Path('made.txt').read_text(), rates, table, unseen, parts)\n"
    "print(from_script, lines, scaled, taxed, child)"
)
FAILS = "assert pathlib.Path('never.txt').exists()"


def lay_out(directory: Path) -> None:
    """Write the notebook and all that it needs."""
    directory.mkdir()
    for name, content in {
        "helpers.py": "import pyarrow.csv as pc\nFACTOR = 2\ndef scale(x):\n    return x * FACTOR\n"
        "def table():\n    return pc.read_csv('other.csv').column('y').to_pylist()\n",
        "tools/__init__.py": "",
        "tools/taxes.py": "from .base import RATE\ndef tax(x):\n    return x * RATE\n",
        "tools/base.py": "RATE = 3\n",
        "rates.csv": "1\n2\n",
        "table.csv": "x\n1\n2\n",
        "other.csv": "y\n7\n",
        "parts/a.txt": "a",
        "parts/b.txt": "b",
        "script.py": "from_script = 'before'\n",
        "lines.txt": "one\n",
        "child-1.txt": "old",
    }.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (directory / "report.ipynb").write_text(text(notebook(*CELLS, FAILS, LAST)))


EDITS: dict[str, Callable[[Path], Any]] = {
    "a module": lambda at: (at / "helpers.py").write_text(
        (at / "helpers.py").read_text().replace("FACTOR = 2", "FACTOR = 5")
    ),
    "a module of a package, behind another": lambda at: (at / "tools/base.py").write_text("RATE = 4\n"),
    "data that Python reads": lambda at: (at / "rates.csv").write_text("10\n20\n"),
    "data that a library reads": lambda at: (at / "table.csv").write_text("x\n8\n9\n"),
    "data that a library reads for a module": lambda at: (at / "other.csv").write_text("y\n70\n"),
    "a new file in a directory": lambda at: (at / "parts/c.txt").write_text("c"),
    "a script": lambda at: (at / "script.py").write_text("from_script = 'after'\n"),
    "what a command reads": lambda at: (at / "lines.txt").write_text("one\ntwo\n"),
    "what a child process reads by a path that is put together": lambda at: (at / "child-1.txt").write_text(
        "new"
    ),
    "nothing": lambda at: None,
}
QUICK = {"data that a library reads for a module"}


def fixed_in(directory: Path, edit: Callable[[Path], Any] = lambda _: None) -> Path:
    """Write the notebook with its failing cell fixed, and the files with an edit, into a directory."""
    lay_out(directory)
    edit(directory)
    (directory / "report.ipynb").write_text(text(notebook(*CELLS, "pass", LAST)))
    return directory


def from_the_top(directory: Path) -> str:
    """Return what the last cell of a notebook prints that plain papermill executes."""
    output = directory / "executed.ipynb"
    command = [sys.executable, "-m", "papermill", "report.ipynb", str(output), "-k", "python3"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return printed(output)


def printed(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.text for output in cells[-1].outputs if output.output_type == "stream")


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a run that failed, of a job whose files nobody has any more but its version."""
    lay_out(tmp_path / "job")
    monkeypatch.chdir(tmp_path)
    version = ran(
        PYTHON, "promote", "job/report.ipynb", "--name", "report", "-k", "python3", "--with", "child-1.txt"
    )
    assert len(version["files"]) == 12
    shutil.rmtree("job")
    return str(ran(PYTHON, "run", "report", status=1)["run"])


@pytest.mark.parametrize(
    "edit", [pytest.param(one, marks=[] if one in QUICK else pytest.mark.long) for one in EDITS]
)
def test_a_resume_after_an_edit_of_a_file_gives_what_a_run_from_the_top_does(
    failed: str, edit: str, tmp_path: Path
) -> None:
    fix = fixed_in(tmp_path / "fix", EDITS[edit])
    plan = ran(PYTHON, "resume", failed, "--notebook", "fix/report.ipynb", "--plan")
    actions = [cell["action"] for cell in plan["cells"]]
    if edit == "nothing":
        assert actions[: len(CELLS)] == ["reuse"] * len(CELLS)
    else:
        assert "run" in actions[: len(CELLS)]
    done = ran(PYTHON, "resume", failed, "--notebook", "fix/report.ipynb", "--yes")
    assert printed(Path(done["notebook"])) == from_the_top(fix)


@pytest.mark.long
def test_a_carried_file_that_a_cell_changed_lies_as_it_was_for_the_cell_that_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("state.csv").write_text("3")
    changes = "n = int(open('state.csv').read()) * 10\nopen('state.csv', 'w').write(str(n))"
    Path("report.ipynb").write_text(text(notebook("a = 1", changes, "1 / 0", "print(n)")))
    ran(PYTHON, "promote", "report.ipynb", "--name", "report", "-k", "python3")
    failed = ran(PYTHON, "run", "report", status=1)["run"]
    Path("fixed.ipynb").write_text(
        text(notebook("a = 1", changes.replace("* 10", "* 10 + 1"), "pass", "print(n)"))
    )
    done = ran(PYTHON, "resume", failed, "--notebook", "fixed.ipynb", "--yes")
    assert printed(Path(done["notebook"])) == "31\n"


@pytest.mark.long
def test_an_edit_that_no_cell_was_seen_to_use_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x\n1\n")
    cells = ("import pyarrow.csv as pc", "x = pc.read_csv(''.join(['a', '.csv']))", "1 / 0")
    Path("report.ipynb").write_text(text(notebook(*cells)))
    ran(PYTHON, "promote", "report.ipynb", "--name", "report", "-k", "python3", "--with", "a.csv")
    failed = ran(PYTHON, "run", "report", status=1)["run"]
    opened = Path(ran(PYTHON, "debug", failed)["notebook"])
    (opened.parent / "a.csv").write_text("x\n2\n")
    (opened.parent / "b.csv").write_text("1")
    fixed = nbformat.read(opened, as_version=4)
    fixed.cells[-1].source = "print(open('b.csv').read())"
    nbformat.write(fixed, opened)
    plan = ran(PYTHON, "resume", failed, "--notebook", str(opened), "--plan")
    if "run" not in [cell["action"] for cell in plan["cells"][:2]]:
        assert any("a.csv was edited, and no cell that runs was seen" in one for one in plan["notices"])
    assert ran(PYTHON, "resume", failed, "--notebook", str(opened), "--yes")["state"] == "succeeded"
    carried = [file["path"] for file in ran(PYTHON, "versions", "report")[0]["files"]]
    assert carried == ["a.csv", "b.csv"], "what the fix names comes along"


@pytest.mark.long
def test_runs_work_in_a_directory_of_their_own_that_holds_what_the_version_carries(failed: str) -> None:
    shown = ran(PYTHON, "show", failed)
    directory = Path(shown["detail"]["attempts"][-1]["directory"])
    assert directory.is_dir()
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    assert {"helpers.py", "tools/base.py", "parts/a.txt", "made.txt"} <= there
    assert "report.ipynb" not in there


@pytest.mark.long
def test_what_cells_have_left_and_is_gone_is_made_again(failed: str, tmp_path: Path) -> None:
    shutil.rmtree(ran(PYTHON, "show", failed)["detail"]["attempts"][-1]["directory"])
    fix = fixed_in(tmp_path / "fix")
    done = ran(PYTHON, "resume", failed, "--notebook", "fix/report.ipynb", "--yes")
    assert printed(Path(done["notebook"])) == from_the_top(fix)


@pytest.mark.long
def test_a_debug_notebook_has_the_files_and_its_edits_go_on(failed: str, tmp_path: Path) -> None:
    opened = ran(PYTHON, "debug", failed)
    directory = (tmp_path / opened["notebook"]).parent
    assert (directory / "helpers.py").is_file()
    assert (directory / "made.txt").read_text() == "[1, 2]", "what the run has left"
    own = Path(ran(PYTHON, "show", failed)["detail"]["attempts"][-1]["directory"])
    with running_kernel(directory) as kernel:  # where Jupyter starts the kernel of a notebook
        kernel.run(f"%load_ext respawn\n%respawn restore {failed}")
        assert kernel.value("(rates, scaled)") == ([1, 2], 6)
        assert kernel.value("str(pathlib.Path.cwd())") == str(directory)
    (directory / "helpers.py").write_text((directory / "helpers.py").read_text().replace("= 2", "= 9"))
    (directory / "parts/a.txt").unlink()
    fixed = nbformat.read(tmp_path / opened["notebook"], as_version=4)
    for cell in fixed.cells:
        cell.source = "pass" if cell.source == FAILS else cell.source
    nbformat.write(fixed, tmp_path / opened["notebook"])
    done = ran(PYTHON, "resume", failed, "--notebook", opened["notebook"], "--yes")
    fix = fixed_in(tmp_path / "fix")
    (fix / "helpers.py").write_text((directory / "helpers.py").read_text())
    (fix / "parts/a.txt").unlink()
    assert printed(Path(done["notebook"])) == from_the_top(fix)
    carried = ran(PYTHON, "versions", "report")[0]["files"]
    assert "made.txt" not in {file["path"] for file in carried}, "what a run wrote is none of its inputs"
    assert (own / "made.txt").read_text() == "[1, 2]"


@pytest.mark.long
def test_a_directory_in_which_a_run_has_left_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("helpers.py").write_text("x = 1\n")
    for name, last in (("leaves", "open('made.txt', 'w').close()"), ("nothing", "print(helpers.x)")):
        Path(f"{name}.ipynb").write_text(text(notebook("import helpers", last)))
        ran(PYTHON, "promote", f"{name}.ipynb", "--name", name, "-k", "python3")
        done = ran(PYTHON, "run", name)
        directory = ran(PYTHON, "show", done["run"])["detail"]["attempts"][-1]["directory"]
        assert Path(directory).is_dir() == (name == "leaves")


@pytest.mark.long
def test_a_job_that_was_promoted_in_place_works_where_its_notebook_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("helpers.py").write_text("x = 1\n")
    Path("report.ipynb").write_text(text(notebook("import helpers", "print(helpers.x)")))
    version = ran(PYTHON, "promote", "report.ipynb", "--name", "report", "-k", "python3", "--in-place")
    assert version["files"] is None
    Path("helpers.py").write_text("x = 2\n")
    done = ran(PYTHON, "run", "report")
    assert printed(Path(done["notebook"])) == "2\n"


@pytest.mark.long
def test_what_a_run_has_read_and_no_code_names_is_named_before_it_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("helpers.py", "rates-1.csv", "rates-2.csv"):
        Path(name).write_text("x = 1\n")
    cells = ("import helpers", "text = [open('rates-' + str(n) + '.csv').read() for n in (1, 2)]")
    Path("report.ipynb").write_text(text(notebook(*cells, "open('made.txt', 'w').close(); open('made.txt')")))
    run = ran(PYTHON, "run", "report.ipynb")["run"]
    promote = ("promote", "report.ipynb", "--name", "report", "-k", "python3", "--dry-run")
    preview = ran(PYTHON, *promote, "--with", "rates-1.csv")
    assert preview["opened"] == [{"path": "rates-2.csv", "run": run}]
    assert ran(PYTHON, *promote, "--with", "rates-*.csv")["opened"] == []
    assert ran(PYTHON, *promote, "--in-place")["opened"] == []
