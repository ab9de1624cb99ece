"""Which bytes a snapshot writes."""

from __future__ import annotations

import threading
from pathlib import Path

from respawn_kernels.checkpoint.chunks import CHUNK
from respawn_kernels.digest import digest_of_file
from support.namespaces import capture, notebook, restore, run


def _blobs(directory: Path) -> dict[str, float]:
    return {path.name: path.stat().st_mtime_ns for path in (directory / "blobs").iterdir()}


def test_unchanged_array_is_written_once_for_many_checkpoints(tmp_path: Path) -> None:
    namespace = notebook("import numpy as np; a = np.arange(1_000_000); step = 0")
    first = capture(namespace, tmp_path, cell=0)
    before = _blobs(tmp_path)
    run("step = 1", namespace)
    second = capture(namespace, tmp_path, cell=1)
    assert _blobs(tmp_path).items() >= before.items(), "a blob that was there was written again"
    new = [blob.size for blob in second.blobs if blob not in first.blobs]
    assert new
    assert max(new) < 100_000, "what other tests leave of the session's state may change, the array does not"


def test_change_in_one_place_of_an_array_stores_one_chunk(tmp_path: Path) -> None:
    namespace = notebook("import numpy as np; a = np.random.default_rng(0).random(5_000_000)")
    first = capture(namespace, tmp_path, cell=0)
    run("a[2_000_000] = 7", namespace)
    second = capture(namespace, tmp_path, cell=1)
    new = [blob.size for blob in second.blobs if blob not in first.blobs and blob.size > 100_000]
    assert new == [CHUNK]


def test_equal_arrays_are_one_blob_and_two_arrays(tmp_path: Path) -> None:
    manifest = capture(notebook("import numpy as np; a = np.ones(50_000); b = np.ones(50_000)"), tmp_path)
    assert len(manifest.blobs) == 3, "the pack of the streams, that of the session, and the array"
    back, _ = restore(manifest, tmp_path)
    back["a"][:] = 0
    assert back["b"].all()


def test_ten_thousand_small_variables_are_a_few_blobs(tmp_path: Path) -> None:
    namespace = notebook("for i in range(10_000): globals()[f'v{i}'] = [i, str(i)]")
    manifest = capture(namespace, tmp_path)
    assert len(manifest.variables) == 10_001
    assert len(manifest.blobs) <= 3
    back, _ = restore(manifest, tmp_path)
    assert back["v7777"] == [7777, "7777"]


def test_what_compresses_well_is_compressed_and_what_does_not_is_not(tmp_path: Path) -> None:
    namespace = notebook(
        """
        import numpy as np
        zeros = np.zeros(1_000_000)
        noise = np.random.default_rng(0).bytes(4_000_000)
        """
    )
    manifest = capture(namespace, tmp_path)
    stored = sum(blob.size for blob in manifest.blobs)
    assert 4_000_000 < stored < 4_500_000
    back, _ = restore(manifest, tmp_path)
    assert not back["zeros"].any()
    assert back["noise"] == namespace["noise"]


def test_manifest_names_each_blob_with_its_true_size_and_digest(tmp_path: Path) -> None:
    manifest = capture(
        notebook("import numpy as np; a = np.ones(50_000); t = 'x' * 100_000; n = [1]"), tmp_path
    )
    for blob in manifest.blobs:
        path = tmp_path / "blobs" / blob.digest
        assert path.stat().st_size == blob.size
        assert digest_of_file(path) == blob.digest
    assert {blob.digest for blob in manifest.blobs} == _blobs(tmp_path).keys()


def test_small_buffers_stay_in_the_stream(tmp_path: Path) -> None:
    manifest = capture(notebook("import numpy as np; many = [np.ones(10) for _ in range(100)]"), tmp_path)
    assert len(manifest.blobs) == 2, "the pack of the streams, and that of the session"


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
