"""The environment `spark`: a notebook on another engine fails, is debugged and resumed, by the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.commands import ran
from support.interpreters import ROOT
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        shutil.which("java") is None, reason="needs java: apt-get install default-jre-headless"
    ),
]
SESSION = (
    "from pyspark.sql import SparkSession\n"
    "spark = SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false').getOrCreate()"
)
CELLS = (
    "rates = {'ada': 2, 'bob': 3}",
    SESSION,
    "sales = spark.createDataFrame([('ada', 3), ('bob', 4), ('ada', 5)], ['who', 'amount'])",
    "totals = {row['who']: row['sum(amount)'] for row in sales.groupBy('who').sum('amount').collect()}",
    "print(totals['eve'] * rates['eve'])",
    "print(sales.count(), spark.range(3).count(), sum(totals.values()))",
)
FIXED = (*CELLS[:4], "print(totals['ada'] * rates['ada'])", CELLS[5])
RESTORED = """
import sys
import nbformat
from jupyter_client.manager import start_new_kernel
first = next(cell for cell in nbformat.read("debug.ipynb", 4).cells if cell.cell_type == "code")
manager, client = start_new_kernel(kernel_name="respawn-spark")
shown = []
for code in (first.source, *sys.argv[1:]):
    client.execute_interactive(code, timeout=600, output_hook=lambda said: shown.append(said["content"]))
for said in shown:
    print(said.get("text") or said.get("data", {}).get("text/plain", ""))
client.stop_channels()
manager.shutdown_kernel()
"""
PYTHON = Path(sys.executable)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The environment, built by the command: what it prints, and where it is."""
    place = tmp_path_factory.mktemp("spark")
    places = ("--root", str(place / "envs"), "--prefix", str(place / "prefix"))
    images = ("--images", str(ROOT / "images"))
    return {**ran(PYTHON, "kernels", "build", "spark", *images, *places), "place": place}


@pytest.fixture
def work(spark: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(spark["place"] / "prefix" / "share" / "jupyter"))
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(spark["place"] / "envs"))
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_RESTORE", str(tmp_path / "restored"))
    return tmp_path


def printed(cell: Mapping[str, Any]) -> str:
    """Return what a cell printed; Spark tells its progress on stderr."""
    streams = [one["text"] for one in cell["outputs"] if one.get("name") == "stdout"]
    return "".join(part for lines in streams for part in lines)


def engines(spark: dict[str, Any]) -> list[str]:
    """Return the command lines of Java processes that run out of the environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "java" in line.partition("\0")[0] and str(spark["directory"]) in line:
            found.append(line)
    return found


def test_a_notebook_on_spark_fails_is_debugged_and_resumed(spark: dict[str, Any], work: Path) -> None:
    Path("sales.ipynb").write_text(text(notebook(*CELLS, kernel="respawn-spark")))
    Path("fixed.ipynb").write_text(text(notebook(*FIXED, kernel="respawn-spark")))
    tags = {place: ["respawn:always"] for place in (1, 2)}
    Path("tagged.ipynb").write_text(text(notebook(*FIXED, kernel="respawn-spark", tags=tags)))
    failed = ran(PYTHON, "run", "sales.ipynb", status=1)
    assert failed["error"]["value"] == "'eve'"
    run = str(failed["run"])

    ran(PYTHON, "debug", run, "-o", "debug.ipynb")
    again = (SESSION, CELLS[2], "print('here', rates, totals, sales.count())")
    shown = subprocess.check_output([PYTHON, "-c", RESTORED, *again], text=True)
    assert "here {'ada': 2, 'bob': 3} {'ada': 8, 'bob': 4} 3" in shown
    told = shown.partition("Could not be restored:")[2].splitlines()
    for name, kind, maker in (("spark", "SparkSession", "cell 1"), ("sales", "DataFrame", "cell 2")):
        (line,) = [line for line in told if line.split()[:1] == [name]]
        assert f".{kind} " in line
        assert line.endswith(maker)

    plan = ran(PYTHON, "resume", run, "--notebook", "fixed.ipynb", "--plan")
    assert [cell["action"] for cell in plan["cells"]] == [*["reuse"] * 4, "run", "cannot restore"]
    for name, maker in (("sales", 2), ("spark", 1)):
        (told,) = [
            one for one in plan["problems"] if one.startswith(f"cell 5 reads {name}, made by cell {maker}")
        ]
        assert "agree that cells 1, 2, 3 run again to make it (--rerun-producers)" in told
    plan = ran(PYTHON, "resume", run, "--notebook", "tagged.ipynb", "--plan")
    assert plan["problems"] == []
    assert [cell["action"] for cell in plan["cells"]] == [*["reuse"] * 4, "run", "run"]
    assert plan["cells"][1]["why"] == "rerun to make spark again (tagged respawn:always)"

    done = ran(PYTHON, "resume", run, "--notebook", "fixed.ipynb", "--rerun-producers")
    assert [cell["state"] for cell in done["cells"]] == ["reused", *["executed"] * 5]
    cells = json.loads(Path(done["notebook"]).read_text())["cells"]
    assert (printed(cells[4]), printed(cells[5])) == ("16\n", "3 3 12\n")
    wait_for(lambda: not engines(spark), timeout=120)


def test_workers_of_spark_run_on_the_python_of_the_kernel(spark: dict[str, Any], work: Path) -> None:
    """They start `python3` by its name, in whatever environment the command itself lies."""
    cells = (
        SESSION,
        "import sys\n"
        "def where(rows):\n    import sys\n    yield sys.prefix\n"
        "print(set(spark.sparkContext.range(2).mapPartitions(where).collect()) == {sys.prefix})",
    )
    Path("where.ipynb").write_text(text(notebook(*cells, kernel="respawn-spark")))
    done = ran(PYTHON, "run", "where.ipynb")
    assert printed(json.loads(Path(done["notebook"]).read_text())["cells"][1]) == "True\n"
