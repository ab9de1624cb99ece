"""A runner of the first version, as it was recorded, is served by today's service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import PROTOCOL
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text
from support.service import served

pytestmark = pytest.mark.integration
RECORDED = Path(__file__).parents[1] / "data" / "protocol" / "runner-1.json"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture
def queued(ledger: Ledger) -> str:
    ada = ledger.as_actor(Actor.owner("ada"))
    version = ada.promote(Promotion(name="report", notebook=text(notebook("print(2)"))))
    return ada.run(RunRequest(job=version.job)).id


def _filled(document: Any, ids: dict[str, str]) -> Any:
    written = json.dumps(document)
    for name, value in ids.items():
        written = written.replace(f"{{{name}}}", value)
    return json.loads(written)


def test_a_recorded_attempt_of_the_first_version_ends_as_it_did(
    ledger: Ledger, queued: str, tmp_path: Path
) -> None:
    recorded = json.loads(RECORDED.read_text())
    blobs = {name: content.encode() for name, content in recorded["blobs"].items()}
    ids = {name: digest_of(content) for name, content in blobs.items()}
    attempt, token = ledger.open_attempt(queued, "test")
    with (
        served(ledger, tmp_path) as url,
        httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30) as client,
    ):
        for request in recorded["requests"]:
            sent: dict[str, Any] = {}
            if "blob" in request:
                sent = {"content": blobs[request["blob"]]}
            elif "json" in request:
                sent = {"json": _filled(request["json"], ids)}
            path = _filled(request["path"], ids)
            answer = client.request(request["method"], f"{url}/runner/{attempt}/{path}", **sent)
            assert answer.status_code == request["answers"], f"{path}: {answer.text}"
            assert set(request.get("fields", ())) <= set(answer.json() if "fields" in request else ())

    detail = ledger.as_actor(Actor.owner("ada")).show(queued)
    assert detail.run.state is RunState.SUCCEEDED
    assert [(cell.state.value, cell.seconds) for cell in detail.cells] == [("executed", 1.0)]


@pytest.mark.parametrize("protocol", [0, PROTOCOL + 1])
def test_a_runner_of_an_unknown_protocol_is_refused_and_its_attempt_stays_unclaimed(
    ledger: Ledger, queued: str, tmp_path: Path, protocol: int
) -> None:
    attempt, token = ledger.open_attempt(queued, "test")
    with served(ledger, tmp_path) as url:
        headers = {"Authorization": f"Bearer {token}"}
        claim = f"{url}/runner/{attempt}/claim"
        refused = httpx.post(claim, headers=headers, json={"protocol": protocol})
        assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
        assert "update the service" in refused.json()["message"]
        taken = httpx.post(claim, headers=headers, json={"protocol": PROTOCOL, "can": ["fly"]})
        assert (taken.status_code, taken.json()["protocol"]) == (200, PROTOCOL)
