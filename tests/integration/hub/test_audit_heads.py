"""The service keeps heads of its audit trail elsewhere, in a file or in S3; the command checks by them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text as sql

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.audit.head_places import AuditHeadStore
from respawn_jobs.remote.client import RemoteService
from support.lengths import quick
from support.lonely import TOKEN, answering_hub, start_service
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.s3]


def verified(data: Path, place: str) -> tuple[int, Any]:
    """Return what the real command says of the trail, by the heads of a place."""
    command = [Path(sys.executable).with_name("respawn"), "audit", "verify", "--head", place, "--json"]
    env = {**os.environ, "RESPAWN_DATA": str(data)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.parametrize("kind", quick({0, 1}, ["file", "s3"]))
def test_an_end_that_somebody_cut_off_is_found_by_the_heads_that_were_kept(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data, place = tmp_path / "data", str(tmp_path / "elsewhere" / "heads.jsonl")
    if kind == "s3":
        place = f"s3://{request.getfixturevalue('s3_env').bucket('heads')}/of/respawn"

    def kept() -> int:
        try:
            return len(AuditHeadStore(place).text().splitlines())
        except Exception:  # not there yet
            return 0

    with answering_hub() as hub:
        settings = {"RESPAWN_AUDIT_HEADS": place, "RESPAWN_AUDIT_HEADS_SECONDS": "1"}
        service = start_service(data, hub, log=tmp_path / "service.log", **settings)
        try:
            wait_for(service.healthy, 60, "the service")
            ada = RemoteService(service.url, TOKEN)
            ada.promote(Promotion(name="report", notebook=text(notebook("1"))))
            if kind == "file":
                wait_for(lambda: "audit heads" in str(service.health()), 30, "health to name the trouble")
                Path(place).parent.mkdir()
            wait_for(lambda: kept() >= 1, 60, "the head of the promotion")
            before = kept()
            ada.run(RunRequest(job="report"))
            wait_for(lambda: kept() > before, 60, "the head of the run")
            ada.close()
        finally:
            service.process.terminate()
            service.process.wait(60)

    status, told = verified(data, place)
    assert (status, told["fault"], told["kept"] >= 2) == (0, None, True)
    ledger = Ledger.embedded(data)
    with ledger.database.session(write=True) as session:
        session.execute(sql("DELETE FROM audit WHERE seq > 1"))
        session.execute(sql("UPDATE audit_head SET seq = 1, hash = (SELECT hash FROM audit WHERE seq = 1)"))
    ledger.close()
    (data / "audit-head.json").unlink()
    status, told = verified(data, place)
    assert (status, told["fault"]["record"], told["fault"]["kind"]) == (1, 2, "missing")
