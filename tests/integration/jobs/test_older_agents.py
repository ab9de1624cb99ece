"""Environments keep an older or a newer agent than the runner: what both can goes on, the rest is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.model.runs import RunState
from support.bench import Bench
from support.notebooks import notebook
from support.older_agents import first_agent, later_agent

pytestmark = pytest.mark.integration


@pytest.mark.long
def test_a_run_with_a_first_agent_is_held_resumed_and_gives_what_a_run_from_the_top_does(
    bench: Bench, tmp_path: Path
) -> None:
    kernel = first_agent(tmp_path)
    cells = [
        "print('begins')",
        "scale = 2",
        "table = list(range(5))",
        "total = sum(table) * scale",
        "if scale == 2: raise ValueError('fix me')",
        "print(total, list(n for n in globals() if n in ('scale', 'table', 'total')))",
    ]
    failed = bench.run(*cells, kernel=kernel)
    assert failed.run.state is RunState.FAILED
    assert failed.checkpoints

    cells[1] = "scale = 3"
    resumed = bench.resume(failed.run.id, notebook(*cells, kernel=kernel))

    assert resumed.run.state is RunState.SUCCEEDED
    assert "reused" in [cell.state.value for cell in resumed.cells]
    assert bench.printed(resumed.run.id, 5).startswith("30 ")
    notes = " ".join(cell.note or "" for cell in resumed.cells)
    assert "the agent in the kernel's environment is older than that" in notes


def test_a_run_with_a_later_agent_runs_without_snapshots_and_says_what_to_do(
    bench: Bench, tmp_path: Path
) -> None:
    detail = bench.run("x = 1", "1 / 0", kernel=later_agent(tmp_path))
    assert detail.run.state is RunState.FAILED
    assert detail.checkpoints == []
    notes = " ".join(cell.note or "" for cell in detail.cells)
    assert "speaks protocol 2, and this runner knows 1: update the service" in notes
