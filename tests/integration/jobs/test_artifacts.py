"""What a notebook keeps from within a cell is there for what goes on from the run, with real kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.blobs.artifact_parts import fetch_parts
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.attempts.runner_port import LedgerRunner
from respawn_jobs.model.runs import RunState
from respawn_jobs.model.settings import JobSettings
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

SETUP = "import os, respawn\nimport numpy as np\nrng = np.random.default_rng(0)\nrows = rng.random((500, 3))"
TRAIN = """
start, weights = respawn.load("model", (0, np.zeros(3)))
for epoch in range(start, 8):
    {trouble}
    gradient = rows.T @ (rows @ weights - rows.sum(axis=1)) / len(rows)
    weights = weights - 0.5 * gradient
    print("epoch", epoch)
    respawn.save("model", (epoch + 1, weights))
"""
RESULT = "print(repr(weights.tolist()))"
KILLED = "if epoch == 5: os.kill(os.getpid(), 9)"


def printed_epochs(bench, run: str) -> list[int]:
    lines = bench.printed(run, 1).splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("epoch")]


@pytest.fixture
def uninterrupted(bench) -> str:
    """What a run that nothing happens to comes to."""
    detail = bench.run(SETUP, TRAIN.format(trouble=""), RESULT)
    assert detail.run.state is RunState.SUCCEEDED
    return str(bench.printed(detail.run.id, 2))


@pytest.mark.long
def test_training_goes_on_from_its_last_epoch_when_the_kernel_was_killed(bench, uninterrupted: str) -> None:
    failed = bench.run(SETUP, TRAIN.format(trouble=KILLED), RESULT)
    assert failed.run.error.name == "DeadKernel"
    kept = bench.service.artifacts(failed.run.id)
    assert (kept[0].name, kept[0].number, kept[0].cell) == ("model", 5, 1)
    assert len(kept) <= 2
    resumed = bench.resume(failed.run.id, notebook(SETUP, TRAIN.format(trouble=""), RESULT))
    assert resumed.run.state is RunState.SUCCEEDED
    assert printed_epochs(bench, resumed.run.id) == [5, 6, 7]
    assert bench.printed(resumed.run.id, 2) == uninterrupted
    assert bench.service.artifacts(resumed.run.id)[0].number == 8


@pytest.mark.long
def test_a_retry_goes_on_from_what_the_attempt_before_kept(bench, uninterrupted: str) -> None:
    once = "if epoch == 5 and start == 0: os.kill(os.getpid(), 9)"
    settings = JobSettings(max_attempts=2)
    run = bench.queue(SETUP, TRAIN.format(trouble=once), RESULT, settings=settings)
    assert bench.execute(run).run.state is RunState.QUEUED
    assert bench.execute(run).run.state is RunState.SUCCEEDED
    assert printed_epochs(bench, run) == [5, 6, 7]
    assert bench.printed(run, 2) == uninterrupted


@pytest.mark.long
def test_a_restart_begins_at_the_first_epoch(bench) -> None:
    failed = bench.run(SETUP, TRAIN.format(trouble=KILLED), RESULT)
    fixed = notebook(SETUP, TRAIN.format(trouble=""), RESULT)
    restarted = bench.execute(bench.service.restart(failed.run.id, ResumeRequest(notebook=text(fixed))).id)
    assert printed_epochs(bench, restarted.run.id) == list(range(8))


@pytest.mark.long
def test_an_edit_above_the_cell_leaves_its_artifacts_behind(bench) -> None:
    failed = bench.run(SETUP, TRAIN.format(trouble=KILLED), RESULT)
    other = SETUP.replace("default_rng(0)", "default_rng(1)")
    request = ResumeRequest(notebook=text(notebook(other, TRAIN.format(trouble=""), RESULT)))
    assert any(
        "artifact 'model'" in notice and "cell 0 above it has changed" in notice
        for notice in bench.service.plan(failed.run.id, request).notices
    )
    resumed = bench.execute(bench.service.resume(failed.run.id, request).id)
    assert printed_epochs(bench, resumed.run.id) == list(range(8))


def test_the_last_save_before_the_end_is_stored(bench) -> None:
    detail = bench.run("import respawn\nfor i in range(200): respawn.save('i', i)")
    assert detail.run.state is RunState.SUCCEEDED
    assert bench.service.artifacts(detail.run.id)[0].number == 200


def test_saving_can_wait_until_it_is_stored(bench) -> None:
    run = bench.queue("import respawn\nrespawn.save('a', 1, wait=True)\nprint(respawn.load('a'))")
    assert bench.printed(bench.execute(run).run.id, 0) == "1\n"


@pytest.mark.long
def test_tables_and_arrays_can_be_read_by_other_tools(bench, tmp_path: Path) -> None:
    import numpy as np
    import pandas as pd

    detail = bench.run(
        "import numpy as np, pandas as pd, respawn\n"
        "respawn.save('table', pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']}))\n"
        "respawn.save('large', np.arange(6_000_000))\n"
    )
    found = {one.name: one for one in bench.service.artifacts(detail.run.id)}
    for artifact in found.values():
        fetch_parts(
            artifact.parts, lambda digest: bench.service.blob(detail.run.id, digest), tmp_path / artifact.file
        )
    assert pd.read_parquet(tmp_path / "table.parquet").b.tolist() == ["x", "y"]
    assert len(found["large"].parts) > 1
    assert np.array_equal(np.load(tmp_path / "large.npy"), np.arange(6_000_000))


@pytest.mark.long
def test_what_is_large_comes_back_whole_after_a_resume(bench) -> None:
    first = "import numpy as np, respawn\nrespawn.save('large', np.arange(6_000_000))\n1 / 0"
    failed = bench.run("x = 1", first)
    second = "import respawn\nlarge = respawn.load('large')\nprint(large.sum(), large.flags.writeable)"
    resumed = bench.resume(failed.run.id, notebook("x = 1", second))
    assert bench.printed(resumed.run.id, 1) == f"{sum(range(6_000_000))} True\n"


def test_an_object_of_the_notebooks_own_class_is_one_after_a_resume(bench) -> None:
    make = "class Model:\n    def __init__(self, n): self.n = n"
    failed = bench.run(make, "import respawn\nrespawn.save('model', [Model(3)])\n1 / 0")
    look = "import respawn\n(model,) = respawn.load('model')\nprint(type(model) is Model, model.n)"
    resumed = bench.resume(failed.run.id, notebook(make, look))
    assert bench.printed(resumed.run.id, 1) == "True 3\n"


def test_nothing_kept_and_no_default_is_a_clear_error(bench) -> None:
    detail = bench.run("import respawn\nrespawn.load('model')")
    assert detail.run.error.name == "ArtifactNotFound"
    assert "respawn.load('model', None)" in detail.run.error.value


def test_what_the_service_does_not_take_is_noted_at_the_cell(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("the store is away")

    monkeypatch.setattr(LedgerRunner, "commit_artifact", refuse)
    detail = bench.run("import respawn\nrespawn.save('a', 1)", "respawn.load('a')")
    assert detail.run.state is RunState.SUCCEEDED
    assert "artifact 'a' number 1 is not stored: the store is away" in detail.cells[0].note
