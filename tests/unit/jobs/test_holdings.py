"""A digest opens nothing by itself: a runner may name only blobs whose bytes came from its own namespace."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from respawn_jobs.api.runner_protocol import CheckpointCommit, Outcome
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.errors import InvalidInput, NotFound
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.runs import CellState
from respawn_jobs.store.tables import CheckpointRow
from respawn_kernels.digest import digest_of
from support.notebooks import notebook, text
from support.queues import counted_statements
from support.runners import PlayedRunner


@pytest.fixture
def secret(failed, ada) -> str:
    """A blob of ada's, whose digest bob has come to know."""
    return ada.show(failed.id).checkpoints[0].manifest


@pytest.fixture
def bobs(bob, ledger) -> PlayedRunner:
    bob.promote(Promotion(name="x", notebook=text(notebook("1", "2"))))
    runner = PlayedRunner(ledger, bob.run(RunRequest(job="x")).id)
    runner.begin()
    return runner


def test_another_namespaces_blob_is_told_to_be_missing(bobs, secret):
    assert bobs.port.missing([secret]) == [secret]


@pytest.mark.parametrize("way", ["record", "begin", "manifest", "blob", "finish"])
def test_another_namespaces_blob_cannot_be_named(bobs, bob, secret, way):
    mine = bobs.put("mine")
    checkpoint = Checkpoint(cell=0, manifest=secret if way == "manifest" else mine, variables=0, size=0)
    blobs = [secret] if way == "blob" else []
    call = {
        "record": lambda: bobs.port.record([bobs.event(0, CellState.EXECUTED, outputs=secret)]),
        "begin": lambda: bobs.port.begin(secret, []),
        "manifest": lambda: bobs.port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=[])),
        "blob": lambda: bobs.port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=blobs)),
        "finish": lambda: bobs.port.finish(Outcome(state="succeeded", notebook=secret)),
    }[way]
    with pytest.raises(InvalidInput, match=f"{secret} was not put"):
        call()
    with pytest.raises(NotFound):
        bob.blob(bobs.run, secret)
    with pytest.raises(NotFound):
        bobs.port.get_blob(secret)


def test_who_has_the_bytes_may_put_and_name_them(bobs, bob, ledger, secret):
    data = ledger.blobs.get(secret)
    bobs.port.put_blob(secret, data)
    assert bobs.port.missing([secret]) == []
    bobs.port.record([bobs.event(0, CellState.EXECUTED, outputs=secret)])
    assert bob.blob(bobs.run, secret) == data


def test_a_namespace_need_not_put_its_blobs_again(queue, ledger, failed, secret):
    runner = PlayedRunner(ledger, queue().id)
    runner.begin()
    assert runner.port.missing([secret]) == []
    runner.port.record([runner.event(0, CellState.EXECUTED, outputs=secret)])


def test_a_resumed_run_may_name_what_it_takes_over(failed, ada, ledger):
    resumed = ada.resume(failed.id, ResumeRequest())
    runner = PlayedRunner(ledger, resumed.id)
    given = runner.assignment.resume
    outputs = [cell.outputs for cell in given.reused]
    assert runner.port.missing([given.manifest, *given.blobs, *outputs, given.manifest]) == []
    assert ada.blob(resumed.id, given.manifest).startswith(b"manifest")
    assert ada.blob(resumed.id, given.blobs[0]).startswith(b"data")


def test_what_the_ledger_stores_belongs_to_the_namespace(queue, ledger, ada):
    run = queue()
    first = PlayedRunner(ledger, run.id)
    first.begin()
    ledger.lose(first.attempt, "killed")
    version = ada.versions("report")[0].notebook
    second = PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    assert second.port.missing([version, ada.show(run.id).run.notebook]) == []


def test_a_blob_that_the_store_lost_is_missing(queue, ledger, tmp_path):
    runner = PlayedRunner(ledger, queue().id)
    digest = runner.put("lost")
    (tmp_path / "data" / "blobs" / digest[:2] / digest).unlink()
    assert runner.port.missing([digest]) == [digest]
    runner.put("lost")
    assert runner.port.missing([digest]) == []


def test_runners_may_put_the_same_bytes_at_once(queue, ledger, ada, clock, tmp_path, store_url):
    queue()
    replicas = [Ledger.embedded(tmp_path / "data", db_url=store_url, clock=clock) for _ in range(4)]
    runners = [PlayedRunner(replica, ada.run(RunRequest(job="report")).id) for replica in replicas]
    with ThreadPoolExecutor(4) as pool:
        for turn in range(10):
            assert len(set(pool.map(lambda runner: runner.put(f"turn {turn}"), runners))) == 1  # noqa: B023
    assert runners[0].port.missing([digest_of(b"turn 7")]) == []
    for replica in replicas:
        replica.close()


def test_looking_up_a_blob_reads_no_checkpoint(queue, ledger, ada):
    run = queue()
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    digests = [runner.put(f"blob {number}") for number in range(120)]
    for cell in range(40):
        checkpoint = Checkpoint(cell=cell, manifest=digests[cell], variables=1, size=1)
        runner.port.commit_checkpoint(CheckpointCommit(checkpoint=checkpoint, blobs=digests))
    with ledger.database.session(write=True) as session:
        for row in session.query(CheckpointRow):
            row.blobs = []  # what a checkpoint names is found in the index, however long its list
    with counted_statements(ledger.database) as statements:
        for digest in digests[-5:]:
            assert ada.blob(run.id, digest).startswith(b"blob")
        assert statements() <= 5 * 6, "not one for each of the forty checkpoints"
    with pytest.raises(NotFound):
        ada.blob(run.id, digest_of(b"none"))
