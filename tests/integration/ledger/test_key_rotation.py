"""`respawn admin rotate-key`: a new key signs at once, the one before it is accepted until a stated time."""

from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from respawn_jobs.api.service import RunRequest
from respawn_jobs.api.triggers import HookRequest
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import Conflict, InvalidInput, Unauthenticated
from respawn_jobs.keyring import PURPOSES, Keyring
from respawn_jobs.store.tables import AuditRow
from support.signed_calls import signed_call

pytestmark = pytest.mark.integration
BOTH_DATABASES = True
_SECRET = "a secret of the administrator's own, chosen long ago"


def test_keys_are_made_once_whoever_comes_first(tmp_path):
    rings = [Keyring(tmp_path / "new" / "keys.json") for _ in range(12)]
    start = threading.Barrier(len(rings))

    def first(ring):
        start.wait()
        return ring.current("audit").secret, ring.current("cookies").secret

    with ThreadPoolExecutor(len(rings)) as pool:
        assert len(set(pool.map(first, rings))) == 1
    assert stat.S_IMODE((tmp_path / "new" / "keys.json").stat().st_mode) == 0o600
    assert len({rings[0].current(purpose).secret for purpose in ("cookies", "webhooks", "audit")}) == 3


def test_a_process_at_work_takes_a_new_key_and_accepts_the_one_before_it_for_a_while(tmp_path, clock):
    at_work, command = (Keyring(tmp_path / "keys.json", clock=clock) for _ in range(2))
    for purpose in ("cookies", "webhooks", "audit"):
        old = at_work.current(purpose)
        until = clock() + timedelta(days=1)
        new = command.rotate(purpose, until)
        assert at_work.current(purpose) == new
        assert new.secret != old.secret
        assert [key.id for key in at_work.accepted(purpose)] == [new.id, old.id]
    clock.forward(days=1)
    assert [len(at_work.accepted(purpose)) for purpose in ("cookies", "webhooks", "audit")] == [1, 1, 1]
    assert len(at_work.all("audit")) == 2, "what it signed is still checked with it"


def test_a_key_is_never_accepted_for_longer_by_a_further_rotation(tmp_path, clock):
    ring = Keyring(tmp_path / "keys.json", clock=clock)
    first = ring.current("cookies")
    ring.rotate("cookies", clock())
    ring.rotate("cookies", clock() + timedelta(days=9))
    assert first.id not in [key.id for key in ring.accepted("cookies")]


def test_the_secret_of_an_earlier_version_is_taken_over(tmp_path):
    (tmp_path / "cookie-secret").write_text("0123456789abcdef" * 4 + "\n")
    ring = Keyring(tmp_path / "keys.json", older=tmp_path / "cookie-secret")
    assert ring.current("cookies").secret == ring.current("webhooks").secret == "0123456789abcdef" * 4
    assert ring.current("audit").secret != ring.current("cookies").secret


def test_replicas_make_the_same_keys_from_one_secret(tmp_path):
    one, two = (Keyring(tmp_path / name / "keys.json", given=_SECRET) for name in ("one", "two"))
    for purpose in ("cookies", "webhooks", "audit"):
        assert one.current(purpose).secret == two.current(purpose).secret
        assert one.current(purpose).id == two.current(purpose).id
    assert one.current("audit").secret != _SECRET
    with pytest.raises(Conflict, match="RESPAWN_KEYS_FILE"):
        one.rotate("cookies", datetime.now(UTC))


def test_a_shared_file_begins_with_the_secret_and_rotates_away_from_it(tmp_path, clock, caplog):
    ring = Keyring(tmp_path / "keys.json", given=_SECRET, shared=True, clock=clock)
    assert ring.current("cookies").secret == _SECRET
    new = ring.rotate("cookies", clock() + timedelta(days=1))
    again = Keyring(tmp_path / "keys.json", given=_SECRET, shared=True, clock=clock)
    assert again.current("cookies") == new, "the variable that is still there does not turn it back"
    assert "Remove the variable" in caplog.text
    assert _SECRET not in caplog.text


def test_a_secret_that_the_administrator_changes_replaces_the_key_at_once(tmp_path, clock):
    old = Keyring(tmp_path / "keys.json", given=_SECRET, clock=clock).current("audit")
    ring = Keyring(tmp_path / "keys.json", given=_SECRET + ", and since then", clock=clock)
    assert ring.current("cookies").secret == _SECRET + ", and since then"
    assert [key.secret for key in ring.accepted("cookies")] == [_SECRET + ", and since then"]
    assert ring.all("audit")[1].id == old.id


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 1, "keys": {"cookies": [{"id": "x"}]}}'])
def test_a_file_that_is_damaged_is_named_left_alone_and_its_content_not_shown(tmp_path, content):
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=r"keys\.json") as refused:
        Keyring(path).current("cookies")
    assert path.read_text() == content
    assert "input_value" not in str(refused.value)


