"""A failed run goes on from where it stopped, with the state that it had."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.cli.common import printing
from respawn_jobs.errors import Conflict
from respawn_jobs.model.runs import RunDetail, RunState
from respawn_jobs.model.settings import JobSettings
from support.lengths import quick
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration


def states(detail: RunDetail) -> list[str]:
    return [cell.state.value for cell in detail.cells]


@pytest.mark.long
def test_a_resume_reuses_cells_and_their_variables(bench) -> None:
    first = "import os\nopen('ran', 'a').write('x')\nrows = list(range(5))\nalias = rows\nprint('loaded')"
    failed = bench.run(first, "total = sum(rows)", "raise KeyError('price')", "print(total, alias is rows)")
    resumed = bench.resume(
        failed.run.id, notebook(first, "total = sum(rows)", "total += 1", "print(total, alias is rows)")
    )
    assert (resumed.run.state, resumed.run.origin) == (RunState.SUCCEEDED, failed.run.id)
    assert states(resumed) == ["reused", "reused", "executed", "executed"]
    assert bench.printed(resumed.run.id, 3) == "11 True\n"
    assert bench.printed(resumed.run.id, 0) == "loaded\n"
    assert (bench.directory / "ran").read_text() == "x"


@pytest.mark.long
def test_a_cell_that_may_no_longer_raise_fails_the_resume_as_it_fails_the_notebook(bench) -> None:
    raises = "m = 2\nraise KeyError('expected')"
    failed = bench.run("n = 1", raises, "1/0", tags={1: ["raises-exception"]})
    assert failed.run.error.cell == 2
    strict = bench.resume(failed.run.id, notebook("n = 1", raises, "n / 1"))
    assert (strict.run.state, strict.run.error.cell) == (RunState.FAILED, 1)


@pytest.mark.long
def test_a_resume_that_fails_again_can_be_resumed_again(bench) -> None:
    failed = bench.run("x = 5", "1/0", "print(x)")
    again = bench.resume(failed.run.id, notebook("x = 5", "[][0]", "print(x)"))
    assert (again.run.state, again.run.error.name) == (RunState.FAILED, "IndexError")
    fixed = bench.resume(again.run.id, notebook("x = 5", "x += 1", "print(x)"))
    assert states(fixed) == ["reused", "executed", "executed"]
    assert bench.printed(fixed.run.id, 2) == "6\n"


@pytest.mark.long
def test_cells_tagged_always_run_again_but_keep_what_they_put_out(bench) -> None:
    make = "import threading\nlock = threading.Lock()\nopen('made', 'a').write('x')\nprint('made')"
    tags = {0: ["respawn:always"]}
    failed = bench.run(make, "n = 2", "1/0", tags=tags)
    resumed = bench.resume(failed.run.id, notebook(make, "n = 2", "with lock:\n    print(n)", tags=tags))
    assert (states(resumed), bench.printed(resumed.run.id, 2)) == (["reused", "reused", "executed"], "2\n")
    assert (bench.directory / "made").read_text() == "xx"
    assert bench.printed(resumed.run.id, 0) == "made\n"


@pytest.mark.long
def test_a_second_resume_of_the_same_run_is_refused(bench) -> None:
    failed = bench.run("x = 1", "1/0")
    bench.resume(failed.run.id, notebook("x = 1", "x"))
    with pytest.raises(Conflict):
        bench.resume(failed.run.id, notebook("x = 1", "x"))


@pytest.mark.long
def test_execution_counts_go_on_where_they_stopped(bench) -> None:
    failed = bench.run("x = 1", "y = 2", "1/0")
    resumed = bench.resume(failed.run.id, notebook("x = 1", "y = 2", "z = 3"))
    assert [cell.execution_count for cell in resumed.cells] == [1, 2, 3]


@pytest.mark.long
def test_cells_tagged_always_change_nothing_that_was_stored(bench) -> None:
    first, tags = "con = open('/dev/null'); total = 0; scratch = 1", {0: ["respawn:always"]}
    failed = bench.run(first, "total += 5\ndel scratch", "1/0", "", tags=tags)
    last = "print(total, con.readline() == '', 'scratch' in globals())"
    resumed = bench.resume(failed.run.id, notebook(first, "total += 5\ndel scratch", "", last, tags=tags))
    assert bench.printed(resumed.run.id, 3) == "5 True False\n"


@pytest.mark.long
def test_what_an_always_cell_makes_stays_its_own_over_several_resumes(bench) -> None:
    first, tags = "con = open('/dev/null')", {0: ["respawn:always"]}
    failed = bench.run(first, "n = 1", "1/0", "", tags=tags)
    again = bench.resume(failed.run.id, notebook(first, "n = 1", "m = 2", "1/0", tags=tags))
    fixed = bench.resume(
        again.run.id, notebook(first, "n = 1", "m = 2", "print(con.closed, n + m)", tags=tags)
    )
    assert bench.printed(fixed.run.id, 3) == "False 3\n"


DIAMOND = (
    "data = [1, 2, 3]; open('load.log', 'a').write('load ')",
    "left = [x * rate for x in data]; open('left.log', 'a').write('left ')",
    "right = len(data); open('right.log', 'a').write('right ')",
    "both = (left, right); open('both.log', 'a').write('both ')",
)


@pytest.mark.long
def test_a_changed_parameter_reruns_what_depends_on_it(bench) -> None:
    given = {"parameters": "rate = 1", "values": {"rate": 2}}
    failed = bench.run(*DIAMOND, "1/0", "print(both)", **given)
    assert failed.checkpoints, "the state before the failing cell was kept"
    fixed = notebook(*DIAMOND, "n = 1", "print(both, rate)", parameters="rate = 1")
    resumed = bench.resume(failed.run.id, fixed, parameters={"rate": 10})
    assert states(resumed) == ["reused", "executed", "reused", "executed", "reused", *["executed"] * 3]
    assert bench.printed(resumed.run.id, 7) == "([10, 20, 30], 3) 10\n"
    ran = {name: (bench.directory / f"{name}.log").read_text() for name in ("load", "left", "right", "both")}
    assert ran == {"load": "load ", "left": "left left ", "right": "right ", "both": "both both "}


@pytest.mark.long
def test_an_edit_above_runs_again_what_it_changed_in_place(bench) -> None:
    once = "big = open('ran', 'a').write('x')"
    failed = bench.run("rows = []", once, "rows.append(1)", "n = len(rows)", "1/0", "print(rows, n)")
    fixed = notebook("rows = []", once, "rows.append(2)", "n = len(rows)", "", "print(rows, n)")
    resumed = bench.resume(failed.run.id, fixed)
    assert states(resumed)[2:] == ["executed"] * 4
    assert bench.printed(resumed.run.id, 5) == "[2] 1\n"
    assert (bench.directory / "ran").read_text() == "x"


@pytest.mark.long
def test_a_run_that_fails_while_cells_run_again_is_resumed_from_the_same_state(bench) -> None:
    failed = bench.run("a = 1", "b = open('ran', 'a').write('x')", "c = a", "1/0", "print(a, b, c)")
    once = "b = open('ran', 'a').write('x')"
    second = bench.resume(failed.run.id, notebook("a = 1", once, "c = a / 0", "", ""))
    assert (second.run.state, second.run.error.cell) == (RunState.FAILED, 2)
    last = notebook("a = 1", once, "c = a + 1", "", "print(a, b, c)")
    third = bench.resume(second.run.id, last)
    assert (third.run.state, bench.printed(third.run.id, 4)) == (RunState.SUCCEEDED, "1 1 2\n")
    assert (bench.directory / "ran").read_text() == "x"


@pytest.mark.long
@pytest.mark.parametrize("ends", quick({1}, ["c = a / 0", "import os; os.kill(os.getpid(), 9)"]))
def test_an_edit_that_fails_at_once_leaves_the_state_that_it_started_from(bench, ends: str) -> None:
    once = "b = open('ran', 'a').write('x')"
    only_failures = JobSettings(checkpoint_share=0)
    failed = bench.run("a = 1", once, "c = a", "1/0", "print(a, b, c)", settings=only_failures)
    assert [checkpoint.cell for checkpoint in failed.checkpoints] == [2]
    second = bench.resume(failed.run.id, notebook("a = 1", once, ends, "", "print(a, b, c)"))
    assert states(second) == ["reused", "reused", "failed", "skipped", "skipped"]
    third = bench.resume(second.run.id, notebook("a = 1", once, "c = a + 1", "", "print(a, b, c)"))
    assert states(third)[:2] == ["reused", "reused"]
    assert bench.printed(third.run.id, 4) == "1 1 2\n"
    assert (bench.directory / "ran").read_text() == "x"


@pytest.mark.long
def test_a_failure_after_cells_ran_again_can_be_resumed_with_what_they_made(bench) -> None:
    failed = bench.run("a = 1", "b = 2", "c = a", "1/0", "print(a, b, c)")
    second = bench.resume(failed.run.id, notebook("a = 5", "b = 2", "c = a", "2/0", "print(a, b, c)"))
    assert states(second) == ["executed", "reused", "executed", "failed", "skipped"]
    third = bench.resume(second.run.id, notebook("a = 5", "b = 2", "c = a", "", "print(a, b, c)"))
    assert states(third) == ["reused", "reused", "reused", "executed", "executed"]
    assert bench.printed(third.run.id, 4) == "5 2 5\n"


@pytest.mark.long
def test_what_could_not_be_stored_is_made_again_when_that_is_agreed(bench) -> None:
    cells = ("data = [1, 2]", "gen = (x for x in data)", "n = 3", "1/0", "print(next(gen), n)")
    failed = bench.run(*cells)
    fixed = notebook(*cells[:3], "", cells[4])
    with pytest.raises(Conflict, match="agree that cell 1 run"):
        bench.resume(failed.run.id, fixed)
    resumed = bench.resume(failed.run.id, fixed, rerun_producers=True)
    assert states(resumed) == ["reused", "executed", "reused", "executed", "executed"]
    assert bench.printed(resumed.run.id, 4) == "1 3\n"


MODEL = """
import fractions, pathlib
def load(path):
    pathlib.Path(path).read_text()
    return Model()
