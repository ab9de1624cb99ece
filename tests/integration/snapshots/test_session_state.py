"""Every part of a session's state comes back as the notebook left it: compared with plain papermill."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import papermill
import pytest

from respawn_environments.warm.adoption import adopting
from respawn_jobs.model.runs import RunState
from respawn_jobs.runner.kernel.held_child import end_all
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.exchange.messages import SAVE, HeldChildFiles
from respawn_kernels.exchange.restore_point import RestorePoint, run_directory
from support.bench import Bench
from support.kernels import AGENT, running_kernel
from support.notebooks import notebook, text
from support.session_snippets import FILES, SNIPPETS, look
from support.waiting import wait_for

pytestmark = pytest.mark.integration

SOURCES = [source for source, _ in SNIPPETS.values()]
CELL = len(SOURCES) - 1
RUN = "run-0123456789"


def seen(printed: str) -> dict[str, str]:
    [line] = [line for line in printed.splitlines() if line.startswith("SEEN")]
    found: dict[str, str] = json.loads(line.removeprefix("SEEN"))
    return found


def lay_out(directory: Path) -> None:
    for name, source in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(source)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What a later cell sees of each snippet: in plain papermill, and restored in several ways."""
    found = {"plain": from_the_top(tmp_path_factory.mktemp("plain"))}
    root, work = tmp_path_factory.mktemp("restore"), tmp_path_factory.mktemp("work")
    lay_out(work)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RESPAWN_RESTORE", str(root))
        spool = hold_after_snippets(work)
        with running_kernel(work) as kernel:
            kernel.silent(f"{AGENT}.start({str(work / 'later')!r})")
            kernel.silent(f"{AGENT}.restore({str(spool)!r}, {CELL}, {str(work / 'report')!r})")
            found["restored"] = seen(kernel.run(look()))
            found["failed"] = {item["name"]: item["reason"] for item in failed_of(work / "report")}
        with running_kernel(work) as kernel:
            found["table"] = {"": kernel.run(f"%load_ext respawn\n%respawn restore {RUN}")}
            found["debugged"] = seen(kernel.run(look()))
            kernel.run(f"%respawn restore {RUN}")
            found["debugged again"] = seen(kernel.run(look()))
    manifest = Manifest.from_json((spool / "manifests" / f"{CELL}.json").read_bytes())
    found["unstored"] = {item.name: item.reason for item in manifest.unstored}
    return found


def from_the_top(directory: Path) -> dict[str, str]:
    lay_out(directory)
    (directory / "nb.ipynb").write_text(text(notebook(*SOURCES, look())))
    path = str(directory / "nb.ipynb")
    done = papermill.execute_notebook(path, None, cwd=str(directory), progress_bar=False)
    return seen("".join(o["text"] for o in done.cells[-1].outputs if o.output_type == "stream"))


def hold_after_snippets(work: Path) -> Path:
    """Run the snippets, each in a cell with its boundary, and have the held child write the last one."""
    spool = run_directory(RUN)
    with adopting(), running_kernel(work) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r}, {os.getpid()})")
        for cell, source in enumerate(SOURCES):
            kernel.run(source)
            kernel.silent(f"{AGENT}.hold({cell})")
        assert HeldChildFiles(spool, CELL).tell(SAVE)
        wait_for(HeldChildFiles(spool, CELL).read_report, 120, "the child's report")
        end_all(spool)
    point = RestorePoint(RUN, CELL, "python3", failing_cell=CELL + 1)
    (spool / "restore.json").write_text(point.to_json())
    return spool


def failed_of(report: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(report.read_text())["failed"]
    return found


@pytest.mark.long
@pytest.mark.parametrize("way", ["restored", "debugged", "debugged again"])
@pytest.mark.parametrize("name", SNIPPETS)
def test_part_is_as_in_a_run_from_the_top(ways: dict[str, dict[str, str]], name: str, way: str) -> None:
    assert not re.match(r"\w+Error", ways["plain"][name])
    assert ways[way][name] == ways["plain"][name]


@pytest.mark.long
def test_nothing_is_announced_that_came_back(ways: dict[str, dict[str, str]]) -> None:
    assert ways["unstored"] == {}
    assert ways["failed"] == {}
    assert "Could not be restored" not in ways["table"][""]


LOST = """
import atexit, signal, threading, logging, settings_of_app
atexit.register(print, 'bye')
threading.Thread(target=lambda: threading.Event().wait(), name='mine', daemon=True).start()
signal.setitimer(signal.ITIMER_VIRTUAL, 3600)
settings_of_app.LOCK = (n for n in [])
sieve = logging.getLogger('odd'); sieve.addFilter((n for n in []).send)
"""


def test_what_is_lost_is_named_with_its_cell(bench: Bench) -> None:
    lay_out(bench.directory)
    failed = bench.run("import random; random.seed(1)", LOST, "1/0")
    checkpoint = max(failed.checkpoints, key=lambda one: one.cell)
    named = {item.name: item.cell for item in checkpoint.unstored}
    assert named.pop("sieve", None) is None
    assert named == dict.fromkeys(
        [
            "#atexit",
            "#running:thread mine",
            "#signals:ITIMER_VIRTUAL",
            "#patches:settings_of_app.LOCK",
            "#logging:odd",
        ],
        1,
    )
    resumed = bench.resume(failed.run.id, notebook("import random; random.seed(1)", LOST, "print('on')"))
    assert resumed.run.state is RunState.SUCCEEDED


def test_each_lost_assignment_is_named_with_its_own_cell(bench: Bench) -> None:
    first = "import xml.sax.saxutils\nxml.sax.saxutils.LOST = (n for n in [])"
    second = "import json.encoder\njson.encoder.LOST = (n for n in [])"
    failed = bench.run("x = 1", first, "import json", second, "json.encoder.KEPT = 1", "1/0")
    checkpoint = max(failed.checkpoints, key=lambda one: one.cell)
    named = {item.name: item.cell for item in checkpoint.unstored}
    assert named == {"#patches:xml.sax.saxutils.LOST": 1, "#patches:json.encoder.LOST": 3}


SIMPLE = ("random", "decimal", "environment", "time zone", "setting of a module", "import path", "warnings")


@pytest.mark.long
def test_parts_come_back_in_a_resumed_run(bench: Bench) -> None:
    cells = ["import os, sys, settings_of_app", *(SNIPPETS[name][0] for name in SIMPLE)]
    looks = [f"print({SNIPPETS[name][1]})" for name in SIMPLE]
    lay_out(bench.directory)
    failed = bench.run(*cells, "1/0", *looks)
    resumed = bench.resume(failed.run.id, notebook(*cells, "pass", *looks))
    assert {cell.state.value for cell in resumed.cells[: len(cells)]} == {"reused"}
    here = [bench.printed(resumed.run.id, len(cells) + 1 + place) for place in range(len(looks))]
    again = bench.run(*cells, "pass", *looks)
    assert here == [bench.printed(again.run.id, len(cells) + 1 + place) for place in range(len(looks))]
