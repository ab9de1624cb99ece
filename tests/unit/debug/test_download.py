"""The state of a failed run on its way to the kernel that restores it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from respawn_jobs.debug.blob_fetch import _PARALLEL, Fetch
from respawn_jobs.debug.state_download import begin_download, download
from respawn_jobs.errors import Corrupt, Unavailable
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.notebook.document import TAG_ALWAYS
from respawn_kernels.capture.engine import GroupsEngine
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.digest import digest_of
from respawn_kernels.exchange.download_state import DownloadedBlobs, DownloadState
from respawn_kernels.exchange.restore_point import AlwaysCell, RestorePoint
from respawn_kernels.restore.restore import StoredState, restore_now
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


NOISE = np.random.default_rng(0).integers(0, 1 << 60, 3 << 20)
VALUES = {"noise": NOISE, "numbers": np.arange(20_000), "name": "ada"}


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Blobs, DebugBundle]:
    spool = tmp_path / "spool"
    (spool / "blobs").mkdir(parents=True)
    manifest = GroupsEngine().capture(dict(VALUES), 1, spool, first_seen={"numbers": 1}, execution_count=3)
    blobs = Blobs(spool)
    digest = blobs.add(manifest.to_json().encode())
    checkpoint = Checkpoint(cell=1, manifest=digest, variables=2, size=sum(b.size for b in manifest.blobs))
    bundle = failed_bundle(SOURCES, 2, checkpoint=checkpoint, tags={0: [TAG_ALWAYS], 2: [TAG_ALWAYS]})
    return blobs, bundle.model_copy(update={"blobs": [blob.digest for blob in manifest.blobs]})


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Where a run's state is brought to."""
    return tmp_path / "restore" / RUN


def begin(stored: tuple[Blobs, DebugBundle], there: Path) -> Fetch:
    blobs, bundle = stored
    _, fetch = begin_download(blobs, bundle, there)  # type: ignore[arg-type]
    assert fetch is not None
    return fetch


def manifest_in(there: Path) -> Manifest:
    return Manifest.from_json((there / "manifests" / "1.json").read_text())


def test_downloaded_state_restores_in_another_namespace(
    stored: tuple[Blobs, DebugBundle], there: Path
) -> None:
    blobs, bundle = stored
    download(blobs, bundle, there)  # type: ignore[arg-type]
    namespace: dict[str, Any] = {}
    report = restore_now(manifest_in(there), there, namespace, None)
    assert report.failed == []
    assert namespace["name"] == "ada"
    assert np.array_equal(namespace["noise"], NOISE)


def test_restore_point_tells_the_cells_to_rerun_but_not_the_failing_one(
    stored: tuple[Blobs, DebugBundle], there: Path
) -> None:
    blobs, bundle = stored
    download(blobs, bundle, there)  # type: ignore[arg-type]
    point = RestorePoint.from_json((there / "restore.json").read_text())
    assert point == RestorePoint(
        run=RUN,
        cell=1,
        kernel="python3",
        failing_cell=2,
        error="KeyError: 'price'",
        always=[AlwaysCell(index=0, source=SOURCES[0])],
    )


def test_second_download_fetches_only_what_is_damaged(stored: tuple[Blobs, DebugBundle], there: Path) -> None:
    blobs, bundle = stored
    download(blobs, bundle, there)  # type: ignore[arg-type]
    broken = bundle.blobs[0]
    (there / "blobs" / broken).write_bytes(b"half")
    blobs.asked.clear()
    download(blobs, bundle, there)  # type: ignore[arg-type]
    assert bundle.checkpoint is not None
    assert blobs.asked == [bundle.checkpoint.manifest, broken]


def test_two_runs_fetch_what_they_share_once(stored: tuple[Blobs, DebugBundle], there: Path) -> None:
    blobs, bundle = stored
    download(blobs, bundle, there)  # type: ignore[arg-type]
    blobs.asked.clear()
    download(blobs, bundle, there.with_name("run-another"))  # type: ignore[arg-type]
    assert bundle.checkpoint is not None
    assert blobs.asked == [bundle.checkpoint.manifest]


