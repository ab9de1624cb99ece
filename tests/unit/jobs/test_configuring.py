"""Settings and limits change without a new version, by those who may, and are recorded."""

from __future__ import annotations

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.queueing import LimitRequest
from respawn_jobs.errors import Forbidden, InvalidInput, NotFound
from respawn_jobs.model.settings import Cause


@pytest.fixture
def root(ledger):
    return ledger.as_actor(Actor.owner("root"))


def test_a_setting_changes_and_the_others_stay(queue, ada):
    queue(priority=3)
    job = ada.configure("report", {"max_parallel": 2, "overlap": "skip"})
    assert (job.settings.priority, job.settings.max_parallel, job.settings.overlap) == (3, 2, "skip")
    assert (job.version, ada.job("report").settings) == (1, job.settings)
    assert ada.audit()[0].action == "configure"
    assert ada.audit()[0].details["settings"] == {"max_parallel": 2, "overlap": "skip"}


def test_nothing_gives_a_setting_its_default_back(queue, ada):
    queue(priority=3, queue="gpu")
    settings = ada.configure("report", {"priority": None, "queue": None}).settings
    assert (settings.priority, settings.queue) == (0, "default")


def test_retries_change_cause_by_cause(queue, ada):
    queue(retries={Cause.TIMEOUT: {"attempts": 2}, Cause.CELL_ERROR: {"attempts": 4}})
    changes = {"retries": {"runner_lost": {"attempts": 3}, "timeout": None}}
    retries = ada.configure("report", changes).settings.retries
    assert {cause.value: policy.attempts for cause, policy in retries.items()} == {
        "cell_error": 4,
        "runner_lost": 3,
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"colour": "red"}, "'colour' is no setting of a job; the settings are blocked_after_seconds"),
        ({"priority": 101}, "the setting priority cannot be 101: it must be 100 or less"),
        ({"queue": "a b"}, "the setting queue cannot be 'a b'"),
        ({"retries": {"moon": {}}}, "'moon' is no cause of retries; the causes are cell_error"),
        ({"retries": {"timeout": {"attempts": 0}}}, "the setting retries.timeout.attempts cannot be 0"),
        ({"retries": 3}, "the setting retries is a policy for each cause, not 3"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_changed(queue, ada, changes, told):
    queue()
    before = ada.job("report").settings
    with pytest.raises(InvalidInput, match=told):
        ada.configure("report", {"max_parallel": 7, **changes})
    assert ada.job("report").settings == before


def test_who_may_not_edit_changes_no_setting(queue, bob):
    queue()
    with pytest.raises(Forbidden):
        bob.configure("user/ada/report", {"priority": 1})


def test_an_administrator_sets_and_removes_limits(root):
    [limit] = root.limit(LimitRequest(kind="namespace", name="team/risk", max_running=4))
    assert (limit.max_running, limit.running, limit.set_by) == (4, 0, "root")
    assert [
        one.max_running for one in root.limit(LimitRequest(kind="namespace", name="team/risk", max_running=5))
    ] == [5]
    assert root.limit(LimitRequest(kind="namespace", name="team/risk", max_running=None)) == []
    assert [record.action for record in root.audit()] == ["limit"] * 3
    with pytest.raises(NotFound, match="no limit for namespace team/risk"):
        root.limit(LimitRequest(kind="namespace", name="team/risk", max_running=None))
    with pytest.raises(InvalidInput, match="not a namespace"):
        root.limit(LimitRequest(kind="namespace", name="risk", max_running=1))


def test_people_see_the_limits_that_bind_them_and_set_none(root, ada):
    for kind, name in (
        ("namespace", "team/risk"), ("namespace", "user/ada"), ("namespace", "*"), ("user", "ada"),
        ("user", "bob"), ("queue", "gpu"),
    ):  # fmt: skip
        root.limit(LimitRequest(kind=kind, name=name, max_running=1))
    seen = {(one.kind, one.name) for one in ada.limits()}
    assert seen == {("namespace", "user/ada"), ("namespace", "*"), ("user", "ada"), ("queue", "gpu")}
    with pytest.raises(Forbidden):
        ada.limit(LimitRequest(kind="namespace", name="user/ada", max_running=9))


def test_replicas_come_fall_silent_and_go(root, ada, ledger, clock):
    ledger.report_replica("rep-a", host="here", slots=4, busy=1, draining=False, health={"scheduler": "ok"})
    clock.forward(seconds=10)
    ledger.report_replica("rep-b", host="there", slots=2, busy=0, draining=True, health={})
    clock.forward(seconds=15)
    told = [(one.id, one.alive, one.draining, one.busy) for one in root.replicas()]
    assert told == [("rep-a", False, False, 1), ("rep-b", True, True, 0)]
    clock.forward(minutes=5)
    ledger.report_replica("rep-c", host="there", slots=2, busy=0, draining=False, health={})
    ledger.leave("rep-b")
    assert [one.id for one in root.replicas()] == ["rep-c"]
    with pytest.raises(Forbidden):
        ada.replicas()
