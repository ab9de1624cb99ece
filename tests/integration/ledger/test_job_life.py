"""Jobs are renamed, archived, restored and removed; an older version is made current."""

from __future__ import annotations

from datetime import timedelta

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.triggers import DependencyRequest, HookRequest, TriggerRule
from respawn_jobs.api.versions import CurrentRequest, JobChange
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput, NotFound
from respawn_jobs.ledger.triggers import webhooks
from support.notebooks import notebook, text
from support.runners import PlayedRunner
from support.signed_calls import signed_call

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_a_version_is_made_current_by_who_saw_the_one_before",
    "test_a_former_name_goes_to_the_job_that_takes_it",
    "test_former_names_go_along_when_a_namespace_moves",
    "test_an_archived_job_makes_no_runs",
}


def promoted(ada, *cells, name="report"):
    return ada.promote(Promotion(name=name, notebook=text(notebook(*cells))))


@pytest.fixture
def two(ada):
    """A job with two versions; the second is current."""
    promoted(ada, "a = 1")
    return promoted(ada, "a = 2")


def ended(ada, ledger, job="report", **more):
    run = ada.run(RunRequest(job=job, **more))
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.succeed()
    return run


def archive(service, job="report"):
    return service.change_job(job, JobChange(archived=True))


def restore(service, job="report"):
    return service.change_job(job, JobChange(archived=False))


def told(ada, action):
    return [record for record in ada.audit(1000) if record.action == action]


# Which version new runs use


def test_new_runs_use_the_version_that_was_made_current(two, ada, ledger, clock):
    before = ada.run(RunRequest(job="report"))
    ada.schedule(ScheduleRequest(job="report", cron="0 * * * *", tz="UTC"))

    job = ada.make_current("report", CurrentRequest(version=1, seen=2))

    assert job.version == 1
    clock.forward(hours=1)
    (due,) = ledger.queue_due()
    assert ada.show(due).run.version == 1
    assert ada.run(RunRequest(job="report")).version == 1
    assert ada.show(before.id).run.version == 2, "an open run keeps its own"
    assert ada.run(RunRequest(job="report", version=2)).version == 2
    (record,) = told(ada, "make_current")
    assert (record.details["before"], record.details["version"]) == (2, 1)


def test_a_version_is_made_current_by_who_saw_the_one_before(two, ada):
    ada.make_current("report", CurrentRequest(version=1))
    with pytest.raises(Conflict, match="is 1, not 2: ada made it so at"):
        ada.make_current("report", CurrentRequest(version=2, seen=2))
    with pytest.raises(NotFound, match="has no version 7"):
        ada.make_current("report", CurrentRequest(version=7))
    assert len(told(ada, "make_current")) == 1
    ada.make_current("report", CurrentRequest(version=1))
    assert len(told(ada, "make_current")) == 1, "nothing changed, so nothing is told"


def test_a_version_whose_kernel_is_gone_is_not_made_current(two, ada, ledger):
    def gone(name):
        raise LookupError(f"there is no kernel {name!r}")

    ledger.context.kernel_check = gone
    ledger.context._kernels.clear()
    with pytest.raises(InvalidInput, match="there is no kernel"):
        ada.make_current("report", CurrentRequest(version=1))


@pytest.fixture
def renamed_parameter(ada):
    """A job whose second version calls a parameter otherwise, with triggers that give it."""
    for declared in ("old = 1", "new = 1"):
        ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", parameters=declared))))
    promoted(ada, "b = 1", name="before")
    fitting = ScheduleRequest(job="report", cron="0 1 * * *", tz="UTC")
    schedule = ada.schedule(ScheduleRequest(job="report", cron="0 2 * * *", tz="UTC", parameters={"new": 2}))
    ada.schedule(fitting)
    hook = ada.hook(HookRequest(job="report", accepts=["new"]))
    dependency = ada.set_dependency(
        DependencyRequest(job="report", upstream=["before"], parameters={"new": 3})
    )
    return schedule, hook.hook, dependency


def test_a_version_that_triggers_do_not_fit_is_made_current_only_when_that_is_agreed(renamed_parameter, ada):
    schedule, hook, dependency = renamed_parameter
    with pytest.raises(Conflict) as no:
        ada.make_current("report", CurrentRequest(version=1))
    assert ada.job("report").version == 2
    (asked,) = no.value.fields["questions"]
    assert asked["code"] == "break_triggers"
    why = "unknown parameter 'new'"
    for named in (
        f"the schedule '0 2 * * *' in UTC ({schedule.id})",
        f"the webhook {hook.id}",
        dependency.id,
    ):
        assert f"{named}: {why}" in asked["message"]
    assert "0 1 * * *" not in asked["message"]
    ada.make_current("report", CurrentRequest(version=1, agreed=["break_triggers"]))
    assert told(ada, "make_current")[0].details["agreed"] == ["break_triggers"]
    ada.make_current("report", CurrentRequest(version=2))


