"""A fix that its job's triggers do not fit asks, as a promotion does; what is added meanwhile counts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest, Service
from respawn_jobs.api.triggers import DependencyRequest, HookRequest
from respawn_jobs.api.versions import CurrentRequest
from respawn_jobs.errors import Conflict
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.jobs import promotion
from respawn_jobs.ledger.resume import resume_run
from respawn_jobs.ledger.triggers import dependencies, scheduling, webhooks
from respawn_jobs.model.runs import Run
from support.notebooks import notebook, text
from support.runners import fail_third_cell

pytestmark = pytest.mark.integration
BOTH_DATABASES = {"test_a_trigger_and_a_version_that_it_does_not_fit_do_not_both_come_about_unasked"}
AGREED = ["break_triggers"]
WAYS = ["resume", "restart"]


def report(parameters: str, *cells: str) -> str:
    return text(notebook(*(cells or ("a = 1", "b = c")), parameters=parameters))


FIX = report("new = 1", "a = 1", "b = 2")


def fail(ada: Service, ledger: Ledger) -> Run:
    return fail_third_cell(ledger, ada.run(RunRequest(job="report")))


@pytest.fixture
def broken(ada: Service, ledger: Ledger) -> Run:
    """A failed run of a job whose parameter `old` a schedule gives."""
    ada.promote(Promotion(name="report", notebook=report("old = 1")))
    add_schedule(ada)
    return fail(ada, ledger)


def add_schedule(ada: Service, cron: str = "0 2 * * *") -> None:
    ada.schedule(ScheduleRequest(job="report", cron=cron, tz="UTC", parameters={"old": 2}))


@pytest.mark.parametrize("way", WAYS)
def test_a_fix_that_a_schedule_does_not_fit_goes_on_only_when_that_is_agreed(ada, broken, way):
    go_on = getattr(ada, way)
    with pytest.raises(Conflict) as no:
        go_on(broken.id, ResumeRequest(notebook=FIX))
    assert [question["code"] for question in no.value.fields["questions"]] == AGREED
    assert no.value.fields["run"] == broken.id
    for part in (
        "the schedule '0 2 * * *' in UTC",
        "unknown parameter 'old'",
        "version 2 of user/ada/report",
    ):
        assert part in no.value.message
    assert len(ada.versions("report")) == 1
    run = go_on(broken.id, ResumeRequest(notebook=FIX, agreed=AGREED))
    assert (run.version, ada.job("report").version) == (2, 2)
    (promoted, *_) = [one for one in ada.audit() if one.action == "promote"]
    assert promoted.details["agreed"] == AGREED


def test_the_plan_names_the_triggers_and_has_no_problem_once_that_is_agreed(ada, broken):
    plan = ada.plan(broken.id, ResumeRequest(notebook=FIX))
    assert len(plan.breaks) == 1
    assert "unknown parameter 'old'" in plan.breaks[0]
    assert any("--agree break_triggers" in problem for problem in plan.problems)
    agreed = ada.plan(broken.id, ResumeRequest(notebook=FIX, agreed=AGREED))
    assert (agreed.breaks, agreed.problems) == (plan.breaks, [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fix",
    [
        pytest.param(None, id="no fix"),
        pytest.param(report("old = 1", "a = 1", "b = 2"), id="the parameter stays"),
        pytest.param(report("old = 1\nnew = 2", "a = 1", "b = 2"), id="another parameter"),
    ],
)
def test_a_fix_that_triggers_fit_asks_nothing(ada, broken, way, fix):
    assert ada.plan(broken.id, ResumeRequest(notebook=fix)).breaks == []
    assert getattr(ada, way)(broken.id, ResumeRequest(notebook=fix)).id


@pytest.mark.parametrize("way", WAYS)
def test_a_fix_that_serves_its_run_alone_asks_nothing(ada, broken, way):
    ada.promote(Promotion(name="report", notebook=report("old = 1", "a = 2")))
    assert getattr(ada, way)(broken.id, ResumeRequest(notebook=FIX)).version == 3
    assert ada.job("report").version == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_trigger_that_comes_while_a_fix_is_looked_at_is_asked_about(ada, ledger, monkeypatch, way):
    ada.promote(Promotion(name="report", notebook=report("old = 1")))
    run = fail(ada, ledger)
    _meanwhile(monkeypatch, resume_run, "_put_version", lambda: add_schedule(ada))
    with pytest.raises(Conflict, match="the schedule '0 2") as no:
        getattr(ada, way)(run.id, ResumeRequest(notebook=FIX))
    assert no.value.fields["questions"]
    assert len(ada.versions("report")) == 1
    assert [one.id for one in ada.runs()] == [run.id]


def test_a_trigger_that_comes_while_a_promotion_is_decided_is_asked_about(ada, monkeypatch):
    ada.promote(Promotion(name="report", notebook=report("old = 1")))
    _meanwhile(monkeypatch, promotion, "store_content", lambda: add_schedule(ada))
    with pytest.raises(Conflict, match="the schedule '0 2"):
        ada.promote(Promotion(name="report", notebook=report("new = 1")))
    assert len(ada.versions("report")) == 1


def test_a_trigger_that_goes_while_a_promotion_is_decided_is_not_in_the_audit_trail(ada, monkeypatch):
    ada.promote(Promotion(name="report", notebook=report("old = 1")))
    add_schedule(ada)
    (schedule,) = ada.job("report").schedules
    _meanwhile(monkeypatch, promotion, "store_content", lambda: ada.unschedule(schedule.id))
    ada.promote(Promotion(name="report", notebook=report("new = 1"), agreed=AGREED))
    (promoted, _) = [one for one in ada.audit() if one.action == "promote"]
    assert "agreed" not in promoted.details


@pytest.mark.parametrize(
    "add",
    [
        pytest.param(add_schedule, id="schedule"),
        pytest.param(lambda ada: ada.hook(HookRequest(job="report", parameters={"old": 1})), id="hook"),
        pytest.param(
            lambda ada: ada.set_dependency(
                DependencyRequest(job="report", upstream=["before"], parameters={"old": 1})
            ),
            id="dependency",
        ),
    ],
)
def test_any_trigger_counts_for_a_fix(ada, ledger, add: Callable[[Service], Any]):
    ada.promote(Promotion(name="before", notebook=text(notebook("a = 1"))))
    ada.promote(Promotion(name="report", notebook=report("old = 1")))
    add(ada)
    run = fail(ada, ledger)
    with pytest.raises(Conflict, match="unknown parameter 'old'"):
        ada.resume(run.id, ResumeRequest(notebook=FIX))


def _meanwhile(monkeypatch, module: Any, name: str, act: Callable[[], object]) -> None:
    """Let something happen once, as another person's request, where a function of a module is called."""
    real = getattr(module, name)
    done: list[bool] = []

    def first_act(*arguments: Any) -> Any:
        if not done:
            done.append(True)
            act()
        return real(*arguments)

    monkeypatch.setattr(module, name, first_act)


