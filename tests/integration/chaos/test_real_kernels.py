"""Whatever is killed, the kernels of runs among it, each run computes what it would have computed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respawn_jobs.model.runs import RunState
from support.chaos.kernels import run
from support.postgres import Postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_SEED = int(os.environ.get("RESPAWN_CHAOS_SEED", "20270404"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("runs", "strikes"),
    [pytest.param(4, 6, id="short"), pytest.param(8, 12, id="long", marks=pytest.mark.slow)],
)
def test_runs_go_on_with_their_state_when_kernels_runners_and_replicas_are_killed(
    postgres: Postgres, tmp_path: Path, runs: int, strikes: int
) -> None:
    url = postgres.prepared()
    try:
        story = run(_SEED, runs, strikes, tmp_path, url, lambda: postgres.disconnect(url))
    finally:
        postgres.drop(url)
    told = (
        f"seed {story.seed}, faults {dict(story.faults)}, {story.attempts} attempts, {story.resumed} resumed"
    )
    assert not story.wrong, "\n".join([told, *story.wrong, story.log])
    assert story.faults["kill a kernel"] > 0, told
    # Most do: the others were stopped between their effect and the state after it.
    assert sum(run.state is RunState.SUCCEEDED for run in story.runs) >= 2, told
