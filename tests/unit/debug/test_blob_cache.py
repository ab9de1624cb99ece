"""The downloaded states of runs take a bounded room, and nothing that is needed goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respawn_jobs.debug.blob_cache import make_room, room
from respawn_jobs.debug.blob_fetch import prepare
from respawn_kernels.checkpoint.manifest import Blob, Manifest
from respawn_kernels.digest import digest_of
from respawn_kernels.exchange.download_state import downloading, use

BLOB = 1000


def data(text: str) -> bytes:
    return text.encode().ljust(BLOB, b".")


def stored(root: Path, run: str, *texts: str, used: int = 0) -> Path:
    """Make the state of a run in the cache."""
    directory = root / run
    prepare(directory)
    blobs = [Blob(digest_of(data(text)), BLOB) for text in texts]
    for text, blob in zip(texts, blobs, strict=True):
        (root / "blobs" / blob.digest).write_bytes(data(text))
    manifest = Manifest(0, "3.11", "", 1, [], [], blobs)
    (directory / "manifests" / "0.json").write_text(manifest.to_json())
    (directory / "restore.json").write_text("{}")
    os.utime(directory / "restore.json", (used, used))
    return directory


def texts(root: Path) -> set[str]:
    return {path.read_bytes().rstrip(b".").decode() for path in (root / "blobs").iterdir()}


def test_state_that_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    stored(tmp_path, "run-1", "a", "shared", used=1)
    stored(tmp_path, "run-2", "b", "shared", used=2)
    new = stored(tmp_path, "run-3", "c", used=0)
    assert make_room(tmp_path, [Blob(digest_of(data("c")), BLOB)], new, limit=3 * BLOB) == ["run-1"]
    assert texts(tmp_path) == {"b", "c", "shared"}
    assert not (tmp_path / "run-1" / "restore.json").exists()


@pytest.mark.parametrize("marked", ["in use", "being fetched"])
def test_state_that_somebody_needs_stays(tmp_path: Path, marked: str) -> None:
    needed = stored(tmp_path, "run-1", "a", used=1)
    stored(tmp_path, "run-2", "b", used=2)
    new = stored(tmp_path, "run-3")
    if marked == "in use":
        mark = use(needed)
        assert mark is not None
        with mark:
            gone = make_room(tmp_path, [], new, limit=0)
    else:
        with downloading(needed) as ours:
            assert ours
            gone = make_room(tmp_path, [], new, limit=0)
    assert gone == ["run-2"]
    assert texts(tmp_path) == {"a"}
    assert make_room(tmp_path, [], new, limit=0) == ["run-1"]


def test_what_people_saved_is_never_removed(tmp_path: Path) -> None:
    old = stored(tmp_path, "run-1", "a", used=1)
    (old / "own" / "blobs").mkdir(parents=True)
    (old / "own" / "blobs" / "mine").write_text("mine")
    make_room(tmp_path, [], stored(tmp_path, "run-2"), limit=0)
    assert (old / "own" / "blobs" / "mine").exists()


def test_blobs_that_no_run_names_go(tmp_path: Path) -> None:
    new = stored(tmp_path, "run-1", "a")
    (tmp_path / "blobs" / "orphan").write_text("orphan")
    assert make_room(tmp_path, [Blob(digest_of(data("a")), BLOB)], new, limit=10 * BLOB) == []
    assert texts(tmp_path) == {"a"}


def test_room_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPAWN_CACHE_BYTES", "5e9")
    assert room() == 5_000_000_000
    monkeypatch.setenv("RESPAWN_CACHE_BYTES", "much")
    with pytest.raises(ValueError, match="RESPAWN_CACHE_BYTES is not a number of bytes: 'much'"):
        room()
