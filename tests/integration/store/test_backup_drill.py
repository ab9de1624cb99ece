"""A backup beside a service at work, the loss of everything, and the way back to a failed run's variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import RunState
from respawn_jobs.remote.client import RemoteService
from support.lengths import quick
from support.lonely import TOKEN, LonelyService, answering_hub, start_service
from support.notebooks import notebook, text
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.s3]
_BIN = Path(sys.executable).parent
_CELLS = (
    "import random\nrandom.seed(7)\nloans = [random.random() for _ in range(20_000)]\nprint(len(loans))",
    "largest = sorted(loans)[-3:]\nprint(largest)",
)
_FAILS = (*_CELLS, "share = sum(loans) / 0\nprint(share)", "print(share, largest)")
_FIXED = (*_CELLS, "share = sum(loans) / len(loans)\nprint(share)", "print(share, largest)")


@dataclass
class Place:
    """A store of a service: where its parts are, and how to make them and lose them."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *words: str, status: int = 0, **more: str) -> Any:
        """Return the JSON document of the real command, on the machine of this store."""
        env = {**os.environ, "RESPAWN_DATA": str(self.data), **self.environment, **more}
        done = subprocess.run(
            [_BIN / "respawn", *words, "--json"], env=env, capture_output=True, text=True, timeout=250
        )
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(params=quick({0}, ["sqlite and files", "postgresql and s3"]))
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place, str]]:
    """The store that will be lost, the empty one that it is restored into, and the target of backups."""
    names = tmp_path / "first", tmp_path / "second"
    if request.param == "sqlite and files":
        yield Place(names[0]), Place(names[1]), str(tmp_path / "backups")
        return
    cluster, s3 = request.getfixturevalue("postgres"), request.getfixturevalue("s3_env")
    urls = cluster.empty(), cluster.empty()
    first, second = (
        Place(name, {"RESPAWN_DB_URL": url, "RESPAWN_BLOBS_URL": f"s3://{s3.bucket()}/blobs"})
        for name, url in zip(names, urls, strict=True)
    )
    yield first, second, f"s3://{s3.bucket('backups')}/of/respawn"
    for url in urls:
        cluster.drop(url)


@pytest.fixture
def hub() -> Iterator[int]:
    with answering_hub() as port:
        yield port


@pytest.fixture
def serve(hub: int, tmp_path: Path) -> Iterator[Any]:
    """Start a service over a store; what still runs is ended with all that it started."""
    started: list[LonelyService] = []

    def serve(place: Place) -> LonelyService:
        service = start_service(place.data, hub, log=tmp_path / "service.log", **place.environment)
        started.append(service)
        wait_for(service.healthy, 60, "the service")
        return service

    yield serve
    for service in started:
        if service.process.poll() is None:
            _kill(service)


def _kill(service: LonelyService) -> None:
    """Let the machine of a service die."""
    family = [psutil.Process(service.process.pid), *service.processes()]
    for process in family:
        process.kill()
    service.process.wait(30)
    psutil.wait_procs(family, timeout=30)


@pytest.mark.long
def test_what_was_backed_up_beside_running_notebooks_is_back_and_a_failed_run_goes_on(
    places: tuple[Place, Place, str], serve: Any, tmp_path: Path
) -> None:
    first, second, target = places
    begun, fixed = tmp_path / "begun", tmp_path / "fixed.ipynb"
    service = serve(first)
    ada = RemoteService(service.url, TOKEN)
    ada.promote(Promotion(name="fails", notebook=text(notebook(*_FAILS))))
    failed = ada.run(RunRequest(job="fails")).id
    wait_for(lambda: ada.show(failed).run.state is RunState.FAILED, 90, "the failure")
    source = f"from pathlib import Path\nimport time\nPath({str(begun)!r}).touch()\ntime.sleep(600)"
    ada.promote(Promotion(name="waits", notebook=text(notebook("a = 1", source))))
    waiting = ada.run(RunRequest(job="waits")).id
    wait_for(begun.exists, 90, "the run that executes")

    made = first.command("admin", "backup", target, "--with-keys")
    assert (made["missing"], made["executing"]) == ([], 1)
    assert made["copied"] == made["blobs"] > 5
    old, made = made, first.command("admin", "backup", target, "--with-keys", "--keep", "1")
    assert made["copied"] <= 2, "only what is new"
    assert (made["pruned"]["removed"], made["pruned"]["kept"]) == ([old["id"]], [made["id"]])
    assert service.healthy()
    assert ada.show(waiting).run.state is RunState.RUNNING, "the service and its runs go on"
    ada.close()

    _kill(service)
    shutil.rmtree(first.data)

    restored = second.command("admin", "restore", target, "--backup", made["id"])
    assert (restored["lost"], restored["audit"], restored["missing"]) == ([waiting], None, [])
    assert second.command("admin", "verify", "--deep")["faults"] == []
    assert second.command("audit", "verify")["fault"] is None

    service = serve(second)
    ada = RemoteService(service.url, TOKEN)
    assert ada.show(waiting).run.state is RunState.LOST
    assert "restored from a backup" in ada.show(waiting).run.error.value
    fixed.write_text(text(notebook(*_FIXED)))
    told = second.command(
        "resume", failed, "--notebook", str(fixed), "-o", str(tmp_path / "resumed.ipynb"),
        RESPAWN_URL=service.url, RESPAWN_TOKEN=TOKEN,
    )  # fmt: skip
    assert [cell["state"] for cell in told["cells"]] == ["reused", "reused", "executed", "executed"]
    ada.close()
    assert _outputs(tmp_path / "resumed.ipynb") == _outputs(_by_papermill(fixed, tmp_path / "plain.ipynb"))


def _by_papermill(source: Path, output: Path) -> Path:
    command = [_BIN / "papermill", str(source), str(output), "--no-progress-bar", "--log-level", "ERROR"]
    subprocess.run(command, check=True, capture_output=True, timeout=250)
    return output


def _outputs(path: Path) -> list[str]:
    """Return what each cell printed."""
    cells = json.loads(path.read_text())["cells"]
    return ["".join("".join(one["text"]) for one in cell["outputs"]) for cell in cells]
