"""From Python 3.12 on a fork beside threads warns; the notebook sees nothing of that."""

from __future__ import annotations

import pytest

from respawn_jobs.models import JobSettings, RunState
from support.notebooks import notebook

pytestmark = pytest.mark.integration

BEGIN = """
import threading, time, warnings
from respawn_kernels import orphan
stop = threading.Event()
thread = threading.Thread(target=stop.wait); thread.start()
def busy():
    while not stop.wait(0.0005):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
"""
TWICE = "orphan._clone = lambda: None"
SWAPS = "other = threading.Thread(target=busy); other.start()"
STRICT = "warnings.simplefilter('error')"
NOTES = "mine, seen = warnings.filters, list(warnings.filters)"
ONCE = "warnings.filterwarnings('once', 'once'); mine, seen = warnings.filters, list(warnings.filters)"
WARNS = "def warns(): warnings.warn('once')"
LOOKS = "print(mine is warnings.filters, seen == warnings.filters); warns()"
ENDS = "stop.set(); thread.join(); other.join(); print(mine is warnings.filters, seen == warnings.filters)"


@pytest.mark.parametrize("way", ["orphan._clone", TWICE])
def test_a_fork_neither_warns_nor_changes_filters(bench, way: str) -> None:
    cells = (
        BEGIN,
        way,
        STRICT,
        ONCE,
        WARNS,
        LOOKS,
        LOOKS,
        LOOKS,
        "stop.set()\n1/0",
        "warnings.warn('again')",
    )
    detail = bench.run(*cells)
    assert (detail.run.state, detail.run.error.name) == (RunState.FAILED, "ZeroDivisionError")
    assert {cell.note for cell in detail.cells} == {None}
    unforked = bench.run(*cells, settings=JobSettings(snapshot_fork=False))
    printed = [[bench.printed(run.run.id, cell) for cell in (5, 6, 7)] for run in (detail, unforked)]
    assert all(text.startswith("True True\n") for text in printed[0])
    assert [text.count("UserWarning: once") for text in printed[0]] == [
        text.count("UserWarning: once") for text in printed[1]
    ]
    resumed = bench.resume(detail.run.id, notebook(*cells[:8], "", cells[9]))
    assert resumed.run.error.name == "UserWarning", "the filters came back"


@pytest.mark.parametrize("way", ["orphan._clone", TWICE])
def test_filters_stay_when_another_thread_puts_its_own_in_their_place(bench, way: str) -> None:
    detail = bench.run(BEGIN, way, STRICT, NOTES, SWAPS, *["time.sleep(0.02)"] * 20, ENDS)
    assert detail.run.state is RunState.SUCCEEDED
    assert bench.printed(detail.run.id, 25) == "True True\n"
