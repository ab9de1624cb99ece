from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text as sql

from respawn_jobs.access import Actor
from respawn_jobs.errors import Corrupt
from respawn_jobs.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from support.notebooks import notebook, text

BOTH_DATABASES = True


def test_each_act_leaves_a_record_of_who_did_what(failed, ada, ledger):
    ada.debug(failed.id)
    resumed = ada.resume(failed.id, ResumeRequest())
    ada.cancel(resumed.id)
    ada.restart(failed.id, ResumeRequest())
    schedule = ada.schedule(ScheduleRequest(job="report", cron="* * * * *", tz="UTC"))
    ada.pause(schedule.id, paused=True)
    ada.unschedule(schedule.id)
    records = ada.audit()
    assert [record.action for record in reversed(records)] == [
        "promote", "run", "debug", "resume", "cancel", "restart", "schedule", "pause", "unschedule",
    ]  # fmt: skip
    assert {record.actor for record in records} == {"ada"}
    assert records[-1].subject == "user/ada/report"
    assert ledger.verify_audit() == len(records) == 9


def test_records_are_shown_only_of_namespaces_that_one_may_read(failed, ada, bob, ledger):
    assert bob.audit() == []
    assert len(ledger.as_actor(Actor.owner("admin")).audit()) == len(ada.audit()) == 2
    assert len(ada.audit(limit=1)) == 1


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET actor = 'bob' WHERE seq = 2",
        "UPDATE audit SET namespace = 'user/bob' WHERE seq = 2",
        "UPDATE audit SET details = '{}' WHERE seq = 2",
        "UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 4",
        "DELETE FROM audit",
        "UPDATE audit SET seq = 9 WHERE seq = 4",
    ],
)
def test_tampering_is_noticed(queue, ada, ledger, tampering):
    queue()
    for _ in range(2):
        ada.run(RunRequest(job="report"))
    assert ledger.verify_audit() == 4
    with ledger.database.session(write=True) as session:
        session.execute(sql(tampering))
    with pytest.raises(Corrupt, match="audit record"):
        ledger.verify_audit()


def test_the_chain_does_not_fork_when_many_write_at_once(ada, ledger):
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: ada.run(RunRequest(job="report")), range(30)))
    assert ledger.verify_audit() == 31
