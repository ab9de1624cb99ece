"""Jobs, versions and runs are removed for good, with all that belongs to them and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import DependencyRequest, HookRequest, TriggerRule
from respawn_jobs.api.versions import CurrentRequest, JobChange
from respawn_jobs.errors import Conflict, NotFound
from respawn_jobs.ledger.job_life import removal
from respawn_jobs.store.columns import Base
from support.notebooks import notebook, text
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_a_removed_job_leaves_nothing_but_its_history",
    "test_a_removal_that_is_cut_short_can_be_done_again",
    "test_a_removed_run_is_gone_with_all_it_kept",
}
KEPT = {"audit", "audit_head", "blobs", "namespace_blobs", "tombstones", "namespaces", "replicas"}
KEPT |= {"schema_versions"}
"""Tables that have rows when no job is left."""


def promoted(ada, *cells, name="report"):
    return ada.promote(Promotion(name=name, notebook=text(notebook(*cells))))


def archive(ada, job="report"):
    return ada.change_job(job, JobChange(archived=True))


def failed(ada, ledger, job="report"):
    """A run that failed in its second cell."""
    run = ada.run(RunRequest(job=job))
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.fail(1)
    return run


def left(ledger):
    """Return which tables have rows, but for those that outlive jobs."""
    with ledger.database.session() as session:
        return {
            table.name
            for table in Base.metadata.sorted_tables
            if table.name not in KEPT and session.scalar(select(func.count()).select_from(table))
        }


@pytest.fixture
def full(ada, ledger):
    """A job with all that a job can have."""
    promoted(ada, "a = 0", "b = a")
    promoted(ada, "a = 1", "b = a")
    promoted(ada, "b = 1", name="before")
    ada.schedule(ScheduleRequest(job="report", cron="0 * * * *", tz="UTC"))
    ada.hook(HookRequest(job="report"))
    ada.set_dependency(
        DependencyRequest(job="report", upstream=["before"], trigger_rule=TriggerRule.ONE_SUCCESS)
    )
    ada.backfill(BackfillRequest(job="report", sets=[{}]))
    run = failed(ada, ledger)
    ada.pin(run.id, pinned=True)
    ada.change_job("report", JobChange(name="summary"))
    ada.change_job("summary", JobChange(name="report"))
    return run


def test_a_removed_job_leaves_nothing_but_its_history(full, ada, ledger):
    archive(ada)
    ada.remove_job("report")
    archive(ada, "before")
    ada.remove_job("before")

    assert left(ledger) == set()
    for ref in ("report", "summary"):
        with pytest.raises(NotFound):
            ada.job(ref)
    with pytest.raises(NotFound):
        ada.show(full.id)
    records = {record.action: record for record in ada.audit(1000) if record.subject == "user/ada/report"}
    assert {"promote", "archive", "remove runs", "remove job"} <= records.keys()
    assert (records["remove job"].details["runs"], records["remove job"].details["versions"]) == (1, 2)
    ledger.verify_audit()


def test_a_job_is_removed_only_from_the_archive(full, ada):
    with pytest.raises(Conflict, match="is not archived: archive it first"):
        ada.remove_job("report")
    assert ada.show(full.id).cells


def test_a_job_that_another_waits_for_is_not_removed(full, ada):
    archive(ada, "before")
    with pytest.raises(Conflict, match="cannot be removed: user/ada/report runs after it"):
        ada.remove_job("before")


def test_a_removal_that_is_cut_short_can_be_done_again(ada, ledger, monkeypatch):
    promoted(ada, "a = 1", "b = a")
    for _ in range(5):
        failed(ada, ledger)
    archive(ada)
    monkeypatch.setattr(removal, "AT_ONCE", 2)
    pieces = iter([2, 2])

    def cut(*given):
        if next(pieces, None) is None:
            raise KeyboardInterrupt
        return whole(*given)

    whole = removal._remove_some_runs
    monkeypatch.setattr(removal, "_remove_some_runs", cut)
    with pytest.raises(KeyboardInterrupt):
        ada.remove_job("report")

    assert len(ada.runs(job="report")) == 1
    assert ada.job("report").archived_at is not None
    monkeypatch.setattr(removal, "_remove_some_runs", whole)
    ada.remove_job("report")
    assert left(ledger) == set()


def test_the_name_of_a_removed_job_is_free(ada, ledger):
    first = promoted(ada, "a = 1")
    archive(ada)
    ada.remove_job("report")
    again = promoted(ada, "a = 1")
    assert (again.number, again.id != first.id) == (1, True)


def test_the_number_of_a_removed_version_is_not_used_again(ada):
    for value in (1, 2, 3):
        promoted(ada, f"a = {value}")
    ada.make_current("report", CurrentRequest(version=1))
    ada.remove_version("report", 3)
    ada.remove_version("report", 2)

    assert [version.number for version in ada.versions("report")] == [1]
    assert promoted(ada, "a = 4").number == 4
    removed = [one.details["version"] for one in ada.audit(100) if one.action == "remove version"]
    assert removed == [2, 3]


def test_a_version_that_something_names_is_not_removed(ada, ledger):
    promoted(ada, "a = 1", "b = a")
    with pytest.raises(Conflict, match="version 1 of user/ada/report cannot be removed: new runs use it"):
        ada.remove_version("report", 1)
    run = failed(ada, ledger)
    fixed = ada.resume(run.id, ResumeRequest(notebook=text(notebook("a = 1", "b = a + 1"))))
    assert fixed.version == 2
    with pytest.raises(Conflict, match=f"{run.id} is a run of it"):
        ada.remove_version("report", 1)
    ada.cancel(fixed.id)
    ada.remove_run(run.id)
    with pytest.raises(Conflict, match="version 2 was made from it"):
        ada.remove_version("report", 1)
    with pytest.raises(NotFound):
        ada.remove_version("report", 9)


def test_a_removed_run_is_gone_with_all_it_kept(ada, ledger):
    promoted(ada, "a = 1", "b = a")
    first, second = failed(ada, ledger), failed(ada, ledger)
    ada.remove_run(second.id)

    with pytest.raises(NotFound):
        ada.show(second.id)
    assert ada.job("report").last_run.id == first.id
    ada.remove_run(first.id)
    assert ada.job("report").last_run is None
    assert left(ledger) == {"jobs", "versions"}
    assert ledger.operations().collect() == [], "nobody is told of it any more"
    removed = [one.subject for one in ada.audit(100) if one.action == "remove run"]
    assert removed == [first.id, second.id]


def test_a_run_is_not_removed_before_the_jobs_after_it_were_told(ada, ledger):
    promoted(ada, "a = 1", "b = a")
    promoted(ada, "c = 1", name="downstream")
    ada.set_dependency(
        DependencyRequest(job="downstream", upstream=["report"], trigger_rule=TriggerRule.ONE_DONE)
    )
    ledger.report_replica("rep-1", host="here", slots=1, busy=0, draining=False, health={})
    run = failed(ada, ledger)
    with pytest.raises(Conflict, match="are still to be made"):
        ada.remove_run(run.id)
    made, _ = ledger.trigger_downstream()
    ledger.operations().collect()
    ada.remove_run(run.id)
    assert [one.id for one in ada.runs(job="downstream")] == made


def test_a_run_that_is_open_pinned_or_gone_on_from_is_not_removed(ada, ledger):
    promoted(ada, "a = 1", "b = a")
    queued = ada.run(RunRequest(job="report"))
    with pytest.raises(Conflict, match="it is still queued"):
        ada.remove_run(queued.id)
    ada.cancel(queued.id)
    run = failed(ada, ledger)
    ada.pin(run.id, pinned=True)
    with pytest.raises(Conflict, match="it is pinned"):
        ada.remove_run(run.id)
    ada.pin(run.id, pinned=False)
    resumed = ada.resume(run.id, ResumeRequest())
    with pytest.raises(Conflict, match=f"{resumed.id} continues from it"):
        ada.remove_run(run.id)
