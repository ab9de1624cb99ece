"""What every `RunnerPort` and `Service` promises of artifacts, in-process and over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.runner_protocol import ArtifactCommit, ArtifactRequest, Outcome, RunnerPort
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.blobs.artifact_parts import sealed
from respawn_jobs.errors import Fenced, InvalidInput, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from respawn_jobs.model.runs import CellError
from respawn_jobs.remote.client import RemoteRunner
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text
from support.service import served

pytestmark = pytest.mark.integration
Open = Callable[[str], RunnerPort]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="module")
def ledger(data: Path) -> Iterator[Ledger]:
    ledger = Ledger.embedded(data)
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def url(ledger: Ledger, data: Path) -> Iterator[str]:
    with served(ledger, data) as url:
        yield url


@pytest.fixture
def ada(ledger: Ledger) -> Service:
    return ledger.as_actor(Actor.owner("ada"))


@pytest.fixture(params=["in-process", "http"])
def open_port(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[Open]:
    """Opens the next attempt of a run."""
    opened: list[RunnerPort] = []

    def open_port(run: str) -> RunnerPort:
        attempt, token = ledger.open_attempt(run, "test")
        if request.param == "in-process":
            opened.append(ledger.runner(attempt, token))
        else:
            opened.append(RemoteRunner(request.getfixturevalue("url"), attempt, token))
        return opened[-1]

    yield open_port
    for port in opened:
        port.close()


@pytest.fixture
def run(ada: Service) -> str:
    version = ada.promote(Promotion(name="report", notebook=text(notebook("x = 1", "x + 1"))))
    return ada.run(RunRequest(job=version.job)).id


@pytest.fixture
def port(open_port: Open, run: str) -> RunnerPort:
    opened = open_port(run)
    opened.claim()
    return opened


def artifact(run: str, data: bytes = b"weights", **more: object) -> ArtifactCommit:
    parts = [ArtifactPart(digest=digest_of(sealed(run, data)), size=len(data))]
    values = {
        "name": "model", "number": 1, "kind": "bytes", "type": "bytes", "file": "model.bin", "cell": 0,
        "size": len(data), "saved_at": datetime.now(UTC), "parts": parts, **more,
    }  # fmt: skip
    return ArtifactCommit(artifact=Artifact.model_validate(values))


def put(port: RunnerPort, run: str, data: bytes = b"weights", **more: object) -> Artifact:
    blob = sealed(run, data)
    port.put_blob(digest_of(blob), blob)
    commit = artifact(run, data, **more)
    port.commit_artifact(commit)
    return commit.artifact


def test_an_artifact_counts_once_its_parts_are_there(port: RunnerPort, ada: Service, run: str) -> None:
    with pytest.raises(InvalidInput, match="was not put"):
        port.commit_artifact(artifact(run))
    assert ada.artifacts(run) == []
    put(port, run)
    (kept,) = ada.artifacts(run)
    assert (kept.name, kept.number, kept.made_in, kept.attempt, kept.cell) == ("model", 1, run, 1, 0)
    assert ada.blob(run, kept.parts[0].digest) == sealed(run, b"weights")


def test_the_two_newest_of_a_name_stay_and_the_bytes_of_others_are_gone(
    port: RunnerPort, ada: Service, ledger: Ledger, run: str
) -> None:
    epochs = [put(port, run, f"epoch {number}".encode(), number=number) for number in range(1, 6)]
    put(port, run, b"else", name="other")
    named = [(one.name, one.number) for one in ada.artifacts(run)]
    assert named == [("model", 5), ("model", 4), ("other", 1)]
    stored = [ledger.blobs.exists(epoch.parts[0].digest) for epoch in epochs]
    assert stored == [False, False, False, True, True]
    with pytest.raises(NotFound):
        ada.blob(run, epochs[0].parts[0].digest)


def test_bytes_that_came_back_after_they_were_replaced_are_kept(
    port: RunnerPort, ledger: Ledger, run: str
) -> None:
    for number, data in enumerate([b"a", b"b", b"c", b"a"], 1):
        put(port, run, data, number=number)
    assert ledger.blobs.exists(digest_of(sealed(run, b"a")))
    assert not ledger.blobs.exists(digest_of(sealed(run, b"b")))


def test_saying_it_twice_changes_nothing(port: RunnerPort, ada: Service, run: str) -> None:
    put(port, run)
    put(port, run)
    assert [one.number for one in ada.artifacts(run)] == [1]


def test_replacing_an_artifact_removes_no_blob_that_is_something_else(
    port: RunnerPort, ledger: Ledger, run: str
) -> None:
    outputs = b"[]" + run.encode()
    port.put_blob(digest_of(outputs), outputs)
    part = ArtifactPart(digest=digest_of(outputs), size=2)
    port.commit_artifact(artifact(run, b"[]", parts=[part]))
    for number in (2, 3, 4):
        put(port, run, b"%d" % number, number=number)
    assert ledger.blobs.exists(digest_of(outputs))


@pytest.mark.parametrize("wrong", [{"name": "../x"}, {"name": ""}, {"size": 8}, {"kind": "x" * 40}], ids=str)
def test_what_cannot_be_an_artifact_is_refused(port: RunnerPort, run: str, wrong: dict[str, object]) -> None:
    blob = sealed(run, b"weights")
    port.put_blob(digest_of(blob), blob)
    with pytest.raises(InvalidInput):
        port.commit_artifact(artifact(run, **wrong))


def test_a_fenced_attempt_commits_no_artifact(port: RunnerPort, ada: Service, run: str) -> None:
    put(port, run)
    port.finish(Outcome(state="failed", error=CellError(cell=0, name="X", value="")))
    with pytest.raises(Fenced):
        port.commit_artifact(artifact(run, number=2))
    assert [one.number for one in ada.artifacts(run)] == [1]


def test_the_next_attempt_and_the_run_that_resumes_are_given_the_latest(
    port: RunnerPort, open_port: Open, ada: Service, ledger: Ledger, run: str
) -> None:
    put(port, run)
    put(port, run, b"better", number=2)
    port.finish(Outcome(state="failed", error=CellError(cell=0, name="X", value="")))
    resumed = ada.resume(run, ResumeRequest())
    following = open_port(resumed.id)
    (given,) = following.claim().artifacts
    assert (given.number, given.made_in, given.attempt) == (2, run, 0)
    assert following.get_blob(given.parts[0].digest) == sealed(run, b"better")
    put(following, resumed.id, b"best", number=3)
    for number in (4, 5):
        put(following, resumed.id, b"even better %d" % number, number=number)
    assert [one.number for one in ada.artifacts(resumed.id)] == [5, 4]
    assert [one.number for one in ada.artifacts(run)] == [2, 1]
    assert ledger.blobs.exists(given.parts[0].digest)


def test_a_restart_begins_without_artifacts(
    port: RunnerPort, open_port: Open, ada: Service, run: str
) -> None:
    put(port, run)
    port.finish(Outcome(state="failed", error=CellError(cell=0, name="X", value="")))
    restarted = ada.restart(run, ResumeRequest())
    assert open_port(restarted.id).claim().artifacts == []


def test_artifacts_of_others_cannot_be_read(port: RunnerPort, ada: Service, ledger: Ledger, run: str) -> None:
    digest = put(port, run).parts[0].digest
    bob = ledger.as_actor(Actor("bob", frozenset({"custom:respawn:edit!user=bob"})))
    for look in (lambda: bob.artifacts(run), lambda: bob.stream_artifact(run, "model")):
        with pytest.raises(Exception, match="bob"):
            look()
    other = ada.run(RunRequest(job="report")).id
    with pytest.raises(NotFound):
        ada.blob(other, digest)


class TestLatest:
    """What a run reads of other jobs."""

    @pytest.fixture
    def train(self, open_port: Open, ada: Service, request: pytest.FixtureRequest) -> Callable[..., str]:
        """Runs of a job that keeps a model, one after another; each returns the run."""
        job = f"train-{request.node.callspec.id}-{request.node.originalname}"[:60].replace("_", "-")
        ada.promote(Promotion(name=job, notebook=text(notebook("x = 1"))))

        def train(data: bytes, outcome: str = "succeeded") -> str:
            run = ada.run(RunRequest(job=job)).id
            trainer = open_port(run)
            trainer.claim()
            put(trainer, run, data)
            error = None if outcome == "succeeded" else CellError(cell=0, name="X", value="")
            trainer.finish(Outcome.model_validate({"state": outcome, "error": error}))
            return run

        train.job = job  # type: ignore[attr-defined]
        return train

    def test_a_run_is_given_what_the_newest_successful_run_kept_and_keeps_to_it(
        self, port: RunnerPort, open_port: Open, ada: Service, run: str, train: Callable[..., str]
    ) -> None:
        asked = ArtifactRequest(address=f"{train.job}/model", cell=0)  # type: ignore[attr-defined]
        train(b"good")
        made = train(b"better")
        train(b"broken", "failed")
        found = port.latest_artifact(asked)
        assert (found.name, found.made_in, found.cell, found.attempt) == (asked.address, made, 0, 1)
        assert port.get_blob(found.parts[0].digest) == sealed(made, b"better")
        train(b"best")
        assert port.latest_artifact(asked) == found
        assert ada.artifacts(run) == [found]
        assert [(one.run, one.job, one.name) for one in ada.readers(made)] == [
            (run, "user/ada/report", "model")
        ]
        ada.remove_run(made)
        port.finish(Outcome(state="failed", error=CellError(cell=0, name="X", value="")))
        resumed = open_port(ada.resume(run, ResumeRequest()).id)
        (given,) = resumed.claim().artifacts
        assert (given.name, given.made_in) == (asked.address, made)
        assert resumed.latest_artifact(asked).parts == found.parts
        assert resumed.get_blob(found.parts[0].digest) == sealed(made, b"better")

    def test_a_restart_takes_the_newest(
        self, port: RunnerPort, open_port: Open, ada: Service, run: str, train: Callable[..., str]
    ) -> None:
        asked = ArtifactRequest(address=f"user/ada/{train.job}/model")  # type: ignore[attr-defined]
        train(b"good")
        port.latest_artifact(asked)
        port.finish(Outcome(state="failed", error=CellError(cell=0, name="X", value="")))
        newer = train(b"better")
        restarted = open_port(ada.restart(run, ResumeRequest()).id)
        assert restarted.claim().artifacts == []
        assert restarted.latest_artifact(asked).made_in == newer

    def test_what_there_is_not_or_is_of_others_is_refused(
        self, port: RunnerPort, ada: Service, run: str, train: Callable[..., str]
    ) -> None:
        job = train.job  # type: ignore[attr-defined]
        failed = train(b"broken", "failed")
        with pytest.raises(NotFound, match=f"no successful run of user/ada/{job} has kept .*'model'"):
            port.latest_artifact(ArtifactRequest(address=f"{job}/model"))
        with pytest.raises(NotFound, match="there is no job user/ada/nobodys"):
            port.latest_artifact(ArtifactRequest(address="nobodys/model"))
        with pytest.raises(InvalidInput, match="is of another namespace than this run"):
            port.latest_artifact(ArtifactRequest(address=f"user/eve/{job}/model"))
        for wrong in ("model", "/model", f"{job}/", f"{job}/mo del", "x" * 500 + "/model"):
            with pytest.raises(InvalidInput):
                port.latest_artifact(ArtifactRequest(address=wrong))
        digest = ada.artifacts(failed)[0].parts[0].digest
        with pytest.raises(NotFound):
            port.get_blob(digest)
        assert ada.artifacts(run) == []
