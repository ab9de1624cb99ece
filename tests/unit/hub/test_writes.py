"""Proofs that the stores take writes: how often they are made, and what is told of them."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path

import pytest

from respawn_hub.monitoring.write_probe import Writes
from respawn_jobs.errors import Unavailable
from respawn_jobs.ledger.operations.notice_ops import Operations


class Store(Operations):
    """A store that takes writes as long as a test says."""

    def __init__(self, *, files: bool) -> None:
        self.files = files
        self.trouble: Exception | None = None
        self.asked: Counter[str] = Counter()

    @property
    def blobs_are_files(self) -> bool:
        return self.files

    def prove_database_writes(self) -> None:
        self.asked["database"] += 1

    def prove_blob_writes(self) -> None:
        self.asked["blobs"] += 1
        if self.trouble is not None:
            raise self.trouble


def _pass(writes: Writes, now: list[float], seconds: float) -> None:
    ends = now[0] + seconds
    while now[0] < ends:
        now[0] += writes.tick()


@pytest.mark.parametrize(("files", "proofs"), [(True, 40), (False, 2)])
def test_objects_that_are_paid_by_the_write_are_seldom_written(
    tmp_path: Path, files: bool, proofs: int
) -> None:
    now, store = [0.0], Store(files=files)
    _pass(Writes(store, tmp_path, monotonic=lambda: now[0]), now, 600)
    assert store.asked == {"database": 40, "blobs": proofs}
    assert list(tmp_path.iterdir()) == []


def test_trouble_is_looked_at_often_and_says_no_address(tmp_path: Path) -> None:
    now, store = [0.0], Store(files=False)
    writes = Writes(store, tmp_path, monotonic=lambda: now[0])
    store.trouble = Unavailable("s3://ada:hunter2@host refuses")
    writes.tick()
    assert writes.parts()["blob writes"].detail == "takes no writes: see the service's log"
    store.trouble = None
    _pass(writes, now, 10)
    assert {part.status for part in writes.parts().values()} == {"ok"}


def test_a_disk_without_room_is_named_by_whatever_the_error_comes_from(tmp_path: Path) -> None:
    store = Store(files=True)
    store.trouble = Unavailable("the blob store does not answer")
    store.trouble.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    writes = Writes(store, tmp_path)
    writes.tick()
    assert "no room left" in writes.parts()["blob writes"].detail


def test_a_disk_that_hangs_is_told_although_the_proof_hangs_with_it(tmp_path: Path) -> None:
    now, seen = [0.0], []

    class Hanging(Store):
        def prove_blob_writes(self) -> None:
            now[0] += 61
            seen.append(writes.parts()["blob writes"].detail)

    writes = Writes(Hanging(files=True), tmp_path, monotonic=lambda: now[0])
    writes.tick()
    assert seen == ["has not taken a write for 61 s"]
