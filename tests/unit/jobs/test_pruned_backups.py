"""Old backups are removed from a target with the data that only they had; the newest whole one never is."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path

import pytest

from respawn_jobs.api.service import RunRequest, Service
from respawn_jobs.backup import BackupTarget, Store, back_up, prune, restore
from respawn_jobs.backup.target import Document
from respawn_jobs.backup.target_lock import turn
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.keyring import Keyring
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run
from respawn_jobs.store.database import Database
from support.clocks import MovedClock
from support.runners import PlayedRunner


@pytest.fixture
def place(tmp_path: Path) -> BackupTarget:
    return BackupTarget(str(tmp_path / "kept"))


@pytest.fixture
def three(
    failed: Run, ada: Service, ledger: Ledger, place: BackupTarget, clock: MovedClock
) -> list[Document]:
    """Backups of three days, each with a blob of its own besides the database."""
    made = []
    for _ in range(3):
        made.append(back_up(ledger.context, place).document)
        clock.forward(days=1)
        runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
        runner.begin()
        runner.execute(0)
        runner.fail(1)
    return made


def files(place: BackupTarget) -> dict[str, Path]:
    root = Path(place.url.removeprefix("file://")) / "blobs"
    return {path.name: path for path in root.rglob("*/*")}


def brought_back(place: BackupTarget, document: Document, directory: Path) -> bool:
    """Restore a backup wholly into a new place; every byte of it is compared."""
    database = Database(f"sqlite:///{directory}/respawn.db")
    store = Store(directory, database, BlobStore((directory / "blobs").as_uri()), Keyring(directory / "keys"))
    try:
        return restore(place, document, store, keys=None, new_keys=True).blobs == document.blobs
    finally:
        database.close()


def test_only_the_newest_stay_and_come_back_whole(
    three: list[Document], place: BackupTarget, tmp_path: Path
) -> None:
    before = files(place)
    done = prune(place, keep=2)
    assert (done.removed, done.kept) == ([three[0].id], [three[1].id, three[2].id])
    assert place.ids() == done.kept
    assert three[0].dump[0].digest in before.keys() - files(place).keys()
    assert len(before) - len(files(place)) == done.blobs > 0
    for document in three[1:]:
        assert brought_back(place, document, tmp_path / document.id)
    again = prune(place, keep=2)
    assert (again.removed, again.blobs) == ([], 0)


def test_a_backup_stays_for_its_age_or_for_being_among_the_newest(
    three: list[Document], place: BackupTarget, clock: MovedClock
) -> None:
    assert prune(place, keep_days=2.5, clock=clock).removed == [three[0].id]
    assert prune(place, keep=2, keep_days=0.1, clock=clock).removed == []
    clock.forward(days=1000)
    assert prune(place, keep_days=1, clock=clock).kept == [three[2].id], "the newest, however old"


@pytest.mark.long
@pytest.mark.parametrize("keep", [1, 2, 3])
@pytest.mark.parametrize("whole", list(itertools.product([True, False], repeat=4)))
def test_the_newest_whole_ones_stay_whichever_are_damaged(
    failed: Run, ledger: Ledger, place: BackupTarget, whole: tuple[bool, ...], keep: int
) -> None:
    made = back_up(ledger.context, place).document
    place.forget(made)
    ids = [f"{made.id}-{number}" for number in range(4)]
    for one, good in zip(ids, whole, strict=True):
        lacks = [] if good else ["0" * 64]
        place.publish(made.model_copy(update={"id": one, "missing": lacks}), None)
    done = prune(place, keep=keep)
    good_ones = [one for one, good in zip(ids, whole, strict=True) if good]
    oldest = good_ones[-keep] if len(good_ones) >= keep else ids[0]
    assert done.kept == [one for one in ids if one >= oldest]
    assert set(good_ones[-keep:]) <= set(done.kept)
    assert set(done.faulty) == set(done.kept) - set(good_ones)


@pytest.mark.parametrize("part", ["blob", "dump", "listing"])
@pytest.mark.parametrize("damage", ["gone", "cut short"])
def test_a_backup_of_which_a_file_is_damaged_is_never_taken_for_the_newest_whole_one(
    three: list[Document], place: BackupTarget, part: str, damage: str
) -> None:
    there = files(place)
    own = {
        "dump": three[2].dump[0].digest,
        "listing": three[2].listing[0].digest,
        "blob": next(iter(_listed(three[2], there) - _listed(three[1], there))),
    }[part]
    there[own].unlink() if damage == "gone" else there[own].write_bytes(there[own].read_bytes()[:-1])
    done = prune(place)
    assert done.kept == [three[1].id, three[2].id]
    assert list(done.faulty) == [three[2].id]
    if part == "listing":
        assert done.blobs == 0, "what it needs is not known, so nothing goes"


def _listed(document: Document, there: dict[str, Path]) -> set[str]:
    text = "".join(there[piece.digest].read_text() for piece in document.listing)
    return {line.split()[0] for line in text.splitlines()}


def test_where_no_backup_is_whole_nothing_goes(three: list[Document], place: BackupTarget) -> None:
    for document in three:
        files(place)[document.dump[0].digest].unlink()
    before = files(place).keys()
    done = prune(place)
    assert (done.removed, len(done.faulty), files(place).keys()) == ([], 3, before)


def test_a_document_that_cannot_be_read_stops_it(three: list[Document], place: BackupTarget) -> None:
    path = Path(place.url.removeprefix("file://")) / "backups" / f"{three[1].id}.json"
    path.write_text('{"format": 2}')
    with pytest.raises(InvalidInput, match=three[1].id):
        prune(place)
    assert len(place.ids()) == 3
    assert not place.marks()


def test_what_a_backup_that_broke_off_has_left_goes(three: list[Document], place: BackupTarget) -> None:
    left = place.blobs.put_bytes(b"of a backup that broke off")
    assert prune(place, keep=3).blobs == 1
    assert left not in files(place)


def test_a_dry_run_tells_it_and_removes_nothing(three: list[Document], place: BackupTarget) -> None:
    before = files(place).keys()
    told = prune(place, dry_run=True)
    assert (len(place.ids()), files(place).keys()) == (3, before)
    done = prune(place)
    assert (told.kept, told.removed, told.blobs) == (done.kept, done.removed, done.blobs)


def test_making_and_pruning_take_turns(failed: Run, ledger: Ledger, place: BackupTarget) -> None:
    with turn(place, "making"), turn(place, "making"), pytest.raises(Conflict, match="is being made"):
        prune(place)
    with turn(place, "pruning"):
        with pytest.raises(Conflict, match="are being removed"):
            back_up(ledger.context, place)
        with pytest.raises(Conflict, match="are being removed"):
            prune(place)
    assert place.marks() == []
    assert place.ids() == []


def test_a_turn_that_lasts_is_renewed_and_one_of_the_dead_is_over(
    three: list[Document], place: BackupTarget
) -> None:
    backups = Path(place.url.removeprefix("file://")) / "backups"
    long_ago = time.time() - 121
    with turn(place, "making", every_seconds=0.01):
        (mark,) = place.marks()
        os.utime(backups / mark.name, (long_ago, long_ago))
        deadline = time.monotonic() + 30
        while place.marks()[0].modified.timestamp() < long_ago + 60:
            assert time.monotonic() < deadline, "it is not renewed"
        with pytest.raises(Conflict):
            prune(place)
    (backups / ".making-dead").touch()
    os.utime(backups / ".making-dead", (long_ago, long_ago))
    assert len(prune(place).removed) == 2
    assert place.marks() == []


def test_the_commands_prune(failed, ledger, tmp_path, store_url, clock, monkeypatch, capsys) -> None:
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_DB_URL", store_url)
    where = str(tmp_path / "kept")
    for _ in range(2):
        assert run_command(["admin", "backup", where]) == 0
    capsys.readouterr()
    assert run_command(["admin", "prune-backups", where]) == 2
    assert "--keep" in capsys.readouterr().err
    assert run_command(["admin", "prune-backups", where, "--keep-days", "1", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["kept"]) == 2
    assert run_command(["admin", "backup", where, "--keep", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (len(made["pruned"]["removed"]), made["pruned"]["kept"]) == (2, [made["id"]])
    assert run_command(["admin", "prune-backups", where, "--keep", "1", "--dry-run"]) == 0
    assert "would remove no backup" in capsys.readouterr().out
    (tmp_path / "kept" / "blobs" / made["dump"][0]["digest"][:2] / made["dump"][0]["digest"]).unlink()
    assert run_command(["admin", "prune-backups", where, "--keep", "1"]) == 1
    assert f"backup {made['id']} is not whole" in capsys.readouterr().err