class Model(fractions.Fraction):
    name = "trained"
    def __reduce__(self):
        return (load, ("needed",))
model = Model()
"""


def unloadable(bench, *rest: str) -> RunDetail:
    """A failed run whose `model` needs a file that is gone by now."""
    needed: Path = bench.directory / "needed"
    needed.write_text("")
    failed: RunDetail = bench.run(MODEL, "y = 1", "1/0", *rest, settings=JobSettings(checkpoint_share=1))
    needed.unlink()
    return failed


def test_a_cell_that_reads_a_variable_which_does_not_load_is_not_run(bench) -> None:
    last = "try:\n    print(model.name)\nexcept NameError:\n    print('silently another')"
    failed = unloadable(bench, last)
    resumed = bench.resume(failed.run.id, notebook(MODEL, "y = 1", "", last))
    assert (resumed.run.state, resumed.run.error.name) == (RunState.FAILED, "RestoreFailed")
    assert states(resumed) == ["reused", "reused", "skipped", "skipped"]
    for told in ("cell 3 reads model", "FileNotFoundError", "tag cell 0 respawn:always", "restart"):
        assert told in resumed.run.error.value


@pytest.mark.long
def test_a_variable_that_does_not_load_and_is_not_read_is_noted(bench) -> None:
    failed = unloadable(bench, "y")
    resumed = bench.resume(failed.run.id, notebook(MODEL, "y = 1", "z = 2", "print(y)"))
    assert (resumed.run.state, bench.printed(resumed.run.id, 3)) == (RunState.SUCCEEDED, "1\n")
    assert "not restored: model" in resumed.cells[2].note
    assert [item.name for item in resumed.checkpoints[-1].unstored] == ["model"]


def test_a_variable_that_nobody_compared_is_named_in_the_record_and_in_the_plan(bench, capsys) -> None:
    made = "rows = [[1], [2]]\nmany = {str(n): [n] for n in range(3)}\ncount = 3"
    failed = bench.run(made, "1/0", settings=JobSettings(checkpoint_share=1, snapshot_fork=False))
    (group,) = failed.checkpoints[-1].unchecked
    assert (group.names, group.count) == (["many", "rows"], 2)
    assert "the kernel wrote it itself" in group.reason
    printing.plan(bench.service.plan(failed.run.id, ResumeRequest(notebook=text(notebook(made, "1")))))
    assert (
        "note: stored but not compared with the original: many, rows; the kernel" in capsys.readouterr().out
    )


@pytest.mark.long
def test_a_setting_of_what_is_displayed_can_be_set_again(bench) -> None:
    """What shows floats is a function that asks its formatter: the restored one must ask the kernel's own."""
    failed = bench.run("%precision 2", "3.14159", "1/0", "3.14159")
    resumed = bench.resume(failed.run.id, notebook("%precision 2", "3.14159", "%precision 4", "3.14159"))
    assert states(resumed)[:2] == ["reused", "reused"]
    (shown,) = bench.service.outputs(resumed.run.id, 3)
    assert shown["data"] == {"text/plain": "3.1416"}


