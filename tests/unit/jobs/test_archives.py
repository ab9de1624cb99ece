"""A run leaves a store as one archive and is taken over by another, where it goes on."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.api.history import ImportRequest
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run
from respawn_kernels.digest import digest_of
from respawn_kernels.evidence import CellEvidence
from support.notebooks import notebook, text
from support.runners import PlayedRunner

Change = Callable[[dict[str, bytes]], None]


@pytest.fixture
def archive(failed: Run, ada, tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    ada.export_run(failed.id, path)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, clock) -> Iterator[Ledger]:
    other = Ledger.embedded(tmp_path / "elsewhere", clock=clock)
    yield other
    other.close()


@pytest.fixture
def cid(elsewhere: Ledger):
    return elsewhere.as_actor(Actor("cid", frozenset({"custom:respawn:edit!user=cid"})))


def test_an_archive_can_be_read_by_people(archive: Path, failed: Run):
    with zipfile.ZipFile(archive) as opened:
        notebook = json.loads(opened.read(f"{failed.id}.ipynb"))
        manifest = json.loads(opened.read("manifest.json"))
        assert opened.testzip() is None
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}
    assert ["".join(cell["source"]) for cell in notebook["cells"]] == ["a = 1", "b = a", "c = d"]
    assert (manifest["kind"], manifest["format"], manifest["exported_by"]) == ("respawn-run", 1, "ada")
    assert manifest["run"]["id"] == failed.id


def test_what_was_seen_of_cells_goes_along(queue, ledger: Ledger, ada, cid, tmp_path: Path):
    times = {"inputs": (("/data/in.csv", 5, 1_796_096_287_089_311_000),)}
    seen = CellEvidence(reads=("scale",), opened=("/data/in.csv",), overflow=True, **times)
    run = queue("a = 1", "c = d")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0, evidence=seen)
    runner.fail(1)
    ada.export_run(run.id, tmp_path / "run.zip")
    imported = cid.import_run(tmp_path / "run.zip", ImportRequest())
    assert [cell.evidence for cell in cid.debug(imported.id).cells] == [seen, None]


def test_a_run_comes_back_into_its_own_store_as_another(archive: Path, failed: Run, ada):
    run = ada.import_run(archive, ImportRequest())
    again = ada.import_run(archive, ImportRequest(job="copy"))
    assert len({failed.id, run.id, again.id}) == 3
    assert (run.job, run.version, again.job) == ("user/ada/report", failed.version, "user/ada/copy")
    assert ada.job("report").version == failed.version


def test_nothing_is_imported_into_an_archived_job(archive: Path, failed: Run, ada):
    ada.change_job("report", JobChange(archived=True))
    refused = r"user/ada/report is archived.* restore it first.*`respawn job restore user/ada/report`"
    before = len(ada.audit())
    for request in (ImportRequest(), ImportRequest(job="report")):
        with pytest.raises(Conflict, match=refused):
            ada.import_run(archive, request)
    with pytest.raises(Conflict, match=refused):
        ada.may_import(ImportRequest(job="report"))
    assert (len(ada.runs(job="report")), len(ada.versions("report"))) == (1, 1)
    assert len(ada.audit()) == before
    ada.change_job("report", JobChange(archived=False))
    ada.may_import(ImportRequest(job="report"))
    assert ada.import_run(archive, ImportRequest()).job == "user/ada/report"


def test_without_state_there_is_nothing_to_go_on_from_but_all_else(failed: Run, ada, cid, tmp_path: Path):
    small = tmp_path / "small.zip"
    ada.export_run(failed.id, small, state=False)
    run = cid.import_run(small, ImportRequest())
    detail = cid.show(run.id)
    assert detail.checkpoints == []
    assert len(detail.cells) == 3
    assert cid.resume(run.id, ResumeRequest(load_imported=True)).resume_from == 0


def test_a_run_that_has_not_ended_is_not_exported(queue, ada, tmp_path: Path):
    run = queue()
    with pytest.raises(Conflict, match="still queued"):
        ada.export_run(run.id, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()


def test_who_may_not_read_does_not_export_and_who_may_not_edit_does_not_import(
    failed: Run, bob, ada, archive: Path, tmp_path: Path
):
    with pytest.raises(Forbidden):
        bob.export_run(failed.id, tmp_path / "stolen.zip")
    with pytest.raises(Forbidden):
        bob.import_run(archive, ImportRequest(namespace="user/ada"))


def test_an_export_says_which_blob_is_no_longer_stored(failed: Run, ada, ledger: Ledger, tmp_path: Path):
    manifest = ada.show(failed.id).checkpoints[0].manifest
    ledger.blobs.remove(manifest)
    with pytest.raises(Conflict, match=manifest):
        ada.export_run(failed.id, tmp_path / "run.zip")
    ada.export_run(failed.id, tmp_path / "run.zip", state=False)


def rewritten(path: Path, change: Change, method: int = zipfile.ZIP_STORED) -> Path:
    """Write an archive again, changed."""
    with zipfile.ZipFile(path) as opened:
        members = {info.filename: opened.read(info) for info in opened.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return path


def manifest_with(change: Callable[[dict], None]) -> Change:
    def changed(members: dict[str, bytes]) -> None:
        document = json.loads(members["manifest.json"])
        change(document)
        members["manifest.json"] = json.dumps(document).encode()

    return changed


def _damage(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("blobs/"))
    members[name] = b"X" + members[name][1:]


def _lose(members: dict[str, bytes]) -> None:
    del members[next(name for name in members if name.startswith("blobs/"))]


def _leave_out(document: dict) -> None:
    name = next(name for name in document["members"] if name.startswith("blobs/"))
    del document["members"][name]


WRONG: list[tuple[str, Change]] = [
    ("damaged: its bytes do not match", _damage),
    ("is not in the archive", _lose),
    ("is not in the manifest", manifest_with(_leave_out)),
    ("does not belong into an archive", lambda members: members.update({"../../etc/passwd": b"x"})),
    ("does not belong into an archive", lambda members: members.update({"blobs/ab/../../x": b"x"})),
    ("has no manifest.json", lambda members: members.pop("manifest.json")),
    ("is no JSON", lambda members: members.update({"manifest.json": b"{"})),
    ("does not describe a run", lambda members: members.update({"manifest.json": b"[]"})),
    ("has format 99", manifest_with(lambda document: document.update(format=99))),
    ("wrong at run.state", manifest_with(lambda document: document["run"].update(state="asleep"))),
    ("only ended runs", manifest_with(lambda document: document["run"].update(state="running"))),
    ("one cell twice", manifest_with(lambda document: document["cells"].append(document["cells"][0]))),
    ("number too large", manifest_with(lambda document: document["cells"][0].update(index=2**70))),
    ("cell id has 65", manifest_with(lambda document: document["cells"][0].update(cell_id="x" * 65))),
    (
        "is not in the archive",
        manifest_with(lambda document: document["cells"][0].update(outputs=digest_of(b"other"))),
    ),
    ("not a job name", manifest_with(lambda document: document["version"].update(job="user/ada/No Name"))),
]


def test_a_wrong_archive_is_refused_and_nothing_is_written(archive: Path, elsewhere: Ledger, cid):
    good = archive.read_bytes()
    for said, change in WRONG:
        archive.write_bytes(good)
        rewritten(archive, change)
        with pytest.raises(InvalidInput, match=said):
            cid.import_run(archive, ImportRequest())
    archive.write_bytes(good)
    rewritten(archive, lambda members: members.update({"manifest.json": b" " * 10**7}), zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidInput, match="compressed or encrypted"):
        cid.import_run(archive, ImportRequest())
    for data in (b"", b"no zip at all", b"PK\x05\x06" + b"\0" * 18, good[:-200]):
        archive.write_bytes(data)
        with pytest.raises(InvalidInput, match=r"no (whole )?archive of a run"):
            cid.import_run(archive, ImportRequest())
    assert cid.jobs() == []
    assert list(elsewhere.blobs.listed()) == []


def test_what_a_job_carries_goes_along(ledger: Ledger, ada, cid, tmp_path: Path):
    files = [NewFile.of("helpers.py", b"x = 1\n", modified=7), NewFile.of("rates.csv", b"1\n")]
    version = ada.promote(
        Promotion(name="carries", notebook=text(notebook("import helpers", "1 / 0")), files=files)
    )
    run = ada.run(RunRequest(job=version.job)).id
    runner = PlayedRunner(ledger, run)
    runner.begin()
    runner.fail(1)
    ada.export_run(run, tmp_path / "carries.zip")
    taken = cid.import_run(tmp_path / "carries.zip", ImportRequest())
    (theirs,) = cid.versions(taken.job)
    assert theirs.files == version.files
    assert cid.version_file(taken.job, 1, "helpers.py") == b"x = 1\n"
    again = cid.restart(taken.id, ResumeRequest(files=[files[0], NewFile.of("rates.csv", b"2\n")]))
    assert (again.version, cid.version_file(taken.job, 2, "rates.csv")) == (2, b"2\n")


def test_an_archive_whose_files_lead_elsewhere_is_refused(archive: Path, cid):
    def lead_out(manifest: dict) -> None:
        manifest["version"]["files"] = [{"path": "../up.py", "digest": "0" * 64, "size": 1, "modified": 0}]

    with pytest.raises(InvalidInput, match=r"'\.\./up\.py' is no path of a file"):
        cid.import_run(rewritten(archive, manifest_with(lead_out)), ImportRequest())
