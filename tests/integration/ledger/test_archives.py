"""A run leaves a store as one archive and goes on in a store of another kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.history import ImportRequest
from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import CellState, Run, RunState
from support.postgres import Postgres
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration


@pytest.fixture
def archive(failed: Run, ada, tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    ada.export_run(failed.id, path)
    return path


def test_a_run_moves_from_sqlite_to_postgresql_and_is_resumed_there(
    archive: Path, failed: Run, ada, tmp_path: Path, clock, postgres: Postgres
):
    url = postgres.prepared()
    other = Ledger.open(url, (tmp_path / "blobs elsewhere").as_uri(), clock=clock)
    try:
        cid = other.as_actor(Actor("cid", frozenset({"custom:respawn:edit!user=cid"})))
        run = cid.import_run(archive, ImportRequest())
        assert run.id != failed.id
        assert (run.job, run.trigger, run.state, run.pinned) == (
            "user/cid/report", "import", RunState.FAILED, True,
        )  # fmt: skip
        assert run.imported is not None
        assert (run.imported.run, run.imported.exported_by) == (failed.id, "ada")
        assert run.error == ada.show(failed.id).run.error
        assert cid.show(run.id).cells == ada.show(failed.id).cells
        assert cid.notebook(run.id) == ada.notebook(failed.id)
        assert cid.outputs(run.id, 1) == ada.outputs(failed.id, 1)
        bundle = cid.debug(run.id)
        assert bundle.checkpoint is not None
        assert other.blobs.get(bundle.checkpoint.manifest)
        resumed = cid.resume(run.id, ResumeRequest(load_imported=True))
        assert resumed.resume_from == 2
        runner = PlayedRunner(other, resumed.id)
        for digest in runner.assignment.resume.blobs:
            assert runner.port.get_blob(digest)
        runner.begin()
        runner.execute(2)
        runner.succeed()
        states = [cell.state for cell in cid.show(resumed.id).cells]
        assert states == [CellState.REUSED, CellState.REUSED, CellState.EXECUTED]
        assert [record.action for record in cid.audit()].count("import") == 1
    finally:
        other.close()
        postgres.drop(url)
