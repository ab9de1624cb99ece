"""Which bytes a plain snapshot writes."""

from __future__ import annotations

import threading
from pathlib import Path

from respawn_kernels.digest import digest_of_file
from respawn_kernels.plain import PlainEngine
from support.namespaces import capture, notebook, restore, run


def _blobs(directory: Path) -> dict[str, float]:
    return {path.name: path.stat().st_mtime_ns for path in (directory / "blobs").iterdir()}


def test_unchanged_array_is_written_once_for_many_checkpoints(tmp_path: Path) -> None:
    namespace = notebook("import numpy as np; a = np.arange(1_000_000); step = 0")
    first = capture(namespace, tmp_path, cell=0)
    before = _blobs(tmp_path)
    run("step = 1", namespace)
    second = capture(namespace, tmp_path, cell=1)
    assert first.payload["buffers"] == second.payload["buffers"]
    assert first.payload["stream"] != second.payload["stream"]
    assert _blobs(tmp_path).items() >= before.items(), "a blob that was there was written again"
    assert len(_blobs(tmp_path)) == 3


def test_equal_arrays_are_one_blob(tmp_path: Path) -> None:
    manifest = capture(notebook("import numpy as np; a = np.ones(50_000); b = np.ones(50_000)"), tmp_path)
    assert len(manifest.payload["buffers"]) == 2
    assert len(manifest.blobs) == 2
    back, _ = restore(manifest, tmp_path)
    back["a"][:] = 0
    assert back["b"].all()


def test_manifest_names_each_blob_with_its_true_size_and_digest(tmp_path: Path) -> None:
    manifest = capture(notebook("import numpy as np; a = np.ones(50_000); t = 'x' * 100_000"), tmp_path)
    for blob in manifest.blobs:
        path = tmp_path / "blobs" / blob.digest
        assert path.stat().st_size == blob.size
        assert digest_of_file(path) == blob.digest
    assert {blob.digest for blob in manifest.blobs} == _blobs(tmp_path).keys()


def test_small_buffers_stay_in_the_stream(tmp_path: Path) -> None:
    manifest = capture(notebook("import numpy as np; many = [np.ones(10) for _ in range(100)]"), tmp_path)
    assert len(manifest.blobs) == 1


def test_what_could_not_be_stored_before_does_not_make_the_stream_start_again(tmp_path: Path) -> None:
    engine = PlainEngine()
    (tmp_path / "blobs").mkdir()
    namespace = notebook(
        """
        class Counted:
            times = 0
            def __reduce__(self):
                Counted.times += 1
                return (int, ())
        counted = Counted()
        stream = (n for n in [])
        """
    )
    for cell in range(3):
        manifest = engine.capture(namespace, cell, tmp_path, first_seen={}, execution_count=1)
        assert [v.name for v in manifest.unstored] == ["stream"]
    assert namespace["Counted"].times == 4
    namespace["stream"] = 1
    manifest = engine.capture(namespace, 3, tmp_path, first_seen={}, execution_count=1)
    assert manifest.unstored == []


def test_array_that_a_thread_changes_meanwhile_is_named_by_what_was_written(tmp_path: Path) -> None:
    namespace = notebook("import numpy as np; a = np.zeros(1_000_000); b = bytearray(4_000_000)")
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            namespace["a"] += 1
            namespace["b"][-1] = (namespace["b"][-1] + 1) % 256

    thread = threading.Thread(target=change)
    thread.start()
    try:
        manifests = [capture(namespace, tmp_path, cell) for cell in range(5)]
    finally:
        ended.set()
        thread.join()
    for manifest in manifests:
        for blob in manifest.blobs:
            path = tmp_path / "blobs" / blob.digest
            assert (path.stat().st_size, digest_of_file(path)) == (blob.size, blob.digest)
