from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy import text as sql

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.errors import Corrupt, NotFound
from respawn_jobs.ledger.audit import trail
from respawn_jobs.ledger.audit.trail import hash_of, mac_of
from respawn_jobs.store.tables import AuditHeadRow, AuditRow
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_each_act_leaves_a_record_of_who_did_what",
    "test_a_trail_from_before_there_was_a_key_goes_on_and_is_covered_by_the_first_signed_record",
    "test_what_is_taken_back_is_not_noted_as_the_end",
    "test_the_chain_does_not_fork_when_many_write_at_once",
}


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


def _records(ledger):
    with ledger.database.session() as session:
        return [
            dict(row._mapping) for row in session.execute(select(AuditRow.__table__).order_by(AuditRow.seq))
        ]


def _replace(ledger, records):
    """Write the whole trail anew, with its head, as somebody can who has the database."""
    with ledger.database.session(write=True) as session:
        session.execute(delete(AuditRow))
        if records:
            session.execute(insert(AuditRow), records)
        head = {"seq": records[-1]["seq"], "hash": records[-1]["hash"]} if records else {"seq": 0, "hash": ""}
        session.execute(update(AuditHeadRow).values(**head))


def _chained(records, *, first=1, **more):
    """Return records with numbers and hashes as they should be; the signatures are what they were."""
    done, previous = [], ""
    for seq, record in enumerate(records, first):
        made = {**record, "seq": seq, "previous": previous, **more}
        made["hash"] = previous = hash_of(
            seq, made["at"], made["actor"], made["action"], made["subject"], made["details"], previous
        )
        done.append(made)
    return done


def _edited(records, number, **values):
    return [{**record, **values} if record["seq"] == number else record for record in records]


def _without(records, number):
    return [record for record in records if record["seq"] != number]


def _twice(records, number):
    return [copy for record in records for copy in [record] * (2 if record["seq"] == number else 1)]


REWRITES = {
    "changed, and all hashes made anew": (
        lambda rows, n: _chained(_edited(rows, n, actor="bob")),
        0,
        "added",
    ),
    "taken out, and all that follow renumbered": (
        lambda rows, n: _chained([*_without(rows, n), rows[0]]),
        0,
        "added",
    ),
    "added in between": (lambda rows, n: _chained(_twice(rows, n)), 1, "added"),
    "added at the end": (lambda rows, n: _chained([*rows, rows[n - 1]]), None, "added"),
    "one of its own hash changed": (lambda rows, n: _edited(rows, n, actor="bob"), 0, "changed"),
    "one taken out": (lambda rows, n: _without(rows, n), 0, "missing"),
    "the end cut off": (lambda rows, n: rows[: n - 1], 0, "missing"),
    "rewritten without any signature": (lambda rows, n: _chained(rows, key=None, mac=None), -99, "added"),
    "signed with another key": (
        lambda rows, n: [
            {**row, "key": "0" * 12, "mac": mac_of("guessed", row["hash"])} for row in _chained(rows)
        ],
        -99,
        "added",
    ),
}


@pytest.mark.parametrize("rewrite", REWRITES)
def test_who_has_the_database_but_not_the_key_is_noticed_wherever_they_change_it(queue, ada, ledger, rewrite):
    queue()
    for _ in range(4):
        ada.run(RunRequest(job="report"))
    whole = _records(ledger)
    change, shift, kind = REWRITES[rewrite]
    for number in range(1, len(whole) + 1):
        _replace(ledger, change(whole, number))
        fault = ledger.check_audit().fault
        expected = len(whole) + 1 if shift is None else max(1, number + shift)
        assert fault is not None, number
        assert (fault.seq, fault.kind) == (expected, kind), fault.message
        assert f"audit record {expected}" in fault.message
    _replace(ledger, whole)
    checked = ledger.check_audit()
    assert (checked.fault, checked.records, checked.signed_from) == (None, len(whole), 1)


