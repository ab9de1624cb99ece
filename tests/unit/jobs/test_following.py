"""The command follows a run at a service to its end, in whatever state it waits meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from respawn_jobs.cli.common import execution
from respawn_jobs.model.runs import Run, RunDetail, RunState
from respawn_jobs.remote.connection import read

NOTE = "suspended by root: the budget is used up; when it is released, it continues from cell 2"


def detail(state: str, waiting: str | None = None) -> RunDetail:
    run = Run(
        id="run-1", job="user/ada/report", version=1, kernel="python3", state=RunState.QUEUED,
        created_by="ada", created_at=datetime(2026, 3, 1, tzinfo=UTC), waiting=waiting,
    )  # fmt: skip
    return read(RunDetail, RunDetail(run=run).model_dump_json().replace('"queued"', f'"{state}"').encode())


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Follow a run that is seen in these states; returns how it ended and the pauses between the looks."""

    def follow(*seen: RunDetail) -> tuple[RunDetail, list[float]]:
        pauses: list[float] = []
        monkeypatch.setattr(execution.time, "sleep", pauses.append)
        left = list(seen)
        service: Any = SimpleNamespace(show=lambda _: left.pop(0))
        connected: Any = SimpleNamespace(service=service, ledger=None)
        ended, _ = execution.see_through(connected, "run-1", tmp_path / "out.ipynb", lambda _: None)
        assert left == []
        return ended, pauses

    return follow


def test_a_run_of_an_unknown_state_is_waited_for_without_haste_and_told_once(follow, capsys):
    ended, pauses = follow(
        detail("hibernated"), detail("hibernated"), detail("hibernated"), detail("succeeded")
    )
    assert ended.run.state is RunState.SUCCEEDED
    assert pauses == [0.5] * 3
    told = capsys.readouterr().err
    assert told.count("run-1 is in a state that is unknown here") == 1


def test_a_suspended_run_is_waited_for_and_says_for_what(follow, capsys):
    ended, pauses = follow(
        detail("suspended", NOTE), detail("suspended", NOTE), detail("queued"), detail("cancelled")
    )
    assert ended.run.state is RunState.CANCELLED
    assert pauses == [0.5] * 3
    assert capsys.readouterr().err.count(NOTE) == 1
