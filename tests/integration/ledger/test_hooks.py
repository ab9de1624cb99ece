"""Webhooks: signed calls make runs, once; everything else is refused before anything is changed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from respawn_jobs.api.service import Promotion
from respawn_jobs.api.triggers import HookRequest
from respawn_jobs.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.triggers.webhook_signatures import SignedCall, sign
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.trigger_tables import HookCallRow
from support.notebooks import notebook, text
from support.signed_calls import signed_call

pytestmark = pytest.mark.integration
GUESSED = "whsec_" + "A" * 43 + "="
both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def made(ada):
    """A webhook of a job, which accepts `rows`."""
    promote(ada, "rows = 1\nsource = 'none'")
    return ada.hook(HookRequest(job="report", parameters={"source": "shop"}, accepts=["rows"]))


def promote(service, parameters):
    declared = text(notebook("print(1)", parameters=parameters))
    service.promote(Promotion(name="report", notebook=declared, agreed=["break_triggers"]))


def call(ledger, clock, made, body=b"", *, secret=None, late=0.0, message_id="msg_1"):
    """Call a webhook as its sender would."""
    at = clock() - timedelta(seconds=late)
    return ledger.call_hook(made.hook.id, signed_call(secret or made.secret, at, body, message_id), body)


def giving(**parameters):
    return json.dumps({"parameters": parameters}).encode()


def test_a_signed_call_makes_a_run(made, ada, ledger, clock):
    answer = call(ledger, clock, made, giving(rows=5))
    assert (answer.state, answer.repeated) == (RunState.QUEUED, False)
    run = ada.show(answer.run).run
    assert (run.trigger, run.trigger_id, run.created_by) == ("hook", made.hook.id, "ada")
    assert run.parameters == {"rows": 5, "source": "shop"}
    assert run.logical_date == clock()


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
        with pytest.raises(Unauthenticated) as caught:
            ledger.call_hook(hook, signed_call(secret, clock()), b"")
        return caught.value.as_dict()

    assert refusal(made.hook.id, GUESSED) == refusal("hok-0000000000", made.secret)
    assert refusal("../etc", made.secret) == refusal(made.hook.id, GUESSED)
    assert ada.runs() == []


def test_a_signature_holds_for_its_message_body_and_timestamp_only(made, ledger, clock):
    signed = signed_call(made.secret, clock(), b"{}")
    later = str(int(signed.timestamp) + 1)
    for other, body in (
        (signed, b"{ }"),
        (replace(signed, timestamp=later), b"{}"),
        (replace(signed, message_id="msg_other"), b"{}"),
        (replace(signed, signature=signed.signature.replace("v1,", "v2,")), b"{}"),
    ):
        with pytest.raises(Unauthenticated):
            ledger.call_hook(made.hook.id, other, body)


def test_no_signature_counts_for_an_id_that_holds_a_time(made, ledger, clock):
    """`a.1.2.{}` would be the message `a` of time 1 with the body `2.{}`, or `a.1` of time 2 with `{}`."""
    now = str(int(clock().timestamp()))
    ambiguous = SignedCall(f"a.{now}", now, sign(made.secret, f"a.{now}", now, b""))
    with pytest.raises(Unauthenticated, match="webhook-id"):
        ledger.call_hook(made.hook.id, ambiguous, b"")


def test_one_of_several_signatures_is_enough(made, ledger, clock):
    """Senders sign with the old and the new secret while they change it."""
    signed = signed_call(made.secret, clock())
    both = replace(signed, signature=f"{sign(GUESSED, 'msg', '1', b'')} {signed.signature} v1a,AAAA")
    assert ledger.call_hook(made.hook.id, both, b"").state is RunState.QUEUED


def test_signatures_are_those_of_the_specification():
    """The example of the specification's reference libraries."""
    body = b'{"event_type":"ping","data":{"success":true}}'
    signature = sign("whsec_plJ3nmyCDGBKInavdOK15jsl", "msg_loFOjxBNrRLzqYUf", "1731705121", body)
    assert signature == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_a_message_that_is_sent_again_later_is_signed_anew_and_makes_no_other_run(made, ada, ledger, clock):
    first = call(ledger, clock, made, giving(rows=5))
    clock.forward(hours=2)
    ledger.forget_calls()
    again = call(ledger, clock, made, giving(rows=5))
    other = call(ledger, clock, made, giving(rows=5), message_id="msg_2")
    assert (again.run, again.repeated) == (first.run, True)
    assert (other.repeated, len(ada.runs())) == (False, 2)


def test_a_made_up_call_looks_into_the_database_once_at_most(made, ledger, clock):
    statements = []
    event.listen(ledger.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    stamp = str(int(clock().timestamp()))
    made_up = "v1," + "A" * 43 + "="
    for hook, signed, most in (
        (made.hook.id, SignedCall("", "", ""), 0),
        (made.hook.id, SignedCall("msg_1", stamp, "sha256=" + "0" * 64), 0),
        (made.hook.id, SignedCall("msg 1", stamp, made_up), 0),
        (made.hook.id, SignedCall("msg_1", "soon", made_up), 0),
        (made.hook.id, SignedCall("msg_1", "1", made_up), 0),
        ("made-up", SignedCall("msg_1", stamp, made_up), 0),
        (made.hook.id, SignedCall("msg_1", stamp, made_up), 1),
    ):
        statements.clear()
        with pytest.raises(Unauthenticated):
            ledger.call_hook(hook, signed, b"x" * 100)
        assert len([one for one in statements if one != "BEGIN"]) == most


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b'{"rows": 1}', "nothing else"),
        (giving(source="mine"), "accepts no parameter 'source'; it accepts rows"),
        (giving(rows="many"), "expected int"),
        (b" " * 70_000, "64 KiB at most"),
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