def test_blob_that_arrives_damaged_is_refused_and_the_others_are_there(
    stored: tuple[Blobs, DebugBundle], there: Path
) -> None:
    blobs, bundle = stored
    broken = bundle.blobs[-1]
    blobs.data[broken] = b"something else"
    with pytest.raises(Corrupt, match=broken):
        download(blobs, bundle, there)  # type: ignore[arg-type]
    assert {path.name for path in (there / "blobs").iterdir()} == set(bundle.blobs) - {broken}
    state = DownloadState.read(there)
    assert state is not None
    assert broken in str(state.failed)


def test_progress_ends_with_everything_there(stored: tuple[Blobs, DebugBundle], there: Path) -> None:
    blobs, bundle = stored
    told: list[tuple[int, int]] = []
    download(blobs, bundle, there, lambda here, total: told.append((here, total)))  # type: ignore[arg-type]
    assert bundle.checkpoint is not None
    size = bundle.checkpoint.size
    assert told[0] == (0, size)
    assert told[-1] == (size, size)
    assert told == sorted(told)
    assert DownloadState.read(there) == DownloadState(size, size)


def test_notebook_can_open_before_large_blobs_are_there(
    stored: tuple[Blobs, DebugBundle], there: Path
) -> None:
    fetch = begin(stored, there)
    assert (there / "restore.json").exists()
    assert fetch.left > 20_000_000
    namespace: dict[str, Any] = {}
    state = StoredState(manifest_in(there), there, namespace, arrivals=DownloadedBlobs(there))
    assert state.load(["name"]) == {"name": "ada"}
    thread = fetch.in_background()
    assert np.array_equal(state.load(["noise"])["noise"], NOISE)
    thread.join()
    assert fetch.error is None


def test_blob_that_a_kernel_waits_for_comes_next(stored: tuple[Blobs, DebugBundle], there: Path) -> None:
    blobs, _ = stored
    fetch = begin(stored, there)
    last = list(fetch._waiting)[-1]
    (there / "wanted").mkdir()
    (there / "wanted" / last).touch()
    blobs.asked.clear()
    fetch.rest(lambda _there, _total: None)
    assert last in blobs.asked[:_PARALLEL]


@pytest.mark.parametrize(
    ("end", "why"), [("fails", "the download failed: .* arrived damaged"), ("dies", "was ended before")]
)
def test_download_that_fails_or_dies_is_told_to_whoever_waits(
    stored: tuple[Blobs, DebugBundle], there: Path, end: str, why: str
) -> None:
    blobs, bundle = stored
    fetch = begin(stored, there)
    if end == "fails":
        for digest in fetch._waiting:
            blobs.data[digest] = b"rubbish"
        fetch.rest(lambda _there, _total: None)
    state = StoredState(manifest_in(there), there, {}, arrivals=DownloadedBlobs(there), fix="Fetch it again.")
    assert state.load(["noise"]) == {}
    assert re.search(why, state.reason("noise"))
    assert state.load(["name"]) == {"name": "ada"}
    blobs.data |= {path.name: path.read_bytes() for path in (there.parents[1] / "spool/blobs").iterdir()}
    download(blobs, bundle, there)  # type: ignore[arg-type]
    assert "noise" in state.load(["noise"]), "the next use finds what was fetched again"


def test_service_that_does_not_answer_for_a_while_is_asked_again(
    stored: tuple[Blobs, DebugBundle], there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, _ = stored
    fetch = begin(stored, there)
    monkeypatch.setattr(fetch, "_pause", 0.0)
    answer, refused = blobs.blob, set[str]()

    def blob(run: str, digest: str) -> bytes:
        if digest not in refused:
            refused.add(digest)
            raise Unavailable("not now")
        return answer(run, digest)

    monkeypatch.setattr(blobs, "blob", blob)
    fetch.rest(lambda _there, _total: None)
    assert fetch.error is None
    assert len(refused) == 6


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
    assert new <= {"a"}
    assert not (tmp_path / "a" / "b" / "restore.json").exists()


def test_checkpoint_that_was_taken_over_lies_where_the_restore_point_says(
    stored: tuple[Blobs, DebugBundle], there: Path
) -> None:
    blobs, bundle = stored
    assert bundle.checkpoint is not None
    moved = bundle.model_copy(update={"checkpoint": bundle.checkpoint.model_copy(update={"cell": 2})})
    point = download(blobs, moved, there)  # type: ignore[arg-type]
    assert (there / "manifests" / f"{point.cell}.json").exists()
