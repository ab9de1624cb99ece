"""The state of a failed run on its way to the kernel that restores it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from respawn_jobs.debug import download
from respawn_jobs.errors import Corrupt
from respawn_jobs.models import Checkpoint, DebugBundle
from respawn_jobs.notebooks import TAG_ALWAYS
from respawn_kernels.digest import digest_of
from respawn_kernels.manifest import Manifest
from respawn_kernels.restore import AlwaysCell, RestorePoint
from respawn_kernels.snapshot import engine
from support.bundles import RUN, failed_bundle

SOURCES = ["connection = connect()", "values = read(connection)", "boom()"]


class Blobs:
    """The one call that a download makes, answered from a spool that a real snapshot was written to."""

    def __init__(self, spool: Path) -> None:
        self.data: dict[str, bytes] = {}
        for path in (spool / "blobs").iterdir():
            self.data[path.name] = path.read_bytes()
        self.asked: list[str] = []

    def add(self, data: bytes) -> str:
        self.data[digest_of(data)] = data
        return digest_of(data)

    def blob(self, run: str, digest: str) -> bytes:
        assert run == RUN
        self.asked.append(digest)
        return self.data[digest]


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Blobs, DebugBundle]:
    spool = tmp_path / "spool"
    (spool / "blobs").mkdir(parents=True)
    values = {"numbers": np.arange(20_000), "name": "ada"}
    manifest = engine("plain").capture(values, 1, spool, first_seen={"numbers": 1}, execution_count=3)
    blobs = Blobs(spool)
    digest = blobs.add(manifest.to_json().encode())
    checkpoint = Checkpoint(cell=1, manifest=digest, variables=2, size=sum(b.size for b in manifest.blobs))
    bundle = failed_bundle(SOURCES, 2, checkpoint=checkpoint, tags={0: [TAG_ALWAYS], 2: [TAG_ALWAYS]})
    return blobs, bundle.model_copy(update={"blobs": [blob.digest for blob in manifest.blobs]})


def test_downloaded_state_restores_in_another_namespace(
    stored: tuple[Blobs, DebugBundle], tmp_path: Path
) -> None:
    blobs, bundle = stored
    download(blobs, bundle, tmp_path / "there")  # type: ignore[arg-type]
    namespace: dict[str, object] = {}
    manifest = Manifest.from_json((tmp_path / "there/manifests/1.json").read_text())
    engine("plain").restore(manifest, tmp_path / "there", namespace)
    assert namespace["name"] == "ada"
    assert namespace["numbers"][-1] == 19_999  # type: ignore[index]


def test_restore_point_tells_the_cells_to_rerun_but_not_the_failing_one(
    stored: tuple[Blobs, DebugBundle], tmp_path: Path
) -> None:
    blobs, bundle = stored
    download(blobs, bundle, tmp_path)  # type: ignore[arg-type]
    point = RestorePoint.from_json((tmp_path / "restore.json").read_text())
    assert point == RestorePoint(
        run=RUN,
        cell=1,
        kernel="python3",
        failing_cell=2,
        error="KeyError: 'price'",
        always=[AlwaysCell(index=0, source=SOURCES[0])],
    )


def test_second_download_fetches_only_what_is_damaged(
    stored: tuple[Blobs, DebugBundle], tmp_path: Path
) -> None:
    blobs, bundle = stored
    download(blobs, bundle, tmp_path)  # type: ignore[arg-type]
    broken = bundle.blobs[0]
    (tmp_path / "blobs" / broken).write_bytes(b"half")
    blobs.asked.clear()
    download(blobs, bundle, tmp_path)  # type: ignore[arg-type]
    assert bundle.checkpoint is not None
    assert blobs.asked == [bundle.checkpoint.manifest, broken]


def test_blob_that_arrives_damaged_is_refused_and_nothing_can_be_restored_from(
    stored: tuple[Blobs, DebugBundle], tmp_path: Path
) -> None:
    blobs, bundle = stored
    broken = bundle.blobs[-1]
    blobs.data[broken] = b"something else"
    with pytest.raises(Corrupt, match=broken):
        download(blobs, bundle, tmp_path)  # type: ignore[arg-type]
    assert not (tmp_path / "restore.json").exists()
    assert not list((tmp_path / "manifests").iterdir())


def test_progress_ends_with_everything_there(stored: tuple[Blobs, DebugBundle], tmp_path: Path) -> None:
    blobs, bundle = stored
    told: list[tuple[int, int]] = []
    download(blobs, bundle, tmp_path, lambda there, total: told.append((there, total)))  # type: ignore[arg-type]
    assert bundle.checkpoint is not None
    assert told[0] == (0, bundle.checkpoint.size)
    assert told[-1] == (bundle.checkpoint.size, bundle.checkpoint.size)


def test_run_that_failed_in_its_first_cell_needs_no_blobs(tmp_path: Path) -> None:
    point = download(None, failed_bundle(SOURCES, 0), tmp_path / "new")  # type: ignore[arg-type]
    assert point.cell is None
    assert (tmp_path / "new" / "restore.json").exists()


@pytest.mark.parametrize(
    ("forged", "says"),
    [
        ({"cell": "../../evil"}, "manifest.cell"),
        ({"blobs": [{"digest": "../../../evil", "size": 1}]}, r"blobs\[0\].digest"),
        ({"blobs": 7}, "manifest.blobs"),
    ],
)
def test_forged_manifest_writes_nothing_outside_of_the_directory(
    stored: tuple[Blobs, DebugBundle], tmp_path: Path, forged: dict[str, object], says: str
) -> None:
    blobs, bundle = stored
    assert bundle.checkpoint is not None
    document = json.loads(blobs.data[bundle.checkpoint.manifest]) | forged
    digest = blobs.add(json.dumps(document).encode())
    blobs.data["../../../evil"] = b"x"
    bundle = bundle.model_copy(
        update={"checkpoint": bundle.checkpoint.model_copy(update={"manifest": digest})}
    )
    before = set(tmp_path.rglob("*"))
    with pytest.raises(Corrupt, match=says):
        download(blobs, bundle, tmp_path / "a" / "b")  # type: ignore[arg-type]
    new = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before}
    assert new == {"a"}
    assert not (tmp_path / "a" / "b" / "restore.json").exists()


def test_checkpoint_that_was_taken_over_lies_where_the_restore_point_says(
    stored: tuple[Blobs, DebugBundle], tmp_path: Path
) -> None:
    blobs, bundle = stored
    assert bundle.checkpoint is not None
    moved = bundle.model_copy(update={"checkpoint": bundle.checkpoint.model_copy(update={"cell": 2})})
    point = download(blobs, moved, tmp_path)  # type: ignore[arg-type]
    assert (tmp_path / "manifests" / f"{point.cell}.json").exists()
