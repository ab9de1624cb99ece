"""Blobs become memory of the process: whole, verified, its own, and nothing that a fork shares."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from respawn_kernels.checkpoint.chunks import CHUNK, BlobTable, BlobWriter
from respawn_kernels.checkpoint.errors import CorruptBlob
from respawn_kernels.checkpoint.manifest import Blob, Extent, Group, Manifest, VariableFrame
from respawn_kernels.digest import write_whole
from respawn_kernels.restore import mapped_blobs
from respawn_kernels.restore.mapped_blobs import MappedBlobs

NOISE = np.random.default_rng(0).integers(0, 255, 2 * CHUNK + 12_345, "u1")
ZEROS = np.zeros(2 * CHUNK + 5, "u1")


def stored(directory: Path, *values: np.ndarray, small: tuple[bytes, ...] = ()) -> Manifest:
    """Write arrays and small things as one group per value named a, b, c …"""
    writer, table = BlobWriter(directory, {}, {}, stable=True), BlobTable()
    drafts = [writer.large(memoryview(value)) for value in values]
    drafts += [writer.small(data) for data in small]
    writer.flush()
    extents = [table.extent(draft) for draft in drafts]
    groups = [
        Group([VariableFrame(chr(97 + place), 0, 0, (0, 1))], Extent([]), [extent], [])
        for place, extent in enumerate(extents)
    ]
    return Manifest(7, "3.11", "", 1, [], [], table.blobs(), groups=groups)


def extent(manifest: Manifest, place: int) -> Extent:
    return manifest.groups[place].buffers[0]


@pytest.mark.parametrize("maps", ["mapped", "read"])
@pytest.mark.parametrize("value", [NOISE, ZEROS, NOISE[: CHUNK * 2], NOISE[:10]], ids=str)
def test_extent_has_the_bytes_that_were_stored(
    tmp_path: Path, value: np.ndarray, maps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if maps == "read":
        monkeypatch.setattr(mapped_blobs, "_system_mmap", None)
    manifest = stored(tmp_path, value)
    view = MappedBlobs(tmp_path).extent(extent(manifest, 0), manifest)
    assert np.array_equal(np.frombuffer(view, "u1"), value)


def test_writes_stay_in_the_process_and_out_of_the_files(tmp_path: Path) -> None:
    manifest = stored(tmp_path, NOISE)
    blobs = MappedBlobs(tmp_path)
    first = np.frombuffer(blobs.extent(extent(manifest, 0), manifest), "u1")
    second = np.frombuffer(blobs.extent(extent(manifest, 0), manifest), "u1")
    first[:] = 1
    assert np.array_equal(second, NOISE)
    mapped_blobs._verified.clear()
    MappedBlobs(tmp_path).verify(manifest.blobs, manifest)


def test_forked_child_keeps_what_it_saw(tmp_path: Path) -> None:
    manifest = stored(tmp_path, NOISE)
    array = np.frombuffer(MappedBlobs(tmp_path).extent(extent(manifest, 0), manifest), "u1")
    go, done = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(done)
        os.read(go, 1)
        os._exit(int(np.array_equal(array, NOISE)))
    array[:] = 3
    os.close(done)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    os.close(go)


def test_large_memory_is_a_map_of_its_files_and_goes_with_its_last_view(tmp_path: Path) -> None:
    manifest = stored(tmp_path, NOISE)
    view = MappedBlobs(tmp_path).extent(extent(manifest, 0), manifest)
    maps = Path("/proc/self/maps")
    assert sum(blob.digest in maps.read_text() for blob in manifest.blobs) == 3
    mapped, part = mapped_blobs._Region.maps, view[5:9]
    del view
    assert manifest.blobs[0].digest in maps.read_text()
    del part
    assert manifest.blobs[0].digest not in maps.read_text()
    assert mapped_blobs._Region.maps == mapped - 3


def test_removed_file_stays_readable_where_it_is_mapped(tmp_path: Path) -> None:
    manifest = stored(tmp_path, NOISE)
    view = MappedBlobs(tmp_path).extent(extent(manifest, 0), manifest)
    for blob in manifest.blobs:
        (tmp_path / blob.digest).unlink()
    assert np.array_equal(np.frombuffer(view, "u1"), NOISE)


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
@pytest.mark.parametrize("place", [0, 1])
def test_damaged_blob_names_its_variable_and_checkpoint_and_harms_no_other(
    tmp_path: Path, harm: str, place: int
) -> None:
    manifest = stored(tmp_path, NOISE, small=(b"some words" * 9,))
    path = tmp_path / manifest.blobs[extent(manifest, place).pieces[-1].blob].digest
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.unlink()
    if harm != "remove":
        write_whole(path, data if harm == "flip" else data[:-1])
    blobs = MappedBlobs(tmp_path)
    with pytest.raises(CorruptBlob, match=f"{'ab'[place]} of the checkpoint after cell 7: blob .* is "):
        blobs.extent(extent(manifest, place), manifest)
    assert blobs.extent(extent(manifest, 1 - place), manifest).nbytes


def test_blob_is_verified_once_and_again_when_it_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = mapped_blobs._digest_of
    monkeypatch.setattr(mapped_blobs, "_digest_of", lambda fd, size: asked.append(size) or real(fd, size))
    manifest = stored(tmp_path, NOISE)
    for _ in range(3):
        MappedBlobs(tmp_path).extent(extent(manifest, 0), manifest)
    assert len(asked) == 3
    write_whole(tmp_path / manifest.blobs[0].digest, b"x" * manifest.blobs[0].size)
    with pytest.raises(CorruptBlob):
        MappedBlobs(tmp_path).extent(extent(manifest, 0), manifest)


class _Post:
    """Brings the blobs one by one from another directory, as a download does."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source = source
        self._target = target

    def wait(self, digest: str, stop: threading.Event) -> None:
        if not (self._source / digest).exists():
            raise CorruptBlob(f"the download of blob {digest} failed: no such bucket")
        write_whole(self._target / digest, (self._source / digest).read_bytes())


def test_blob_that_is_still_coming_is_waited_for_and_progress_is_told(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    manifest = stored(source, NOISE, ZEROS)
    lost = source / manifest.blobs[extent(manifest, 1).pieces[0].blob].digest
    lost.unlink()
    blobs, told = MappedBlobs(target, _Post(source, target)), []
    needed = [manifest.blobs[piece.blob] for piece in extent(manifest, 0).pieces]
    blobs.verify(needed, manifest, lambda there, total: told.append((there, total)))
    assert told[-1] == (NOISE.nbytes, NOISE.nbytes)
    assert np.array_equal(np.frombuffer(blobs.extent(extent(manifest, 0), manifest), "u1"), NOISE)
    with pytest.raises(CorruptBlob, match=r"b of the checkpoint after cell 7: .* no such bucket"):
        blobs.extent(extent(manifest, 1), manifest)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_thread_and_no_file_is_left(tmp_path: Path) -> None:
    manifest = stored(tmp_path, NOISE, ZEROS)
    before = _open_files(), threading.active_count()
    views = [MappedBlobs(tmp_path).extent(extent(manifest, place), manifest) for place in (0, 1)]
    assert (_open_files(), threading.active_count()) == before
    assert views


def test_blob_that_nothing_names_is_the_state_s(tmp_path: Path) -> None:
    manifest = Manifest(7, "3.11", "", 1, [], [], [Blob("0" * 64, 1)])
    with pytest.raises(CorruptBlob, match="the state of the checkpoint after cell 7"):
        MappedBlobs(tmp_path).verify(manifest.blobs, manifest)
