"""Whatever is killed where jobs run as their owners, each run computes what it would have computed.

A real hub starts the servers for jobs. `RESPAWN_CHAOS_SEED` sets the seed, which every story prints.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respawn_jobs.model.runs import RunState
from support.chaos.job_servers import FAULTS, QUICK, play

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]

_SEED = int(os.environ.get("RESPAWN_CHAOS_SEED", "20281201"))


@pytest.mark.long
def test_runs_go_on_when_servers_runners_states_and_the_service_are_killed(tmp_path: Path) -> None:
    story = play(_SEED, tmp_path, runs=3, faults=QUICK, strikes=6)
    print(story)
    assert not story.wrong, str(story)
    assert len(story.faults) >= 3, str(story)
    assert any(run.state is RunState.SUCCEEDED for run in story.runs), str(story)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(_SEED, _SEED + 4))
def test_runs_go_on_when_the_hub_is_stopped_and_killed_as_well(tmp_path: Path, seed: int) -> None:
    story = play(seed, tmp_path, runs=6, faults=FAULTS, strikes=2 * len(FAULTS))
    print(story)
    assert not story.wrong, str(story)
    assert any(run.state is RunState.SUCCEEDED for run in story.runs), str(story)
