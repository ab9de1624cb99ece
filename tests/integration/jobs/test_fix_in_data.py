"""The fix is in a file that cells read: the plan says who has read it, and blames no cell for the change."""

from __future__ import annotations

import sqlite3
import zipfile
from pathlib import Path

import pytest

from support.commands import ran
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

CELLS = [
    "import zipfile, sqlite3\nimport pyarrow.csv as pc\nfrom PIL import Image",
    "size = Image.open('picture.png').size",
    "packed = zipfile.ZipFile('packed.zip').read('x.txt')",
    "db = sqlite3.connect('rows.db')\ncount = db.execute('select sum(x) from t').fetchone()\ndb.close()",
    "rows = pc.read_csv('rows.csv').num_rows",
    "lines = !echo 1",
]
READERS = {"picture.png": 1, "packed.zip": 2, "rows.db": 3, "rows.csv": 4}


def _data(size: int) -> None:
    from PIL import Image

    Image.new("L", (size, size), size).save("picture.png")
    with zipfile.ZipFile("packed.zip", "w") as archive:
        archive.writestr("x.txt", "x" * size)
    with sqlite3.connect("rows.db") as base:
        base.execute("create table if not exists t (x)")
        base.executemany("insert into t values (?)", [(one,) for one in range(1000 * size)])
    base.close()
    Path("rows.csv").write_text("x\n" + "1\n" * size)


@pytest.mark.long
def test_data_that_a_person_fixed_is_told_of_its_readers_alone(
    newest_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _data(3)
    Path("report.ipynb").write_text(text(notebook(*CELLS, "1 / 0", "print(size, packed, count, rows)")))
    run = str(ran(newest_python, "run", "report.ipynb", status=1)["run"])
    _data(5)
    Path("fixed.ipynb").write_text(text(notebook(*CELLS, "pass", "print(size, packed, count, rows)")))
    plan = ran(newest_python, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    told = {cell["index"]: cell["changed_inputs"] for cell in plan["cells"] if cell["changed_inputs"]}
    assert {index: change[0].partition(" ")[0] for index, change in told.items()} == {
        index: name for name, index in READERS.items()
    }
    assert not [notice for notice in plan["notices"] if "back" in notice or "have changed it" in notice]