@pytest.mark.long
def test_a_variable_that_does_not_load_may_be_made_again(bench) -> None:
    failed = unloadable(bench, "model")
    always = notebook(MODEL, "y = 1", "", "print(model.name)", tags={0: ["respawn:always"]})
    resumed = bench.resume(failed.run.id, always)
    assert bench.printed(resumed.run.id, 3) == "trained\n"


@pytest.mark.long
def test_a_run_with_a_cell_that_showed_an_error_goes_on_from_before_that_cell(bench) -> None:
    shows = "rows.append(2)\ntry:\n    1/0\nexcept ZeroDivisionError:\n    get_ipython().showtraceback()"
    failed = bench.run("rows = [1]", shows, "rows.append(3)", "print(rows)")
    assert (failed.run.state, failed.run.error.cell, failed.run.error.name) == (
        RunState.FAILED,
        1,
        "ZeroDivisionError",
    )
    assert states(failed) == ["executed", "failed", "executed", "executed"]
    assert bench.printed(failed.run.id, 3) == "[1, 2, 3]\n"
    fixed = notebook("rows = [1]", "rows.append(20)", "rows.append(3)", "print(rows)")
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert [cell.why for cell in plan.cells[1:]] == ["edited", *["it ran after a cell that failed"] * 2]
    resumed = bench.resume(failed.run.id, fixed)
    assert states(resumed) == ["reused", "executed", "executed", "executed"]
    assert bench.printed(resumed.run.id, 3) == "[1, 20, 3]\n"


