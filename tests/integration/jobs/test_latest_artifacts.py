"""`respawn.latest` gives a run what another job kept, and what goes on from the run the same."""

from __future__ import annotations

import pytest

from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.model.runs import RunState
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

TRAIN = """
import respawn
class Model:
    def __init__(self, n): self.n = n
respawn.save("model", Model({n}))
"""
READ = "import respawn\nmodel = respawn.latest('train/model')\nprint(model.n)"


def train(bench, n: int) -> str:
    made = text(notebook(TRAIN.format(n=n)))
    bench.service.promote(Promotion(name="train", notebook=made, directory=str(bench.directory)))
    run = bench.execute(bench.service.run(RunRequest(job="train")).id)
    assert run.run.state is RunState.SUCCEEDED
    return str(run.run.id)


def test_a_run_and_what_resumes_it_read_the_same_and_a_restart_the_newest(bench) -> None:
    first = train(bench, 1)
    other, failed = bench.run(READ, "1 / 0"), bench.run(READ, "1 / 0")
    assert bench.printed(failed.run.id, 0) == "1\n"
    (read,) = bench.service.artifacts(failed.run.id)
    assert (read.name, read.made_in, read.cell) == ("train/model", first, 0)
    train(bench, 2)
    again = (
        "print(respawn.latest('train/model').n, respawn.latest('train/other', 'none'), respawn.artifacts())"
    )
    resumed = bench.resume(failed.run.id, notebook(READ, again))
    assert bench.printed(resumed.run.id, 1) == "1 none []\n"
    fixed = ResumeRequest(notebook=text(notebook(READ)))
    restarted = bench.execute(bench.service.restart(other.run.id, fixed).id)
    assert bench.printed(restarted.run.id, 0) == "2\n"
    readers = [one.run for one in bench.service.readers(first)]
    assert readers == [resumed.run.id, failed.run.id, other.run.id]


def test_without_one_the_error_says_so_and_a_default_is_given(bench) -> None:
    given = "import respawn\nprint(respawn.latest('train/model', 7))"
    detail = bench.run(given, "respawn.latest('train/model')")
    assert bench.printed(detail.run.id, 0) == "7\n"
    assert detail.run.error.name == "ArtifactNotFound"
    assert "there is no job user/ada/train" in detail.run.error.value
