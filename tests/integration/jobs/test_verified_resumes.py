"""A resume whose plan did not foresee what a cell does: what is seen of the cell puts the plan right.

The planner of these tests is blind to what functions of a module of the notebook's own do, whatever the
analysis can follow by now; kernels, evidence, runner and ledger are the real ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.dataflow import Footprint
from respawn_jobs.model.runs import RunDetail, RunState
from respawn_jobs.resume.invalidation import steps
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
HELPER = """
import os, sys
def touch(): sys.modules['main'.join(['__', '__'])].x = 7  # so that nobody sees it coming
def note(text='new'): _write('note', 'w', text)
def noted(): return open('note').read() if os.path.exists('note') else 'none'
def top(): _write('ran', 'a', 'top ')
def send(): _write('sent', 'a', 'x')
def read(): return open('in.txt').read()
def _write(name, how, text):
    with open(name, how) as file: file.write(text)
"""
TOP = "import helper\nx = 2; log = []; helper.top()"
TOUCHES = "helper.touch(); a = 1"


@pytest.fixture(autouse=True)
def blind(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.directory / "helper.py").write_text(HELPER)
    sighted = steps.footprints

    def footprints(sources: Sequence[str], **more: Any) -> list[Footprint]:
        without = [re.sub(r"helper\.\w+\(\)", "0", source) for source in sources]
        return [replace(one, uses=frozenset()) for one in sighted(without, **more)]

    monkeypatch.setattr(steps, "footprints", footprints)


def resumed(bench, cells: Sequence[str], edit: str, **more: Any) -> tuple[RunDetail, RunDetail]:
    """A run of `cells` and one more that fails, and its resume with `edit` in place of the second cell."""
    failed = bench.run(*cells, "1/0", "print(a, x, y)", **more)
    fixed = notebook(cells[0], edit, *cells[2:], "", "print(a, x, y)", **more)
    assert bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed))).rerun == [1]
    return failed, bench.resume(failed.run.id, fixed)


def states(detail: RunDetail) -> list[str]:
    return [cell.state.value for cell in detail.cells]


@pytest.mark.long
def test_what_reads_a_name_that_was_written_unforeseen_runs_in_the_same_kernel(bench) -> None:
    _, run = resumed(bench, (TOP, "a = 1", "y = x * 10", "z = 1"), TOUCHES)
    assert states(run) == ["reused", "executed", "executed", "reused", "executed", "executed"]
    assert bench.printed(run.run.id, 5) == "1 7 70\n"
    assert "cell 1 did otherwise than planned: it wrote x" in str(run.cells[2].note)
    assert len(run.attempts) == 1


@pytest.mark.long
def test_what_cannot_be_made_in_the_same_kernel_starts_again_by_the_new_plan(bench) -> None:
    """The list that the third cell appends to has its item already; it has to be made from the top."""
    _, run = resumed(bench, (TOP, "a = 1", "log.append(x); y = log"), TOUCHES)
    assert run.run.state is RunState.QUEUED
    assert run.attempts[0].error is not None
    assert run.attempts[0].error.name == "PlanChanged"
    run = bench.execute(run.run.id)
    assert (run.run.state, bench.printed(run.run.id, 4)) == (RunState.SUCCEEDED, "1 7 [7]\n")


def test_a_reader_of_a_file_that_was_written_unforeseen_is_not_reused(bench) -> None:
    (bench.directory / "note").write_text("old")
    _, run = resumed(bench, (TOP, "a = 1", "y = helper.noted()"), "a = 1; helper.note()")
    if run.run.state is RunState.QUEUED:
        run = bench.execute(run.run.id)
    assert (run.run.state, bench.printed(run.run.id, 4)) == (RunState.SUCCEEDED, "1 2 new\n")


@pytest.mark.long
def test_a_once_cell_is_not_run_without_consent_and_the_next_plan_asks(bench) -> None:
    tags = {2: ["respawn:once"]}
    cells = (TOP, "a = 1", "y = x * 10; helper.send()")
    _, run = resumed(bench, cells, TOUCHES, tags=tags)
    assert (run.run.state, run.run.error.name, run.run.error.cell) == (RunState.FAILED, "PlanChanged", 1)
    assert "cell 1 did otherwise than planned: it wrote x" in run.run.error.value
    assert "cell 2 is tagged respawn:once" in run.run.error.value
    assert (bench.directory / "sent").read_text() == "x"

    plan = bench.service.plan(run.run.id, ResumeRequest())
    assert plan.cells[2].why == "reads x, which cell 1 makes"
    assert "cell 2 is tagged respawn:once" in plan.problems[0]
    again = bench.resume(run.run.id, rerun_once=True)
    assert (again.run.state, bench.printed(again.run.id, 4)) == (RunState.SUCCEEDED, "1 7 70\n")
    assert (bench.directory / "sent").read_text() == "xx"


@pytest.mark.long
def test_a_cell_that_was_agreed_to_be_reused_is_not_run_without_consent(bench) -> None:
    (bench.directory / "in.txt").write_text("old")
    run = bench.run(TOP, "a = 1", "y = helper.read(), x", "1/0", "print(y)")
    (bench.directory / "in.txt").write_text("newer")
    fixed = notebook(TOP, TOUCHES, "y = helper.read(), x", "", "print(y)")
    plan = bench.service.plan(run.run.id, ResumeRequest(notebook=text(fixed)))
    assert plan.cells[2].changed_inputs == ["in.txt has changed since (had 3 bytes, has 5)"]
    stopped = bench.resume(run.run.id, fixed)
    assert stopped.run.error.name == "PlanChanged"
    assert "cell 2, which was agreed to be reused" in stopped.run.error.value
    again = bench.resume(stopped.run.id)
    assert bench.printed(again.run.id, 4) == "('newer', 7)\n"
