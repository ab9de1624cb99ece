"""Webhooks: signed calls make runs, once; everything else is refused before anything is changed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, func, select

from respawn_jobs.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.hooks import sign
from respawn_jobs.models import RunState
from respawn_jobs.service import Promotion
from respawn_jobs.service_triggers import HookRequest
from respawn_jobs.store.trigger_tables import HookCallRow
from support.notebooks import notebook, text

both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def made(ada):
    """A webhook of a job, which accepts `rows`."""
    promote(ada, "rows = 1\nsource = 'none'")
    return ada.hook(HookRequest(job="report", parameters={"source": "shop"}, accepts=["rows"]))


def promote(service, parameters):
    declared = text(notebook("print(1)", parameters=parameters))
    service.promote(Promotion(name="report", notebook=declared, agreed=["break_triggers"]))


def call(ledger, clock, made, body=b"", *, secret=None, late=0.0):
    """Call a webhook as its sender would."""
    timestamp = str(int(clock().timestamp() - late))
    return ledger.call_hook(made.hook.id, timestamp, sign(secret or made.secret, timestamp, body), body)


def giving(**parameters):
    return json.dumps({"parameters": parameters}).encode()


def test_a_signed_call_makes_a_run(made, ada, ledger, clock):
    answer = call(ledger, clock, made, giving(rows=5))
    assert (answer.state, answer.repeated) == (RunState.QUEUED, False)
    run = ada.show(answer.run).run
    assert (run.trigger, run.trigger_id, run.created_by) == ("hook", made.hook.id, "ada")
    assert run.parameters == {"rows": 5, "source": "shop"}
    assert run.logical_at == clock()


def test_the_same_call_again_is_answered_with_its_run(made, ada, ledger, clock):
    first = call(ledger, clock, made, giving(rows=5))
    again = call(ledger, clock, made, giving(rows=5))
    assert (again.run, again.repeated) == (first.run, True)
    assert len(ada.runs()) == 1


@both_databases
def test_one_call_that_reaches_several_replicas_makes_one_run(made, ada, clock, store_url, tmp_path):
    replicas = [Ledger.embedded(tmp_path / "data", db_url=store_url, clock=clock) for _ in range(4)]
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda replica: call(replica, clock, made), replicas))
    finally:
        for replica in replicas:
            replica.close()
    assert len({answer.run for answer in answers}) == 1
    assert sorted(answer.repeated for answer in answers) == [False, True, True, True]
    assert len(ada.runs()) == 1


@pytest.mark.parametrize("late", [301, -301])
def test_a_stale_call_is_told_the_window_and_the_time(late, made, ada, ledger, clock):
    with pytest.raises(Unauthenticated, match=f"300 seconds .*{int(clock().timestamp())}"):
        call(ledger, clock, made, late=late)
    assert call(ledger, clock, made, late=late * 299 / 301).state is RunState.QUEUED


def test_an_unknown_webhook_and_a_wrong_signature_are_answered_alike(made, ada, ledger, clock):
    def refusal(hook, secret):
        timestamp = str(int(clock().timestamp()))
        with pytest.raises(Unauthenticated) as caught:
            ledger.call_hook(hook, timestamp, sign(secret, timestamp, b""), b"")
        return caught.value.as_dict()

    assert refusal(made.hook.id, "guessed") == refusal("hok-0000000000", made.secret)
    assert refusal("../etc", made.secret) == refusal(made.hook.id, "guessed")
    assert ada.runs() == []


def test_a_signature_holds_for_its_body_and_timestamp_only(made, ledger, clock):
    timestamp = str(int(clock().timestamp()))
    signed = sign(made.secret, timestamp, b"{}")
    for stamp, body in ((timestamp, b"{ }"), (str(int(timestamp) + 1), b"{}")):
        with pytest.raises(Unauthenticated):
            ledger.call_hook(made.hook.id, stamp, signed, body)


def test_a_made_up_call_looks_into_the_database_once_at_most(made, ledger, clock):
    statements = []
    event.listen(ledger.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    stamp = str(int(clock().timestamp()))
    for hook, timestamp, signature, most in (
        (made.hook.id, "", "", 0),
        (made.hook.id, "soon", "sha256=" + "0" * 64, 0),
        (made.hook.id, "1", "sha256=" + "0" * 64, 0),
        ("made-up", stamp, "sha256=" + "0" * 64, 0),
        (made.hook.id, stamp, "sha256=" + "0" * 64, 1),
    ):
        statements.clear()
        with pytest.raises(Unauthenticated):
            ledger.call_hook(hook, timestamp, signature, b"x" * 100)
        assert len([one for one in statements if one != "BEGIN"]) == most


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b'{"rows": 1}', "nothing else"),
        (giving(source="mine"), "accepts no parameter 'source'; it accepts rows"),
        (giving(rows="many"), "expected int"),
        (b" " * 70_000, "65536 at most"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_and_makes_nothing(body, words, made, ada, ledger, clock):
    with pytest.raises(InvalidInput, match=words):
        call(ledger, clock, made, body)
    assert ada.runs() == []
    assert calls(ledger) == 0


def test_a_webhook_that_no_longer_fits_its_job_makes_a_run_that_says_so(made, ada, ledger, clock):
    promote(ada, "rows = 1")
    answer = call(ledger, clock, made)
    assert answer.state is RunState.FAILED
    assert "source" in ada.show(answer.run).run.error.value


def test_another_secret_makes_the_old_one_worthless(made, ada, ledger, clock):
    rotated = ada.rotate(made.hook.id)
    assert rotated.secret != made.secret
    with pytest.raises(Unauthenticated):
        call(ledger, clock, made)
    assert call(ledger, clock, rotated).state is RunState.QUEUED


def test_a_removed_webhook_is_refused_and_its_runs_stay(made, ada, ledger, clock):
    call(ledger, clock, made)
    ada.unhook(made.hook.id)
    with pytest.raises(Unauthenticated):
        call(ledger, clock, made)
    assert len(ada.runs()) == 1
    assert ada.triggers("report").hooks == []


def test_the_secret_is_kept_nowhere(made, ada, ledger, clock, tmp_path):
    call(ledger, clock, made)
    ada.rotate(made.hook.id)
    shown = [*map(repr, ada.audit()), repr(ada.triggers("report")), repr(made), repr(ada.runs())]
    assert not [one for one in shown if made.secret in one]
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [one for one in stored if made.secret.encode() in one]


def test_only_who_may_edit_the_job_makes_and_removes_webhooks(made, bob, ada):
    for attempt in (
        lambda: bob.hook(HookRequest(job="user/ada/report")),
        lambda: bob.rotate(made.hook.id),
        lambda: bob.unhook(made.hook.id),
    ):
        with pytest.raises(Forbidden):
            attempt()
    with pytest.raises(NotFound):
        ada.unhook("hok-0000000000")
    with pytest.raises(InvalidInput, match="unknown parameter 'columns'"):
        ada.hook(HookRequest(job="report", accepts=["columns"]))


def test_old_calls_are_forgotten(made, ledger, clock):
    call(ledger, clock, made)
    clock.forward(minutes=30)
    ledger.forget_calls()
    assert calls(ledger) == 1
    clock.forward(hours=1)
    ledger.forget_calls()
    assert calls(ledger) == 0


def calls(ledger):
    with ledger.database.session() as session:
        return session.scalar(select(func.count()).select_from(HookCallRow))
