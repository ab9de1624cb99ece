"""What threads put out is kept, whenever they do it; what our own requests put out is no cell's."""

from __future__ import annotations

from typing import Any

import pytest

from respawn_jobs.model.runs import RunDetail
from respawn_jobs.model.settings import JobSettings
from support.lengths import quick
from support.notebooks import notebook

pytestmark = pytest.mark.integration

LINES = """
import sys, threading, time
def work():
    for number in range(1000):
        print(f"{number:04}", flush=number % 3 == 0)
        time.sleep(0.001)
thread = threading.Thread(target=work)
thread.start()
"""
CELLS = (LINES, *["time.sleep(0.02)"] * 12, "thread.join()")


def printed(bench: Any, detail: RunDetail) -> list[str]:
    # A cell may begin between a text and the end of its line, which `print` writes apart.
    return "".join(bench.printed(detail.run.id, cell.index) for cell in detail.cells).splitlines()


@pytest.mark.long
@pytest.mark.parametrize("share", quick({0}, [0.03, 1.0]))
def test_no_line_that_a_thread_prints_is_lost_or_out_of_order(bench, share: float) -> None:
    detail = bench.run(*CELLS, settings=JobSettings(checkpoint_share=share))
    assert printed(bench, detail) == [f"{number:04}" for number in range(1000)]


def test_lines_until_a_run_fails_are_kept(bench) -> None:
    detail = bench.run(LINES, "time.sleep(0.1)", "time.sleep(0.1); thread.join(); 1/0", "x = 1")
    assert printed(bench, detail) == [f"{number:04}" for number in range(1000)]


PICKLES = """
import sys, threading, time, warnings
class Loud:
    def __reduce__(self):
        print('pickled'); print('pickled', file=sys.stderr); warnings.warn('pickled'); display('pickled')
        return loud, ()
def loud():
    print('loaded'); display('loaded')
    return Loud.__new__(Loud)
one = Loud()
"""


@pytest.mark.long
@pytest.mark.parametrize("fork", quick({1}, [False, True]))
def test_what_is_printed_by_pickling_is_no_output(bench, fork: bool) -> None:
    settings = JobSettings(snapshot_fork=fork, checkpoint_share=1.0)
    detail = bench.run(PICKLES, "x = 1", "1/0", "type(one).__name__", settings=settings)
    assert [bench.service.outputs(detail.run.id, cell) for cell in (0, 1)] == [[], []]
    resumed = bench.resume(detail.run.id, notebook(PICKLES, "x = 1", "", "type(one).__name__"))
    outputs = [bench.service.outputs(resumed.run.id, cell) for cell in range(4)]
    assert outputs[:3] == [[], [], []]
    assert [output["data"]["text/plain"] for output in outputs[3]] == ["'Loud'"]
