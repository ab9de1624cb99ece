"""Two replicas of different releases, each a process of its own, on one PostgreSQL and one store of blobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import RunState
from respawn_jobs.remote.client import RemoteService
from support.later_releases import installed_0_2
from support.lonely import TOKEN, LonelyService, answering_hub, lonely_service
from support.notebooks import notebook, text
from support.postgres import Postgres
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.long]


def _client(service: LonelyService) -> RemoteService:
    return RemoteService.connect(service.url, TOKEN)


def _ended(client: RemoteService, runs: list[str]) -> set[str | None]:
    """Wait until runs have succeeded, and return the replicas that executed them."""
    by: set[str | None] = set()
    for run in runs:
        wait_for(lambda run=run: client.show(run).run.state.final, 120, f"the end of {run}")
        detail = client.show(run)
        assert detail.run.state is RunState.SUCCEEDED, detail.run.error
        by |= {attempt.replica for attempt in detail.attempts}
    return by


def _held(go: Path) -> str:
    return f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.05)"


def test_an_old_and_a_new_replica_work_on_one_database(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.prepared()
    shared = {
        "RESPAWN_DB_URL": url,
        "RESPAWN_BLOBS_URL": (tmp_path / "blobs").as_uri(),
        "RESPAWN_MAX_RUNNING": "1",
    }
    newer = {**shared, "PYTHONPATH": installed_0_2(tmp_path / "next")}
    with answering_hub() as hub:
        with lonely_service(tmp_path / "old", hub, **shared) as old:
            client = _client(old)
            held = text(notebook(_held(tmp_path / "go")))
            job = client.promote(Promotion(name="report", notebook=held)).job
            before = client.run(RunRequest(job=job)).id
            wait_for(lambda: client.show(before).run.state is RunState.RUNNING, 60, "its start")

            with lonely_service(
                tmp_path / "new", hub, **newer
            ) as new:  # it migrates while the old one runs a run
                later = _client(new)
                assert later.show(before).run.state is RunState.RUNNING
                asked = [one.run(RunRequest(job=job)).id for one in (client, later)]
                wait_for(
                    lambda: (
                        {client.show(run).run.state for run in (before, *asked)}
                        == {RunState.RUNNING, RunState.QUEUED}
                    ),
                    60,
                    "a run of each replica",
                )
                (tmp_path / "go").touch()
                assert len(_ended(client, [before, *asked])) == 2, "each executed one"
                assert [run.id for run in client.runs()] == [run.id for run in later.runs()]
                client.close()

                old.process.terminate()  # the last of the old ones goes; a run that it took goes on elsewhere
                old.process.wait(60)
                assert len(_ended(later, [later.run(RunRequest(job=job)).id])) == 1
                later.close()
        with lonely_service(tmp_path / "old", hub, **shared) as old:  # a step back, of the code alone
            client = _client(old)
            assert len(_ended(client, [client.run(RunRequest(job=job)).id])) == 1
            assert "newer version of Respawn (0.2) extended it" in str(old.health())
            client.close()
    postgres.drop(url)
