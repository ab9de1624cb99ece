"""Files that reused cells have made and that are not as they left them are made again, or it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.commands import ran
from support.notebooks import notebook, printed_by, text

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, *cells: str, **tags: list[str]) -> None:
    by_cell = {int(cell.removeprefix("cell_")): some for cell, some in tags.items()}
    Path(name).write_text(text(notebook(*cells, tags=by_cell)))


def shown(run: dict) -> str:
    return printed_by(json.loads(Path(run["notebook"]).read_text())["cells"][-1])


TEMPORARY = {
    "a temporary directory": "d = tempfile.TemporaryDirectory(dir='.'); p = d.name",
    "a directory that goes at the kernel's end": (
        "import atexit, shutil; p = tempfile.mkdtemp(dir='.'); q = atexit.register(shutil.rmtree, p)"
    ),
    "a finalizer that removes it": (
        "import shutil, weakref\nclass A: pass\na = A(); p = tempfile.mkdtemp(dir='.')\n"
        "f = weakref.finalize(a, shutil.rmtree, p)"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("made", TEMPORARY)
def test_what_went_with_the_kernel_is_made_again(newest_python: Path, made: str) -> None:
    first = f"import os, tempfile\n{TEMPORARY[made]}"
    second = "with open(os.path.join(p, 'a'), 'w') as file: n = file.write('text')"
    last = "print(open(os.path.join(p, 'a')).read(), apart)"
    write("nb.ipynb", first, second, "apart = 1", "1/0", last)
    write("fixed.ipynb", first, second, "apart = 1", "0", last)
    run = ran(newest_python, "run", "nb.ipynb", status=1)["run"]
    assert shown(ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "-y")) == "text 1\n"


REPORT = ["limit = 1", "open('out.csv', 'w').write(f'{limit} rows')", "n = 1", "assert limit != 1", "{}"]
LAST = "print(open('out.csv').read())"


def failed_and_run_again(python: Path, *after: str) -> str:
    """Return a failed run after which another run of the notebook has written the file."""
    cells = [*REPORT[:-1], *after, LAST]
    write("nb.ipynb", *cells, cell_0=["parameters"])
    run = ran(python, "run", "nb.ipynb", status=1)["run"]
    ran(python, "run", "nb.ipynb", "-p", "limit", "22")
    write("fixed.ipynb", *(cell.replace("assert", "#") for cell in cells), cell_0=["parameters"])
    return str(run)


@pytest.mark.long
def test_what_another_run_has_written_is_written_again(newest_python: Path) -> None:
    run = failed_and_run_again(newest_python)
    plan = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    why = {cell["index"]: cell["why"] for cell in plan["cells"]}
    assert why[1] == "makes the file out.csv: out.csv has changed since (had 6 bytes, has 7)"
    assert why[2] == "unchanged and finished"
    assert shown(ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "-y")) == "1 rows\n"


@pytest.mark.long
def test_what_is_as_the_cells_left_it_makes_nothing_run_again(newest_python: Path) -> None:
    cells = [
        "with open('log.txt', 'a') as file: n = file.write('row')",
        "1/0",
        "print(open('log.txt').read())",
    ]
    write("nb.ipynb", *cells)
    run = str(ran(newest_python, "run", "nb.ipynb", status=1)["run"])
    write("fixed.ipynb", cells[0], "0", cells[2])
    assert shown(ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "-y")) == "row\n"
