"""Blobs that nothing names are removed after the grace; nothing else ever is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.history import OrphanRequest
from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.errors import Forbidden, InvalidInput, Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.blobs import garbage_collector, registry
from respawn_jobs.store.tables import BlobRow, NamespaceBlobRow
from respawn_kernels.digest import digest_of
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
BOTH_DATABASES = True


@pytest.fixture
def owner(ledger: Ledger):
    return ledger.as_actor(Actor.owner("root"))


def test_a_blob_that_nothing_names_goes_after_the_grace(queue, ledger, owner, clock):
    runner = PlayedRunner(ledger, queue().id)
    digest = runner.put("never named")
    assert owner.collect().removed == 0
    clock.forward(hours=25)
    assert owner.collect().removed == 1
    assert not ledger.blobs.exists(digest)
    with ledger.database.session() as session:
        assert session.get(BlobRow, digest) is None
        assert session.get(NamespaceBlobRow, ("user/ada", digest)) is None


def test_what_records_name_stays_however_old_it_is(failed, ledger, owner, ada, clock):
    clock.forward(days=400)
    owner.collect()
    bundle = ada.debug(failed.id)
    for digest in [
        bundle.checkpoint.manifest,
        *bundle.blobs,
        *filter(None, (c.outputs for c in bundle.cells)),
    ]:
        ledger.blobs.get(digest)
    resumed = ada.resume(failed.id, ResumeRequest())
    clock.forward(days=400)
    assert owner.collect().removed == 0
    PlayedRunner(ledger, resumed.id).begin()


def test_who_is_told_that_a_blob_is_there_may_still_name_it(queue, ledger, owner, clock):
    runner = PlayedRunner(ledger, queue().id)
    digest = runner.put("told later")
    clock.forward(hours=23)
    assert runner.port.missing([digest]) == []
    clock.forward(hours=23)
    assert owner.collect().removed == 0
    clock.forward(hours=2)
    assert owner.collect().removed == 1
    assert runner.port.missing([digest]) == [digest]


def test_a_blob_that_is_being_removed_counts_as_missing_and_is_refused(queue, ledger, clock):
    runner = PlayedRunner(ledger, queue().id)
    digest = runner.put("going")
    context = ledger._context
    assert garbage_collector._mark(context, [digest], clock() + timedelta(seconds=1)) == [digest]
    assert runner.port.missing([digest]) == [digest]
    with pytest.raises(Unavailable, match="just being removed"):
        runner.put("going")
    with pytest.raises(Unavailable), ledger.database.session(write=True) as session:
        registry.secure(session, [digest])


def test_what_a_dead_collector_left_is_finished_by_the_next(queue, ledger, owner, clock):
    runner = PlayedRunner(ledger, queue().id)
    digest = runner.put("half removed")
    garbage_collector._mark(ledger._context, [digest], clock() + timedelta(seconds=1))
    assert owner.collect().removed == 0
    clock.forward(minutes=2)
    assert owner.collect().removed == 1
    assert not ledger.blobs.exists(digest)


def test_a_writer_takes_back_what_a_dead_collector_left(queue, ledger, owner, clock):
    runner = PlayedRunner(ledger, queue().id)
    digest = runner.put("wanted again")
    marked = garbage_collector._mark(ledger._context, [digest], clock() + timedelta(seconds=1))
    ledger.blobs.remove(digest)
    clock.forward(minutes=2)
    runner.put("wanted again")
    assert garbage_collector._remove(ledger._context, marked, clock() + timedelta(seconds=20)) == 0
    assert ledger.blobs.get(digest) == b"wanted again"
    assert runner.port.missing([digest]) == []


def test_a_collector_that_took_too_long_removes_nothing(queue, ledger, clock):
    digest = PlayedRunner(ledger, queue().id).put("slow")
    marked = garbage_collector._mark(ledger._context, [digest], clock() + timedelta(seconds=1))
    until = clock() + timedelta(seconds=20)
    clock.forward(seconds=21)
    assert garbage_collector._remove(ledger._context, marked, until) == 0
    assert ledger.blobs.exists(digest)


def test_a_large_registry_is_walked_in_steps(queue, ledger, clock, monkeypatch):
    runner = PlayedRunner(ledger, queue().id)
    for number in range(7):
        runner.put(f"unnamed {number}")
    clock.forward(hours=25)
    monkeypatch.setattr(garbage_collector, "_STEP", 3)
    collector = ledger.collector()
    steps = [collector.step()]
    while not steps[-1].ended:
        steps.append(collector.step())
    assert sum(step.removed for step in steps) == 7
    assert len(steps) >= 3


def test_a_grace_below_an_hour_is_refused(ledger):
    with pytest.raises(InvalidInput, match="1:00:00 at least"):
        garbage_collector.GarbageCollector(ledger._context, timedelta(minutes=59))


def test_orphans_are_listed_then_removed_and_foreign_files_left_alone(queue, ledger, owner, tmp_path, clock):
    queue()
    data = b"from a lost database"
    digest = digest_of(data)
    ledger.blobs.put(digest, data)
    root = tmp_path / "data" / "blobs"
    (root / "README").write_text("not ours")
    (root / digest[:2] / ".incomplete-abc").write_bytes(b"half")
    clock.forward(days=365 * 40)  # files are as old as their disk says
    found = owner.orphans(OrphanRequest())
    assert sorted(found.names) == sorted([f"{digest[:2]}/{digest}", f"{digest[:2]}/.incomplete-abc"])
    assert (found.count, found.foreign, found.removed) == (2, ["README"], 0)
    assert ledger.blobs.exists(digest)
    assert owner.orphans(OrphanRequest(remove=True)).removed == 2
    assert owner.orphans(OrphanRequest()).count == 0
    assert (root / "README").exists()
    assert not ledger.blobs.exists(digest)


def test_only_administrators_of_everything_collect(ada):
    with pytest.raises(Forbidden):
        ada.collect()
    with pytest.raises(Forbidden):
        ada.orphans(OrphanRequest(remove=True))