@pytest.fixture
def on_this_machine(ledger, tmp_path, store_url, monkeypatch):
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_DB_URL", store_url)
    return ledger


def test_a_webhook_goes_on_with_its_secret_until_then_and_is_listed(
    queue, ada, on_this_machine, clock, capsys
):
    ledger = on_this_machine
    queue()
    old, renewed = ada.hook(HookRequest(job="report")), ada.hook(HookRequest(job="report"))
    ledger.rotate_key("webhooks", timedelta(days=30), "root")
    newest = ada.hook(HookRequest(job="report"))
    assert [hook.id for hook in ledger.old_hooks()] == sorted([old.hook.id, renewed.hook.id])

    def call(made):
        return ledger.call_hook(made.hook.id, signed_call(made.secret, clock()), b"").run

    clock.forward(days=29)
    assert call(old)
    assert call(newest)
    renewed = ada.rotate(renewed.hook.id)
    assert [hook.id for hook in ledger.old_hooks()] == [old.hook.id]
    clock.forward(days=1)
    with pytest.raises(Unauthenticated):
        call(old)
    assert call(renewed)
    assert call(newest)
    assert run_command(["admin", "keys"]) == 0
    told = capsys.readouterr().out
    assert old.hook.id in told
    assert newest.hook.id not in told
    assert call(ada.rotate(old.hook.id)), "another secret, and it goes on"


def test_the_command_rotates_each_key_says_what_changes_and_leaves_a_record(
    queue, ada, on_this_machine, capsys
):
    ledger = on_this_machine
    queue()
    for purpose in PURPOSES:
        assert run_command(["admin", "rotate-key", purpose, "--keep", "2", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        new = ledger.context.keyring.current(purpose)
        assert told["key"] == new.id
        assert (told.get("token") == new.secret) == (purpose == "hub-token")
        assert (told["before"] is None) == (purpose == "hub-token"), "the first token is the hub's own"
        kept = datetime.fromisoformat(told["accepted_until"]) - new.made_at
        assert kept == timedelta(days=2)
    ada.run(RunRequest(job="report"))
    assert run_command(["audit", "verify"]) == 0
    with ledger.database.session() as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "rotate-key")).all()
    assert sorted(row.subject for row in rows) == sorted(PURPOSES)
    assert run_command(["admin", "rotate-key", "cookies"]) == 0
    assert "people who are signed in stay so" in capsys.readouterr().out
    assert run_command(["admin", "rotate-key", "passwords"]) == 2
    assert run_command(["admin", "keys", "--json"]) == 0
    printed = capsys.readouterr().out
    for purpose in PURPOSES:
        assert not [key for key in ledger.context.keyring.all(purpose) if key.secret in printed]


def test_keys_of_another_machine_are_not_rotated_for_a_store(
    queue, on_this_machine, tmp_path, monkeypatch, capsys
):
    queue()
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "somewhere else"))
    assert run_command(["admin", "rotate-key", "audit"]) == 2
    assert "as the service has them" in capsys.readouterr().err
    assert run_command(["admin", "backup", str(tmp_path / "target"), "--with-keys"]) == 2
    assert "as the service has them" in capsys.readouterr().err
    assert not (tmp_path / "target").exists()
    assert not (tmp_path / "somewhere else" / "keys.json").exists(), "nor are any made"
    assert on_this_machine.check_audit().fault is None


def test_the_trail_is_whole_when_its_key_is_rotated_beside_those_who_write(queue, ada, ledger):
    """No record is signed with the old key after its time, also when it has none left."""
    queue()
    with ThreadPoolExecutor(5) as pool:
        writing = [pool.submit(ada.run, RunRequest(job="report")) for _ in range(20)]
        rotating = pool.submit(lambda: [ledger.rotate_key("audit", timedelta(0), "root") for _ in range(4)])
        assert len([one.result() for one in writing]) == 20
        assert len(rotating.result()) == 4
    checked = ledger.check_audit()
    assert checked.fault is None
    assert checked.keys[-1] in [key.id for key in ledger.context.keyring.all("audit")]
