"""Pins, archives and collection over HTTP, as `RemoteService` sees them; and the loop that tidies up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from respawn_hub.auth import dependencies
from respawn_hub.hub.client import HubUser
from respawn_hub.loops.housekeeper import Housekeeper
from respawn_jobs.api.history import ImportRequest, OrphanRequest
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.remote.client import RemoteService
from respawn_jobs.store.service_tables import RunOutboxRow
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.service import served

pytestmark = pytest.mark.integration


@pytest.fixture
def ada(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteService]:
    """Ada over HTTP; the service takes any token for hers, and archives of a megabyte."""

    async def hub_user(*_: object, **_options: object) -> HubUser:
        scopes = frozenset({"custom:respawn:edit!user=ada"})
        return HubUser(name="ada", kind="user", scopes=scopes, groups=frozenset())

    monkeypatch.setattr(dependencies, "hub_user", hub_user)
    monkeypatch.setenv("RESPAWN_MAX_IMPORT", "1M")
    with served(ledger, tmp_path) as url:
        service = RemoteService(url, "token")
        settings = JobSettings(keep_runs=1)
        service.promote(
            Promotion(name="report", notebook=text(notebook("a = 1", "b = a")), settings=settings)
        )
        yield service
        service.close()


def played(ada: RemoteService, ledger: Ledger) -> str:
    run = ada.run(RunRequest(job="report")).id
    runner = PlayedRunner(ledger, run)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    return run


def test_a_run_is_exported_and_imported_over_http(ada: RemoteService, ledger: Ledger, tmp_path: Path) -> None:
    waiting = ada.run(RunRequest(job="report")).id
    with pytest.raises(Conflict, match="still queued"):
        ada.export_run(waiting, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()
    ada.cancel(waiting)
    run = played(ada, ledger)
    ada.export_run(run, tmp_path / "run.zip")
    again = ada.import_run(tmp_path / "run.zip", ImportRequest(job="copy"))
    assert (again.job, again.pinned, again.imported and again.imported.run) == ("user/ada/copy", True, run)
    assert ada.notebook(again.id) == ada.notebook(run)
    assert not ada.pin(again.id, pinned=False).pinned
    with pytest.raises(Forbidden):
        ada.import_run(tmp_path / "run.zip", ImportRequest(namespace="team/risk"))
    (tmp_path / "large.zip").write_bytes(b"0" * (2 << 20))
    with pytest.raises(InvalidInput, match="larger than 1 MiB"):
        ada.import_run(tmp_path / "large.zip", ImportRequest())
    with pytest.raises(Forbidden):
        ada.collect()
    with pytest.raises(Forbidden):
        ada.orphans(OrphanRequest())


def test_the_housekeeper_removes_old_runs_and_later_what_they_stored(
    ada: RemoteService, ledger: Ledger, clock: MovedClock
) -> None:
    first = played(ada, ledger)
    manifest = ada.show(first).checkpoints[0].manifest
    clock.now += timedelta(days=1)
    second = played(ada, ledger)
    with ledger.database.session(write=True) as session:
        session.execute(delete(RunOutboxRow))
    housekeeper = Housekeeper(ledger)
    assert housekeeper.tick() > 0
    assert [run.id for run in ada.runs()] == [second]
    clock.now += timedelta(days=2)
    housekeeper.tick()
    assert not ledger.blobs.exists(manifest)
