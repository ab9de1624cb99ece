"""`respawn admin backup` and `restore`: what was backed up is back as of one moment, and goes on."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from respawn_jobs.access import Actor
from respawn_jobs.api.service import ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import HookRequest
from respawn_jobs.backup import BackupTarget, Store, back_up, restore
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import Conflict, Corrupt, InvalidInput, NotFound, RespawnError
from respawn_jobs.keyring import Keyring
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.blobs.backup_leases import blobs_kept
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.columns import Base
from respawn_jobs.store.database import Database
from respawn_jobs.store.service_tables import BackupRow, ReplicaRow, RunOutboxRow
from respawn_jobs.store.tables import RunRow
from support.runners import PlayedRunner
from support.signed_calls import signed_call

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_all_rows_and_all_blobs_that_they_name_are_back",
    "test_what_is_removed_while_a_backup_is_made_is_in_it",
    "test_runs_that_executed_are_lost_or_tried_again_as_their_job_says",
    "test_a_restore_that_broke_off_goes_on",
    "test_the_commands_bring_a_store_back",
}
_NOT_COMPARED = {"audit", "audit_head", BackupRow.__tablename__, ReplicaRow.__tablename__}


@pytest.fixture
def place(tmp_path):
    return BackupTarget(str(tmp_path / "backups of ü"))


@pytest.fixture
def target(request, database_kind, tmp_path):
    """An empty place to restore into, with a database of the same kind."""
    data, cluster = tmp_path / "restored", None
    if database_kind == "postgresql":
        cluster = request.getfixturevalue("postgres")
    url = cluster.empty() if cluster else f"sqlite:///{data}/respawn.db"
    database = Database(url)
    yield Store(data, database, BlobStore((data / "blobs").as_uri()), Keyring(data / "keys.json"))
    database.close()
    if cluster:
        cluster.drop(url)


@pytest.fixture
def opened(target, clock):
    """Open what was restored, as a service does."""
    made = []

    def open_it() -> Ledger:
        url = target.database.engine.url.render_as_string(hide_password=False)
        made.append(Ledger.embedded(target.data, db_url=url, clock=clock))
        return made[-1]

    yield open_it
    for ledger in made:
        ledger.close()


def _fault_kinds(ledger):
    return {fault.kind for fault in ledger.store_check(deep=True).faults()}


def _back(place, target, clock, **options):
    options = {"keys": None, "new_keys": True, **options}
    return restore(place, place.document(), target, clock=clock, **options)


def _files(target):
    """What is there, but for the empty file that a database which is opened makes."""
    return [path for path in target.data.rglob("*") if path.is_file() and path.stat().st_size]


def _rows(ledger):
    with ledger.database.session() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
            if table.name not in _NOT_COMPARED
        }


def test_all_rows_and_all_blobs_that_they_name_are_back(failed, ada, ledger, place, target, clock, opened):
    ada.resume(failed.id, ResumeRequest())
    before = _rows(ledger)
    made = back_up(ledger.context, place, with_keys=True)
    assert made.document.missing == []
    done = _back(place, target, clock, new_keys=False)
    after = opened()
    assert _rows(after) == before
    assert (done.blobs, done.lost, done.queued, done.audit) == (made.document.blobs, [], [], None)
    assert _fault_kinds(after) == {"manifest"}, "those are made up"
    assert after.check_audit().fault is None
    assert after.check_audit(made.document.audit).fault is None, "it leads through the head of that moment"


def test_a_second_backup_copies_what_is_new_and_nothing_else(failed, ada, ledger, place, clock):
    first = back_up(ledger.context, place)
    clock.forward(minutes=1)
    assert first.copied == first.document.blobs > 3
    again = back_up(ledger.context, place)
    clock.forward(minutes=1)
    assert (again.copied, again.document.blobs) == (0, first.document.blobs)
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    runner.execute(0)
    third = back_up(ledger.context, place)
    assert 0 < third.copied < first.copied
    assert len(place.ids()) == 3
    assert place.document().id == third.document.id
    assert place.document(first.document.id) == first.document


def test_what_is_removed_while_a_backup_is_made_is_in_it(failed, ada, ledger, place, target, clock, opened):
    clock.forward(minutes=1)
    runner = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    runner.begin()
    runner.fail(0)
    with ledger.database.session(write=True) as session:
        session.execute(delete(RunOutboxRow))
    clock.forward(days=40)
    ada.configure("report", {"keep_runs": 1})
    removed = []

    def remove_meanwhile() -> None:
        # Retention and the collector of a service at work; the blobs have long not been touched.
        removed.append(ledger.remove_old_runs())
        removed.append(ledger.collector().step().removed)

    made = _interrupted(ledger, place, remove_meanwhile)
    assert removed == [{"user/ada/report": 1}, 0], "no blob goes while a backup is made"
    assert made.document.missing == []
    _back(place, target, clock)
    after = opened()
    with after.database.session() as session:
        assert failed.id in session.scalars(select(RunRow.id)).all()
    assert _fault_kinds(after) == {"manifest"}
    assert ledger.collector().step().removed > 0, "they go once the backup is done"


def _interrupted(ledger, place, meanwhile):
    """Back up, and do something once the snapshot was taken and before the first blob is copied."""
    source = ledger.blobs.sizes

    def sizes(digests):
        ledger.blobs.sizes = source
        meanwhile()
        return source(digests)

    ledger.blobs.sizes = sizes
    return back_up(ledger.context, place)


def test_a_backup_that_died_keeps_blobs_for_two_minutes_and_no_longer(failed, ada, ledger, clock):
    with blobs_kept(ledger.context), ledger.database.session() as session:
        (row,) = session.scalars(select(BackupRow)).all()
    with ledger.database.session(write=True) as session:
        session.add(BackupRow(id=row.id, started_at=row.started_at, until=row.until))
    digest = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id).put("nobody names this")
    clock.now = row.until + timedelta(days=2)
    with ledger.database.session(write=True) as session:
        session.get_one(BackupRow, row.id).until = clock() + timedelta(seconds=1)
    assert ledger.collector().step().removed == 0
    clock.forward(seconds=1)
    assert ledger.collector().step().removed == 1
    assert not ledger.blobs.exists(digest)


def test_runs_that_executed_are_lost_or_tried_again_as_their_job_says(
    queue, ada, ledger, place, target, clock, opened
):
    lost = queue("a = 1", "b = a")
    again = queue("a = 1", "b = a", retries={"runner_lost": {"attempts": 2}})
    for run in (lost, again):
        runner = PlayedRunner(ledger, run.id)
        runner.begin()
        runner.execute(0)
        runner.start(1)
    waiting = ada.run(RunRequest(job="report"))
    assert back_up(ledger.context, place).document.executing == 2
    done = _back(place, target, clock)
    assert (done.lost, done.queued) == ([lost.id], [again.id])
    after = opened().as_actor(Actor.owner("ada"))
    assert after.show(lost.id).run.state is RunState.LOST
    assert "restored from a backup" in after.show(lost.id).run.error.value
    assert after.show(again.id).run.state is RunState.QUEUED
    assert after.show(waiting.id).run.state is RunState.QUEUED


@pytest.mark.parametrize("skip", [False, True])
def test_a_schedule_makes_no_second_run_of_what_ran_before_the_backup(
    queue, ada, ledger, place, target, clock, opened, skip
):
    queue()
    ada.schedule(ScheduleRequest(job="report", cron="0 * * * *", tz="UTC", missed="all"))
    clock.forward(hours=3)
    before = len(ledger.queue_due())
    assert before == 3
    back_up(ledger.context, place)
    clock.forward(hours=2)
    done = _back(place, target, clock, skip_schedules=skip)
    after = opened()
    assert len(after.queue_due()) == (0 if skip else 2), "those that came due since the backup"
    assert done.skipped == (1 if skip else 0)
    with after.database.session() as session:
        due = session.scalars(select(RunRow.due_at).where(RunRow.due_at.is_not(None))).all()
    assert len(due) == len(set(due))
    clock.forward(hours=1)
    assert len(after.queue_due()) == 1


def test_webhooks_go_on_with_the_keys_and_are_refused_without(
    queue, ada, ledger, place, target, clock, opened
):
    queue()
    made = ada.hook(HookRequest(job="report"))
    back_up(ledger.context, place, with_keys=True)
    _back(place, target, clock, new_keys=False)
    after = opened()
    assert after.context.keyring.text() == ledger.context.keyring.text()
    assert after.call_hook(made.hook.id, signed_call(made.secret, clock()), b"").run


def test_keys_are_asked_for_when_the_backup_has_none(failed, ledger, place, target, clock, tmp_path):
    back_up(ledger.context, place)
    secrets = [key.secret for purpose in ("cookies", "audit") for key in ledger.context.keyring.all(purpose)]
    told = "".join(path.read_text() for path in (tmp_path / "backups of ü" / "backups").iterdir())
    assert not [secret for secret in secrets if secret in told]
    with pytest.raises(InvalidInput, match="--new-keys"):
        _back(place, target, clock, new_keys=False)
    assert _files(target) == []
    done = _back(place, target, clock, new_keys=False, keys=ledger.context.keyring.text())
    assert done.audit is None


def test_other_keys_that_are_there_are_refused(failed, ledger, place, target, clock):
    back_up(ledger.context, place)
    target.keyring.current("audit")
    with pytest.raises(Conflict, match="not all keys"):
        _back(place, target, clock, new_keys=False)


def test_a_target_that_is_not_empty_is_refused_and_left_alone(failed, ledger, place, target, clock):
    back_up(ledger.context, place)
    target.data.mkdir(exist_ok=True)
    for name in ("respawn.db", "audit-head.json", "blobs/ab/" + "ab" * 32):
        path = target.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("somebody's")
        with pytest.raises(Conflict, match="empty"):
            _back(place, target, clock)
        assert path.read_text() == "somebody's"
        assert _files(target) == [path]
        path.unlink()
    shutil.rmtree(target.data)
    target.data.mkdir()
    target.database.prepare()
    with pytest.raises(Conflict, match="empty"):
        _back(place, target, clock)


def test_a_restore_that_broke_off_goes_on(failed, ledger, place, target, clock, opened):
    back_up(ledger.context, place, with_keys=True)

    def stop(there: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _back(place, target, clock, new_keys=False, progress=stop)
    assert target.database.revision() is None
    done = _back(place, target, clock, new_keys=False)
    assert done.blobs == place.document().blobs
    after = opened()
    assert _fault_kinds(after) == {"manifest"}
    assert after.check_audit().fault is None


def test_a_backup_in_which_any_byte_is_wrong_is_never_restored(
    failed, ledger, place, target, clock, tmp_path
):
    back_up(ledger.context, place)
    for file in sorted((tmp_path / "backups of ü" / "blobs").rglob("*/*")):
        content = file.read_bytes()
        for damaged in (bytes([content[0] ^ 1]) + content[1:], content[:-1], None):
            file.unlink() if damaged is None else file.write_bytes(damaged)
            with pytest.raises((Corrupt, NotFound)):
                _back(place, target, clock)
            assert target.database.revision() is None
            if target.data.exists():  # what is damaged may be the list of what there is
                shutil.rmtree(target.data)
            target.data.mkdir()
        file.write_bytes(content)
    assert _back(place, target, clock).blobs == place.document().blobs


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}', "\x00"])
def test_a_document_that_cannot_be_read_is_named(failed, ledger, place, content, tmp_path):
    made = back_up(ledger.context, place).document
    (tmp_path / "backups of ü" / "backups" / f"{made.id}.json").write_text(content)
    with pytest.raises(RespawnError, match=made.id):
        place.document()


def test_a_backup_of_a_newer_version_or_another_database_is_refused(failed, ledger, place, target, clock):
    document = back_up(ledger.context, place).document
    newer = document.model_copy(update={"revision": "9999", "version": "9.0"})
    with pytest.raises(Conflict, match=r"version 9\.0"):
        restore(place, newer, target, keys=None, new_keys=True, clock=clock)
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[document.database]
    strange = document.model_copy(update={"database": other})
    with pytest.raises(InvalidInput, match="same kind"):
        restore(place, strange, target, keys=None, new_keys=True, clock=clock)
    assert _files(target) == []


def test_a_blob_that_the_store_itself_lacks_is_named_and_the_rest_is_backed_up(
    failed, ledger, place, target, clock, opened, tmp_path
):
    files = sorted((tmp_path / "data" / "blobs").rglob("*/*"))
    files[0].unlink()
    files[1].write_bytes(b"damaged")
    made = back_up(ledger.context, place).document
    assert made.missing == sorted([files[0].name, files[1].name])
    _back(place, target, clock)
    faults = [fault for fault in opened().store_check(deep=True).faults() if fault.kind == "missing"]
    assert sorted(fault.subject for fault in faults) == made.missing


def test_the_commands_bring_a_store_back(failed, ledger, tmp_path, store_url, target, monkeypatch, capsys):
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_DB_URL", store_url)
    where = str(tmp_path / "kept")
    assert run_command(["admin", "backup", where]) == 0
    told = capsys.readouterr().out
    assert "not in it: the service's keys" in told
    assert run_command(["admin", "backup", where, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["copied"], made["missing"]) == (0, [])
    keys = tmp_path / "kept keys.json"
    shutil.copyfile(tmp_path / "data" / "keys.json", keys)
    monkeypatch.setenv("RESPAWN_DATA", str(target.data))
    monkeypatch.setenv("RESPAWN_DB_URL", target.database.engine.url.render_as_string(hide_password=False))
    assert run_command(["admin", "restore", where]) == 2
    assert "--keys" in capsys.readouterr().err
    assert run_command(["admin", "restore", where, "--backup", "nothing", "--keys", str(keys)]) == 2
    assert made["id"] in capsys.readouterr().err
    assert run_command(["admin", "restore", where, "--keys", str(keys)]) == 0
    assert f"{made['id']} is back" in capsys.readouterr().out
    assert run_command(["audit", "verify"]) == 0
    assert run_command(["admin", "restore", where, "--keys", str(keys)]) == 2
    assert "empty" in capsys.readouterr().err
    assert Path(target.data / "keys.json").stat().st_mode & 0o777 == 0o600