def test_an_end_that_was_cut_off_stays_noticed_when_the_trail_grows_over_it(queue, ada, ledger):
    queue()
    for _ in range(4):
        ada.run(RunRequest(job="report"))
    _replace(ledger, _records(ledger)[:3])
    for _ in range(5):
        ada.run(RunRequest(job="report"))
    fault = ledger.check_audit().fault
    assert (fault.seq, fault.kind) == (6, "changed"), fault.message
    assert len(ledger._context.anchor.read().broken) == 1


def test_a_head_that_was_kept_elsewhere_tells_when_everything_on_this_machine_was_put_back(
    queue, ada, ledger, tmp_path
):
    queue()
    for _ in range(3):
        ada.run(RunRequest(job="report"))
    kept = ledger.check_audit().head
    assert ledger.check_audit(kept).fault is None
    _replace(ledger, _records(ledger)[:2])
    (tmp_path / "data" / "audit-head.json").unlink()
    assert ledger.check_audit().fault is None, "nothing here tells of it"
    fault = ledger.check_audit(kept).fault
    assert (fault.seq, fault.kind) == (3, "missing")


def test_a_trail_from_before_there_was_a_key_goes_on_and_is_covered_by_the_first_signed_record(
    queue, ada, ledger, tmp_path
):
    queue()
    ada.run(RunRequest(job="report"))
    _replace(ledger, _chained(_records(ledger), key=None, mac=None))
    (tmp_path / "data" / "audit-head.json").unlink()
    before = ledger.check_audit()
    assert (before.fault, before.signed_from) == (None, None)
    ada.run(RunRequest(job="report"))
    after = ledger.check_audit()
    assert (after.fault, after.records, after.signed_from) == (None, 4, 4)
    old = _records(ledger)
    _replace(ledger, [*_chained(_edited(old[:3], 2, actor="bob")), old[3]])
    fault = ledger.check_audit().fault
    assert fault is not None
    assert fault.seq == 3, fault.message
    _replace(ledger, _chained(old, key=None, mac=None))
    fault = ledger.check_audit().fault
    assert (fault.seq, fault.kind) == (4, "added"), "the signature cannot be taken away"


def test_what_is_taken_back_is_not_noted_as_the_end(queue, ada, ledger):
    queue()
    with pytest.raises(NotFound):
        ada.run(RunRequest(job="nothing of the kind"))
    head = ledger._context.anchor.read().head
    with suppress(ZeroDivisionError), ledger.database.session(write=True) as session:
        trail.write(ledger._context, session, "ada", "test", "user/ada", "x")
        raise ZeroDivisionError
    with ledger.database.session(write=True) as session:
        nested = session.begin_nested()
        trail.write(ledger._context, session, "ada", "test", "user/ada", "x")
        session.flush()
        nested.rollback()
    assert ledger._context.anchor.read().head == head
    assert ledger.check_audit().fault is None


def test_the_trail_verifies_across_a_rotation_and_an_old_key_signs_nothing_new(queue, ada, ledger, clock):
    queue()
    keyring = ledger._context.keyring
    old = keyring.current("audit")
    clock.forward(minutes=1)
    keyring.rotate("audit", clock() + timedelta(hours=1))
    for _ in range(2):
        clock.forward(minutes=1)
        ada.run(RunRequest(job="report"))
    checked = ledger.check_audit()
    assert checked.fault is None
    assert checked.keys == [old.id, keyring.current("audit").id]
    clock.forward(hours=2)
    ada.run(RunRequest(job="report"))
    whole = _records(ledger)
    forged = _chained([*whole, {**whole[-1], "at": old.made_at, "actor": "bob"}])[-1]
    _replace(ledger, [*whole, {**forged, "key": old.id, "mac": mac_of(old.secret, forged["hash"])}])
    fault = ledger.check_audit().fault
    assert (fault.seq, fault.kind) == (6, "added")
    assert "after its time" in fault.message


def test_the_chain_does_not_fork_when_many_write_at_once(ada, ledger):
    ada.promote(Promotion(name="report", notebook=text(notebook("a = 1"))))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: ada.run(RunRequest(job="report")), range(30)))
    assert ledger.verify_audit() == 31
