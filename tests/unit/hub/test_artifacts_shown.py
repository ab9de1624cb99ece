"""The page and the command show what a run read of other jobs, and which runs have read what it kept."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from respawn_jobs.api.runner_protocol import ArtifactCommit, ArtifactRequest
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.blobs.artifact_parts import sealed
from respawn_jobs.cli.entry import run_command
from respawn_jobs.cli.fix.why import _lines
from respawn_jobs.debug.artifacts import artifacts_line
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from support.clocks import MovedClock
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_in import Browse

RUNS = "/services/respawn/runs"


def begun(ledger: Ledger, ada: ActorService, job: str) -> PlayedRunner:
    ada.promote(Promotion(name=job, notebook=text(notebook("a = 1", "1 / 0"))))
    runner = PlayedRunner(ledger, ada.run(RunRequest(job=job)).id)
    runner.begin()
    return runner


@pytest.fixture
def made(ledger: Ledger, ada: ActorService) -> str:
    """A successful run of `train` that kept a model."""
    return train(ledger, ada, "a <b>model</b>")


def train(ledger: Ledger, ada: ActorService, description: str) -> str:
    runner = begun(ledger, ada, "train")
    digest = runner.put(sealed(runner.run, b"model").decode())
    kept = Artifact(
        name="model", number=3, kind="text", type="str", description=description, file="model.txt",
        size=5, saved_at=datetime.now(UTC), cell=0, parts=[ArtifactPart(digest=digest, size=5)],
    )  # fmt: skip
    runner.port.commit_artifact(ArtifactCommit(artifact=kept))
    runner.succeed()
    return runner.run


@pytest.fixture
def reader(ledger: Ledger, ada: ActorService, made: str) -> str:
    """A failed run of `report` that read the model in its first cell."""
    runner = begun(ledger, ada, "report")
    runner.port.latest_artifact(ArtifactRequest(address="train/model", cell=0))
    runner.execute(0)
    runner.fail(1)
    return runner.run


def test_the_pages_lead_from_a_run_to_what_it_read_and_back(browse: Browse, made: str, reader: str) -> None:
    page = browse("GET", f"{RUNS}/{reader}").text
    [row] = re.findall(r'id="artifacts-read".*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert "train/model" in row
    assert f'href="/services/respawn/runs/{made}"' in row
    assert "a &lt;b&gt;model&lt;/b&gt;" in row
    assert 'id="artifacts"' not in page
    [readers] = re.findall(r'id="readers".*?</ul>', browse("GET", f"{RUNS}/{made}").text, re.DOTALL)
    assert f'href="/services/respawn/runs/{reader}"' in readers


def test_the_command_lists_both(
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    made: str,
    reader: str,
) -> None:
    ledger.close()
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("USER", "ada")
    assert run_command(["artifacts", reader]) == 0
    assert re.search(rf"train/model +3 .*{made}", capsys.readouterr().out)
    assert run_command(["artifacts", made]) == 0
    assert f"model was read by {reader} of user/ada/report" in capsys.readouterr().out


def test_a_debug_notebook_says_how_to_read_it(ada: ActorService, reader: str) -> None:
    assert artifacts_line(ada.artifacts(reader)) == "`train/model` (str): `respawn.latest('train/model')`"


def test_what_another_run_kept_is_told_beside_what_the_last_good_run_read(
    browse: Browse, ledger: Ledger, ada: ActorService, clock: MovedClock, made: str
) -> None:
    good = begun(ledger, ada, "report")
    good.port.latest_artifact(ArtifactRequest(address="train/model", cell=0))
    good.execute(0)
    good.succeed()
    runs = []
    for described in (None, "an empty model"):
        clock.forward(minutes=1)
        newer = train(ledger, ada, described) if described else made
        runs.append(failed := begun(ledger, ada, "report"))
        failed.port.latest_artifact(ArtifactRequest(address="train/model", cell=0))
        failed.execute(0)
        failed.fail(1)
    same, other = (ada.differences(one.run) for one in runs)
    assert not same.artifacts
    [found] = other.artifacts
    assert found.then is not None
    assert (found.then.made_in, found.now.made_in) == (made, newer)
    page = browse("GET", f"{RUNS}/{runs[1].run}").text
    [line] = re.findall(r"<dt>Read from other jobs</dt>.*?</li>", page, re.DOTALL)
    assert re.search(r"a &lt;b&gt;model&lt;/b&gt; of .*→ an empty model of ", line)
    assert f"{made} → an empty model of {newer}" in "\n".join(_lines(other))
