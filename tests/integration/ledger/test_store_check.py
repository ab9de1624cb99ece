"""`respawn admin verify`: a store is whole, or each thing that is wrong with it is named."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager

import pytest
from sqlalchemy import inspect, select
from sqlalchemy import text as sql

from respawn_jobs.api.runner_protocol import CheckpointCommit
from respawn_jobs.cli.entry import run_command
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.store.columns import Base
from respawn_jobs.store.tables import CellRow, RunRow
from respawn_kernels.checkpoint.manifest import Blob, Manifest, StoredVariable
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_a_store_that_is_whole_has_no_fault",
    "test_each_blob_that_is_gone_is_named_and_nothing_is_changed",
    "test_every_reference_of_every_table_is_looked_at",
    "test_what_is_removed_while_the_check_runs_is_no_fault",
}


@pytest.fixture
def run(queue, ledger):
    """A run with two executed cells, and a checkpoint whose manifest is a real one."""
    run = queue("a = 1", "b = a", "c = d")
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0, checkpoint=False)
    _checkpoint(runner, 1)
    runner.fail(2)
    return run


def _checkpoint(runner, index, **more):
    runner.execute(index, checkpoint=False)
    data = runner.put(f"the variables after {index}")
    manifest = Manifest(
        cell=index, python="3.12", cwd="/", execution_count=1, unstored=[],
        variables=[StoredVariable("a", "int", "1", None, index, None)], blobs=[Blob(data, 21)],
    )  # fmt: skip
    named = runner.put(manifest.to_json())
    runner.port.commit_checkpoint(
        CheckpointCommit(
            checkpoint=Checkpoint(cell=index, manifest=named, variables=1, size=21), blobs=[data], **more
        )
    )


def _faults(ledger, *, deep=False):
    return [(fault.kind, fault.subject) for fault in ledger.store_check(deep=deep).faults()]


def _everything(ledger):
    """All rows of all tables, and all files."""
    with ledger.database.session() as session:
        rows = {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }
    return rows, sorted((file.name, file.size, file.modified) for file, _ in ledger.blobs.listed())


def _path(ledger, tmp_path, digest):
    return tmp_path / "data" / "blobs" / digest[:2] / digest


def test_a_store_that_is_whole_has_no_fault(run, ledger):
    assert _faults(ledger, deep=True) == []
    check = ledger.store_check()
    assert list(check.faults()) == []
    assert check.manifests == 1
    assert check.blobs >= 5
    assert check.bytes > 21


def test_each_blob_that_is_gone_is_named_and_nothing_is_changed(run, ledger, tmp_path):
    files = sorted((tmp_path / "data" / "blobs").rglob("*/*"))
    assert len(files) >= 5
    for file in files:
        content = file.read_bytes()
        file.unlink()
        before = _everything(ledger)
        (fault,) = ledger.store_check().faults()
        assert (fault.kind, fault.subject) == ("missing", file.name)
        assert (
            run.id in fault.message or run.job.rpartition("/")[2] in fault.message or "job-" in fault.message
        )
        assert _everything(ledger) == before
        file.write_bytes(content)
    assert _faults(ledger) == []


def test_each_blob_with_other_bytes_is_named_by_a_deep_check(run, ledger, tmp_path):
    for file in sorted((tmp_path / "data" / "blobs").rglob("*/*")):
        content = file.read_bytes()
        file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        assert ("bytes", file.name) in _faults(ledger, deep=True)
        file.write_bytes(content)


def test_a_blob_of_a_state_that_was_cut_short_is_named_by_its_size(run, ledger, tmp_path):
    (file,) = [
        f for f in (tmp_path / "data" / "blobs").rglob("*/*") if f.read_bytes() == b"the variables after 1"
    ]
    file.write_bytes(b"the variables")
    assert _faults(ledger) == [("size", file.name)]


def test_a_manifest_that_cannot_be_read_is_named(failed, ledger):
    kinds = {kind for kind, _ in _faults(ledger)}
    assert kinds == {"manifest"}, "its manifests are made up"


@contextmanager
def _unchecked(ledger):
    """A connection whose changes no foreign key stops."""
    if ledger.database.engine.dialect.name == "sqlite":
        connection = sqlite3.connect(ledger.database.engine.url.database, isolation_level=None)
        try:
            yield connection.execute
        finally:
            connection.close()
        return
    with ledger.database.session(write=True) as session:
        session.execute(sql("SET LOCAL session_replication_role = replica"))
        yield lambda statement: session.execute(sql(statement))


BROKEN = {
    "DELETE FROM jobs": {"row"},
    "DELETE FROM runs": {"row"},
    "DELETE FROM attempts": {"row"},
    "UPDATE jobs SET version = 9": {"row"},
    "UPDATE runs SET current = 'att-0'": {"row"},
    "DELETE FROM checkpoint_blobs": {"row"},
    "DELETE FROM blobs": {"row", "registry"},
    "UPDATE blobs SET removing = true": {"registry"},
    "UPDATE checkpoints SET blobs = '[]'": {"registry"},
    "INSERT INTO run_outbox VALUES ('downstream', 'run-0', '2026-01-01 00:00:00')": {"row"},
}


@pytest.mark.parametrize("statement", BROKEN)
def test_rows_without_owners_are_named(run, ledger, statement):
    with _unchecked(ledger) as execute:
        execute(statement)
    faults = list(ledger.store_check().faults())
    assert {fault.kind for fault in faults} == BROKEN[statement]
    assert all(fault.message and fault.subject for fault in faults)


def test_every_reference_of_every_table_is_looked_at(ledger):
    """The check follows the tables as they are declared, so these must declare what the database has."""
    with ledger.database.session() as session:
        found = inspect(session.connection())
        for table in Base.metadata.sorted_tables:
            stored = {
                (reference["constrained_columns"][0], reference["referred_table"])
                for reference in found.get_foreign_keys(table.name)
            }
            assert stored == {(key.parent.name, key.column.table.name) for key in table.foreign_keys}, (
                table.name
            )


def test_what_is_removed_while_the_check_runs_is_no_fault(run, ledger, tmp_path):
    check = ledger.store_check()
    with ledger.database.session() as session:
        outputs = session.scalar(select(CellRow.outputs).where(CellRow.outputs.is_not(None)).limit(1))
    sizes = ledger.blobs.sizes

    def removed_with_its_record(digests):
        with ledger.database.session(write=True) as session:
            session.execute(CellRow.__table__.update().values(outputs=None))
            session.execute(RunRow.__table__.update().values(revision=RunRow.revision + 1))
        _path(ledger, tmp_path, outputs).unlink(missing_ok=True)
        return sizes(digests)

    ledger.blobs.sizes = removed_with_its_record
    assert [fault for fault in check.faults() if fault.subject == outputs] == []


def test_the_command_ends_with_1_when_something_is_wrong(
    run, ledger, tmp_path, store_url, monkeypatch, capsys
):
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_DB_URL", store_url)
    assert run_command(["admin", "verify", "--deep"]) == 0
    assert "all is as the records say" in capsys.readouterr().err
    with ledger.database.session() as session:
        digest = session.scalar(select(RunRow.skeleton))
    _path(ledger, tmp_path, digest).unlink()
    assert run_command(["admin", "verify"]) == 1
    assert f"blob {digest} is not stored: the notebook of version 1 of" in capsys.readouterr().out
    assert run_command(["admin", "verify", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [fault["subject"] for fault in told["faults"]] == [digest]
