"""The life of jobs over HTTP is that of the ledger: the same answers, and the same refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from respawn_hub.auth import dependencies
from respawn_hub.hub.client import HubUser
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.api.versions import CurrentRequest, JobChange
from respawn_jobs.errors import Conflict, InvalidInput, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.remote.client import RemoteService
from support.ledgers import prepared_data
from support.notebooks import notebook, text
from support.service import served

pytestmark = pytest.mark.integration


@pytest.fixture(params=["in process", "over HTTP"])
def ada(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A person who may edit her jobs, one of which has two versions."""
    scopes = frozenset({"custom:respawn:edit!user=ada"})

    async def hub_user(*_: object, **_options: object) -> HubUser:
        return HubUser(name="ada", kind="user", scopes=scopes, groups=frozenset())

    monkeypatch.setattr(dependencies, "hub_user", hub_user)
    ledger = Ledger.embedded(
        prepared_data(tmp_path / "data"), clock=lambda: datetime(2026, 3, 2, 8, tzinfo=UTC)
    )
    with served(ledger, tmp_path) as url:
        here = ledger.as_actor(Actor("ada", scopes))
        for value in (1, 2):
            here.promote(Promotion(name="report", notebook=text(notebook(f"a = {value}"))))
        service: Service = here if request.param == "in process" else RemoteService(url, "token")
        yield service
        service.close()
    ledger.close()


def test_a_job_lives_and_ends(ada: Service) -> None:
    assert ada.make_current("report", CurrentRequest(version=1, seen=2)).version == 1
    with pytest.raises(Conflict, match="is 1, not 2: ada made it so"):
        ada.make_current("report", CurrentRequest(version=2, seen=2))
    ada.remove_version("report", 2)
    with pytest.raises(NotFound, match="has no version 2"):
        ada.remove_version("report", 2)
    with pytest.raises(InvalidInput, match="is not a job name"):
        ada.change_job("report", JobChange(name="No Name"))
    assert ada.change_job("report", JobChange(name="summary")).ref == "user/ada/summary"
    assert ada.job("report").name == "summary"
    run = ada.run(RunRequest(job="summary"))
    with pytest.raises(Conflict, match=f"cannot be archived: {run.id} has not ended"):
        ada.change_job("summary", JobChange(archived=True))
    ada.cancel(run.id)
    ada.remove_run(run.id)
    with pytest.raises(NotFound):
        ada.show(run.id)
    with pytest.raises(Conflict, match="is not archived"):
        ada.remove_job("summary")
    assert ada.change_job("summary", JobChange(archived=True)).archived_by == "ada"
    with pytest.raises(Conflict, match="is archived, since 2026-03-02 08:00 UTC by ada"):
        ada.run(RunRequest(job="summary"))
    assert (ada.jobs(), [job.name for job in ada.jobs(archived=True)]) == ([], ["summary"])
    ada.remove_job("summary")
    assert ada.jobs(archived=True) == []