@pytest.mark.parametrize(
    ("module", "add"),
    [
        (webhooks, lambda ada: ada.hook(HookRequest(job="report", parameters={"old": 1}))),
        (
            dependencies,
            lambda ada: ada.set_dependency(
                DependencyRequest(job="report", upstream=["before"], parameters={"old": 1})
            ),
        ),
        (scheduling, add_schedule),
    ],
    ids=["hook", "dependency", "schedule"],
)
def test_a_trigger_and_a_version_that_it_does_not_fit_do_not_both_come_about_unasked(
    ada, monkeypatch, database_kind, module, add
):
    ada.promote(Promotion(name="before", notebook=text(notebook("a = 1"))))
    ada.promote(Promotion(name="report", notebook=report("new = 1")))
    ada.promote(Promotion(name="report", notebook=report("old = 1")))
    looked, used, real = threading.Event(), threading.Event(), module.find_version

    def found(*arguments: Any) -> Any:
        version = real(*arguments)
        looked.set()
        used.wait(1)  # the other one is done by then, or waits for this one
        return version

    def use() -> str:
        looked.wait(60)
        try:
            ada.make_current("report", CurrentRequest(version=1))
        except Conflict as error:
            return error.message
        finally:
            used.set()
        return "nothing was asked"

    monkeypatch.setattr(module, "find_version", found)
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(use)
        add(ada)
        assert "unknown parameter 'old'" in told.result(60)
    assert ada.job("report").version == 2