@pytest.mark.long
def test_features_of_future_and_the_stack_of_directories_hold_after_a_resume(bench) -> None:
    (bench.directory / "sub").mkdir()
    above = ("from __future__ import annotations", "%pushd sub")
    last = (
        "def f(a: Missing): ...",
        "f.__annotations__",
        "%popd\nimport os; print(os.path.basename(os.getcwd()))",
    )
    failed = bench.run(*above, "1/0", *last)
    resumed = bench.resume(failed.run.id, notebook(*above, "", *last))
    assert states(resumed)[:2] == ["reused", "reused"]
    assert bench.service.outputs(resumed.run.id, 4)[0]["data"] == {"text/plain": "{'a': 'Missing'}"}
    assert bench.printed(resumed.run.id, 5).splitlines()[-1] == bench.directory.name


@pytest.mark.long
def test_results_by_prompt_are_those_of_a_run_from_the_top(bench) -> None:
    cells = ("a = 1", "b = 1", "b + 5", "b + 6", "1/0", "print(Out[4], _3, In[2], len(In))")
    failed = bench.run(*cells, settings=JobSettings(checkpoint_share=1))
    fixed = notebook("a = 1", "b = 2", "b + 5", "b + 6", "y = 2", "print(Out[4], _3, In[2], len(In))")
    resumed = bench.resume(failed.run.id, fixed)
    assert states(resumed)[0] == "reused"
    assert bench.printed(resumed.run.id, 5) == "8 7 b = 2 7\n"
