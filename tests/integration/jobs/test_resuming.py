"""A failed run goes on from where it stopped, with the state that it had."""

from __future__ import annotations

import pytest

from respawn_jobs.errors import Conflict
from respawn_jobs.models import RunDetail, RunState
from support.notebooks import notebook

pytestmark = pytest.mark.integration


def states(detail: RunDetail) -> list[str]:
    return [cell.state.value for cell in detail.cells]


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


def test_a_resume_that_fails_again_can_be_resumed_again(bench) -> None:
    failed = bench.run("x = 5", "1/0", "print(x)")
    again = bench.resume(failed.run.id, notebook("x = 5", "[][0]", "print(x)"))
    assert (again.run.state, again.run.error.name) == (RunState.FAILED, "IndexError")
    mended = bench.resume(again.run.id, notebook("x = 5", "x += 1", "print(x)"))
    assert states(mended) == ["reused", "executed", "executed"]
    assert bench.printed(mended.run.id, 2) == "6\n"


def test_cells_tagged_always_run_again_but_keep_what_they_put_out(bench) -> None:
    make = "import threading\nlock = threading.Lock()\nopen('made', 'a').write('x')\nprint('made')"
    tags = {0: ["respawn:always"]}
    failed = bench.run(make, "n = 2", "1/0", tags=tags)
    resumed = bench.resume(failed.run.id, notebook(make, "n = 2", "with lock:\n    print(n)", tags=tags))
    assert (states(resumed), bench.printed(resumed.run.id, 2)) == (["reused", "reused", "executed"], "2\n")
    assert (bench.directory / "made").read_text() == "xx"
    assert bench.printed(resumed.run.id, 0) == "made\n"


def test_a_second_resume_of_the_same_run_is_refused(bench) -> None:
    failed = bench.run("x = 1", "1/0")
    bench.resume(failed.run.id, notebook("x = 1", "x"))
    with pytest.raises(Conflict):
        bench.resume(failed.run.id, notebook("x = 1", "x"))


def test_execution_counts_go_on_where_they_stopped(bench) -> None:
    failed = bench.run("x = 1", "y = 2", "1/0")
    resumed = bench.resume(failed.run.id, notebook("x = 1", "y = 2", "z = 3"))
    assert [cell.execution_count for cell in resumed.cells] == [1, 2, 3]