def test_a_value_that_is_secret_now_is_not_told_where_it_does_not_fit(ada):
    for declared in ("key: int = 1", 'key = ""  # respawn:secret'):
        ada.promote(Promotion(name="report", notebook=text(notebook("a = 1", parameters=declared))))
    ada.schedule(ScheduleRequest(job="report", cron="0 2 * * *", tz="UTC", parameters={"key": "hunter2"}))
    with pytest.raises(Conflict, match="parameter 'key': expected int") as no:
        ada.make_current("report", CurrentRequest(version=1))
    assert "hunter2" not in str(no.value.as_dict())


def test_a_promotion_asks_before_it_leaves_triggers_without_their_parameter(renamed_parameter, ada):
    request = Promotion(name="report", notebook=text(notebook("a = 1", parameters="third = 1")))
    (asked,) = ada.preview_promotion(request).questions
    assert asked.code == "break_triggers"
    assert asked.message.startswith("3 triggers give parameters that version 3 of user/ada/report does not")
    with pytest.raises(Conflict, match="--agree break_triggers"):
        ada.promote(request)
    agreed = request.model_copy(update={"agreed": ["break_triggers"]})
    assert ada.promote(agreed).number == 3
    fourth = Promotion(name="report", notebook=text(notebook("a = 1", parameters="fourth = 1")))
    assert ada.preview_promotion(fourth).questions == [], "they were broken before"


# Names


def test_a_renamed_job_is_found_by_both_names(two, ada):
    ada.change_job("report", JobChange(name="summary"))

    assert ada.job("summary").id == ada.job("report").id
    assert ada.job("report").ref == "user/ada/summary"
    assert [job.name for job in ada.jobs()] == ["summary"]
    assert ada.run(RunRequest(job="report")).job == "user/ada/summary"
    (record,) = told(ada, "rename")
    assert (record.subject, record.details["before"]) == ("user/ada/summary", "user/ada/report")


def test_a_former_name_goes_to_the_job_that_takes_it(two, ada):
    old = ada.change_job("report", JobChange(name="summary"))

    request = Promotion(name="report", notebook=text(notebook("b = 1")), agreed=["take_name"])
    new = ada.promote(request)

    assert new.number == 1
    assert ada.job("report").id != old.id
    assert ada.job("summary").id == old.id
    with pytest.raises(Conflict, match="user/ada/report is another job already"):
        ada.change_job("summary", JobChange(name="report"))


def test_a_promotion_asks_before_it_takes_a_name_that_another_job_had(two, ada):
    ada.change_job("report", JobChange(name="daily"))
    request = Promotion(name="report", notebook=text(notebook("b = 1")))
    (asked,) = ada.preview_promotion(request).questions
    assert asked.code == "take_name"
    assert "user/ada/daily was called user/ada/report before" in asked.message
    with pytest.raises(Conflict, match="--agree take_name"):
        ada.promote(request)
    assert ada.job("report").name == "daily"
    ada.promote(request.model_copy(update={"agreed": ["take_name"]}))
    assert (ada.job("report").name, ada.job("daily").name) == ("report", "daily")


def test_a_preview_of_a_new_job_names_those_that_were_made_from_the_file(ada, clock):
    for name in ("daily", "nightly", "gone"):
        clock.forward(hours=1)
        ada.promote(Promotion(name=name, notebook=text(notebook("a = 1")), source="work/report.ipynb"))
    clock.forward(hours=1)
    ada.promote(Promotion(name="other", notebook=text(notebook("a = 1")), source="work/other.ipynb"))
    archive(ada, "gone")
    seen = ada.preview_promotion(
        Promotion(name="report", notebook=text(notebook("a = 1")), source="work/report.ipynb")
    )
    assert "work/report.ipynb is user/ada/daily and user/ada/nightly already" in seen.message
    assert seen.same_file == ["user/ada/nightly", "user/ada/daily"]
    ada.promote(Promotion(name="daily", notebook=text(notebook("a = 2")), source="work/report.ipynb"))
    for name, listed in (("other", ["user/ada/daily", "user/ada/nightly"]), ("nightly", [])):
        promotion = Promotion(name=name, notebook=text(notebook("a = 3")), source="work/report.ipynb")
        assert ada.preview_promotion(promotion).same_file == listed


def test_a_job_gets_its_former_name_back(two, ada):
    ada.change_job("report", JobChange(name="summary"))
    ada.change_job("summary", JobChange(name="report"))

    assert ada.job("report").ref == ada.job("summary").ref == "user/ada/report"
    ada.change_job("report", JobChange(name="third"))
    assert {ada.job(name).ref for name in ("report", "summary", "third")} == {"user/ada/third"}


def test_a_name_that_no_job_may_have_is_refused(two, ada):
    with pytest.raises(InvalidInput, match="is not a job name"):
        ada.change_job("report", JobChange(name="No Name"))
    assert ada.job("report").name == "report"


