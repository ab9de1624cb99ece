"""The collector stores the newest of what a kernel saves, and tells what it could not store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import respawn
from respawn_jobs.api.runner_protocol import ArtifactCommit, CellEvent
from respawn_jobs.errors import Fenced, InvalidInput, RespawnError, Unavailable
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.runs import CellState
from respawn_jobs.runner.artifact_sync import ArtifactSync
from respawn_kernels.artifacts import api
from respawn_kernels.exchange.artifact_records import ArtifactError
from support.waiting import wait_for


class Store:
    """The part of a `RunnerPort` that a collector uses; may be made slow or refuse."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.commits: list[Artifact] = []
        self.open = threading.Event()
        self.open.set()
        self.refusals: list[RespawnError] = []

    def missing(self, digests: list[str]) -> list[str]:
        return [digest for digest in digests if digest not in self.blobs]

    def put_blob(self, digest: str, source: bytes | Path) -> None:
        assert isinstance(source, bytes)
        self.blobs[digest] = source

    def get_blob(self, digest: str) -> bytes:
        return self.blobs[digest]

    def commit_artifact(self, commit: ArtifactCommit) -> None:
        self.open.wait(30)
        if self.refusals:
            raise self.refusals.pop(0)
        self.commits.append(commit.artifact)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def collector(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactSync]:
    """A collector, and this process as the kernel that it serves."""
    collector = ArtifactSync(store, "run-1", tmp_path / "artifacts")  # type: ignore[arg-type]
    monkeypatch.setattr(api, "_place", None)
    api.start(tmp_path / "artifacts")
    collector.start()
    yield collector
    store.open.set()
    collector.close()


def numbers(store: Store) -> list[int]:
    return [artifact.number for artifact in store.commits]


def test_only_the_newest_is_stored_when_saves_pile_up(
    collector: ArtifactSync, store: Store, tmp_path: Path
) -> None:
    store.open.clear()
    respawn.save("epoch", 1)
    wait_for(lambda: store.blobs, 30, "the first upload")
    for number in range(2, 1000):
        respawn.save("epoch", number)
    store.open.set()
    assert collector.drain() == []
    assert numbers(store) == [1, 999]
    assert len(list((tmp_path / "artifacts" / "files").iterdir())) == 1
    assert not list((tmp_path / "artifacts" / "outbox").iterdir())


def test_names_take_turns(collector: ArtifactSync, store: Store) -> None:
    store.open.clear()
    respawn.save("busy", 0)
    wait_for(lambda: store.blobs, 30, "the first upload")
    respawn.save("rare", 0)
    respawn.save("busy", 1)
    store.open.set()
    assert collector.drain() == []
    assert [one.name for one in store.commits] == ["busy", "rare", "busy"]


def test_saving_can_wait_until_it_is_stored(collector: ArtifactSync, store: Store) -> None:
    respawn.save("model", 1, wait=True)
    assert numbers(store) == [1]
    store.refusals = [InvalidInput("too many names")]
    with pytest.raises(ArtifactError, match="could not be stored: too many names"):
        respawn.save("model", 2, wait=True)


def test_what_fails_is_tried_again(collector: ArtifactSync, store: Store) -> None:
    store.refusals = [Unavailable("away")]
    respawn.save("model", 1)
    wait_for(lambda: not store.refusals, 30, "the first try")
    assert collector.drain() == []
    assert numbers(store) == [1]


def test_what_cannot_be_stored_is_told_with_its_cell(collector: ArtifactSync, store: Store) -> None:
    told: list[object] = []
    event = CellEvent(index=7, cell_id="a", state=CellState.RUNNING, source_hash="")
    collector.watching(told.append)([event])
    store.refusals = [Unavailable("the store is away")] * 20
    respawn.save("model", 1)
    ((cell, why),) = collector.drain()
    assert (cell, why) == (7, "artifact 'model' number 1 is not stored: the store is away")
    assert told == [[event]]


def test_a_run_that_is_stopped_does_not_wait_for_ever(
    collector: ArtifactSync, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("respawn_jobs.runner.artifact_sync._GRACE_SECONDS", 0.1)
    store.open.clear()
    respawn.save("model", 1)
    ((_, why),) = collector.drain(lambda: True)
    assert "the run was stopped before" in why


def test_a_fenced_attempt_stores_nothing_more(collector: ArtifactSync, store: Store) -> None:
    store.refusals = [Fenced("replaced")]
    respawn.save("model", 1)
    assert collector.drain()
    respawn.save("model", 2)
    assert collector.drain()
    assert store.commits == []


def test_what_was_kept_before_comes_when_it_is_loaded(
    store: Store, collector: ArtifactSync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"weights": list(range(1000))}
    respawn.save("model", data, wait=True)
    respawn.save("gone", 1, wait=True)
    before = [one.model_copy(update={"made_in": "run-1"}) for one in store.commits]
    store.blobs.pop(before[1].parts[0].digest)
    following = ArtifactSync(store, "run-2", tmp_path / "next", before)  # type: ignore[arg-type]
    monkeypatch.setattr(api, "_place", None)
    api.start(tmp_path / "next")
    following.start()
    try:
        assert not list((tmp_path / "next" / "files").iterdir())
        assert respawn.load("model") == data
        with pytest.raises(ArtifactError, match="'gone' could not be fetched"):
            respawn.load("gone")
        assert respawn.save("gone", 2, wait=True).number == 2
        assert respawn.load("gone") == 2
    finally:
        following.close()
