"""`respawn admin gc` on an embedded store, which no service looks after."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from respawn_jobs.api.service import RunRequest
from respawn_jobs.cli.common.service_connection import connection
from respawn_jobs.cli.entry import run_command
from respawn_jobs.clock import utc_now
from respawn_jobs.store.service_tables import RunOutboxRow
from support.notebooks import notebook, text
from support.runners import PlayedRunner


def test_runs_that_their_job_no_longer_keeps_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.ipynb").write_text(text(notebook("a = 1")))
    assert run_command(["promote", "report.ipynb", "--name", "report", "--keep-runs", "2"]) == 0
    with connection() as connected:
        assert connected.ledger is not None
        runs = []
        for _ in range(4):
            runs.append(connected.service.run(RunRequest(job="report")).id)
            runner = PlayedRunner(connected.ledger, runs[-1])
            runner.begin()
            runner.succeed()
        with connected.ledger.database.session(write=True) as session:
            session.execute(update(RunOutboxRow).values(at=utc_now() - timedelta(days=2)))
    assert run_command(["admin", "gc", "--json"]) == 0
    capsys.readouterr()
    assert run_command(["runs", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert sorted(run["id"] for run in shown) == sorted(runs[2:])