def test_dependencies_follow_a_job_under_its_new_name(two, ada, ledger):
    promoted(ada, "b = 1", name="after")
    ada.set_dependency(
        DependencyRequest(job="after", upstream=["report"], trigger_rule=TriggerRule.ONE_SUCCESS)
    )
    ada.change_job("report", JobChange(name="summary"))

    run = ended(ada, ledger, "summary")

    assert ada.triggers("after").dependency.upstream == ["user/ada/summary"]
    assert len(ledger.trigger_downstream()[0]) == 1
    assert ada.show(run.id).run.job == "user/ada/summary"


def test_former_names_go_along_when_a_namespace_moves(two, ada, ledger):
    ada.change_job("report", JobChange(name="summary"))
    root = ledger.as_actor(Actor.owner("root"))

    root.move("user/ada", "team/risk")

    assert root.job("team/risk/report").ref == "team/risk/summary"


# The archive


def test_an_archived_job_makes_no_runs(two, ada, ledger, clock):
    failed = ada.run(RunRequest(job="report"))
    runner = PlayedRunner(ledger, failed.id)
    runner.begin()
    runner.fail(0)
    ada.schedule(ScheduleRequest(job="report", cron="0 * * * *", tz="UTC"))
    hook = ada.hook(HookRequest(job="report"))
    job = archive(ada)

    assert (job.archived_by, job.archived_at) == ("ada", clock())
    assert ada.jobs() == []
    assert [job.ref for job in ada.jobs(archived=True)] == ["user/ada/report"]
    assert [run.id for run in ada.runs(job="report")] == [failed.id]
    clock.forward(hours=5)
    assert ledger.queue_due() == []
    assert ledger.next_due() is None
    refused = "user/ada/report is archived, since 2026-03-02 08:00 UTC by ada: restore it first, on its page"
    for act in (
        lambda: ada.run(RunRequest(job="report")),
        lambda: ada.resume(failed.id, ResumeRequest()),
        lambda: ada.retry(failed.id),
        lambda: ada.restart(failed.id, ResumeRequest()),
        lambda: promoted(ada, "a = 3"),
        lambda: ada.schedule(ScheduleRequest(job="report", cron="0 * * * *", tz="UTC")),
        lambda: ada.backfill(BackfillRequest(job="report", sets=[{}])),
        lambda: webhooks.call(ledger.context, hook.hook.id, signed_call(hook.secret, clock()), b""),
    ):
        with pytest.raises(Conflict, match=refused):
            act()
    assert len(ada.runs()) == 1


def test_a_restored_job_goes_on_from_now(two, ada, ledger, clock):
    ada.schedule(ScheduleRequest(job="report", cron="0 * * * *", tz="UTC", missed="all"))
    archive(ada)
    clock.forward(hours=5)

    job = restore(ada)

    assert job.archived_at is None
    assert ledger.queue_due() == []
    assert ledger.next_due() == clock() + timedelta(hours=1)
    clock.forward(hours=1)
    assert len(ledger.queue_due()) == 1


def test_a_backfill_rests_with_its_job_and_goes_on_with_it(two, ada, ledger):
    backfill = ada.backfill(BackfillRequest(job="report", sets=[{}, {}, {}], parallel=1))
    archive(ada)

    assert ledger.fill_backfills() == []
    assert ada.show_backfill(backfill.id).made == 0
    restore(ada)
    assert len(ledger.fill_backfills()) == 1


def test_a_dependency_of_an_archived_job_makes_no_run(two, ada, ledger):
    promoted(ada, "b = 1", name="after")
    ada.set_dependency(
        DependencyRequest(job="after", upstream=["report"], trigger_rule=TriggerRule.ONE_SUCCESS)
    )
    archive(ada, "after")

    ended(ada, ledger)

    assert ledger.trigger_downstream() == ([], [])


def test_a_job_with_open_runs_is_not_archived(two, ada):
    first = ada.run(RunRequest(job="report"))
    ada.run(RunRequest(job="report"))
    with pytest.raises(Conflict, match=rf"2 runs have not ended, {first.id} is one of them\. Cancel"):
        archive(ada)
    assert ada.job("report").archived_at is None


def test_who_waits_for_an_archived_job_is_recorded(two, ada):
    promoted(ada, "b = 1", name="after")
    ada.set_dependency(
        DependencyRequest(job="after", upstream=["report"], trigger_rule=TriggerRule.ONE_SUCCESS)
    )
    archive(ada)
    assert told(ada, "archive")[0].details["waited_for_by"] == ["user/ada/after"]


# Whose job it is


def test_only_who_may_edit_a_job_changes_it(two, ada, ledger):
    run = ended(ada, ledger)
    runs = ledger.as_actor(Actor("eve", frozenset({"custom:respawn:run!user=ada"})))
    ref = "user/ada/report"
    for act in (
        lambda: runs.make_current(ref, CurrentRequest(version=1)),
        lambda: runs.change_job(ref, JobChange(name="mine")),
        lambda: archive(runs, ref),
        lambda: runs.remove_job(ref),
        lambda: runs.remove_version(ref, 1),
        lambda: runs.remove_run(run.id),
    ):
        with pytest.raises(Forbidden):
            act()
