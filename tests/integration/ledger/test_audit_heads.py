"""Heads of the audit trail are kept elsewhere; a trail whose end was cut off no longer leads through them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text as sql

from respawn_hub.monitoring.audit_heads import Heads
from respawn_jobs.api.service import RunRequest, Service
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import InvalidInput, Unavailable
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.audit.head_places import AuditHeadStore
from respawn_jobs.ledger.audit.signed_heads import heads_of
from support.receivers import http_receiver

pytestmark = pytest.mark.integration
BOTH_DATABASES = True


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere.jsonl"


@pytest.fixture
def heads(ledger: Ledger, kept: Path) -> Heads:
    return Heads(
        ledger, AuditHeadStore(str(kept)), every_seconds=300, monotonic=iter(range(0, 10**9, 1000)).__next__
    )


@pytest.fixture
def verified(monkeypatch, tmp_path, store_url, capsys):
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_DB_URL", store_url)

    def verified(*options: str):
        capsys.readouterr()
        status = run_command(["audit", "verify", "--json", *options])
        return status, json.loads(capsys.readouterr().out)

    return verified


def cut(ledger: Ledger, tmp_path: Path, last: int) -> None:
    """Cut the trail's end off as somebody does who can write the database and all files of the service."""
    with ledger.database.session(write=True) as session:
        session.execute(sql("DELETE FROM audit WHERE seq > :last"), {"last": last})
        session.execute(
            sql("UPDATE audit_head SET seq = :last, hash = (SELECT hash FROM audit WHERE seq = :last)"),
            {"last": last},
        )
    (tmp_path / "data" / "audit-head.json").unlink()


def test_a_cut_end_is_found_though_the_trail_grew_over_it(
    queue, ada: Service, ledger: Ledger, heads: Heads, kept: Path, verified, tmp_path: Path
) -> None:
    queue()
    heads.tick()
    ada.run(RunRequest(job="report"))
    heads.tick()
    assert verified("--head", str(kept)) == (0, {**verified()[1], "kept": 2})
    cut(ledger, tmp_path, 2)
    for _ in range(2):
        ada.run(RunRequest(job="report"))
    heads.tick()
    assert verified()[0] == 0, "nothing on this machine tells of it"
    status, told = verified("--head", str(kept))
    assert (status, told["fault"]["record"], told["kept"]) == (1, 3, 3)


def test_a_cut_end_that_nothing_grew_over_is_found(
    queue, ada: Service, ledger: Ledger, heads: Heads, kept: Path, verified, tmp_path: Path
) -> None:
    queue()
    ada.run(RunRequest(job="report"))
    heads.tick()
    cut(ledger, tmp_path, 1)
    status, told = verified("--head", str(kept))
    assert (status, told["fault"]["record"], told["fault"]["kind"]) == (1, 2, "missing")


def test_a_head_is_sent_when_the_trail_has_grown_and_no_more_often_than_asked(
    queue, ada: Service, ledger: Ledger, kept: Path
) -> None:
    moments = [0.0]
    heads = Heads(ledger, AuditHeadStore(str(kept)), every_seconds=300, monotonic=lambda: moments[0])
    assert heads.tick() == 300
    assert not kept.exists(), "there is no record yet"
    queue()
    moments[0] = 100
    assert heads.tick() == 200
    assert not kept.exists()
    for moment in (300, 600, 900):
        moments[0] = moment
        assert heads.tick() == 300
    assert len(kept.read_text().splitlines()) == 1
    assert kept.stat().st_mode & 0o777 == 0o600
    ada.run(RunRequest(job="report"))
    moments[0] = 1200
    heads.tick()
    sent = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [one["seq"] for one in sent] == [2, 3]
    assert all(one["mac"] and one["key"] for one in sent)


def test_what_could_not_be_kept_is_sent_again(queue, ledger: Ledger, tmp_path: Path) -> None:
    queue()
    path = tmp_path / "mount" / "heads.jsonl"
    heads = Heads(ledger, AuditHeadStore(str(path)), every_seconds=300, monotonic=lambda: 0.0)
    for _ in range(2):
        with pytest.raises(Unavailable, match="is not kept in"):
            heads.tick()
    path.parent.mkdir()
    heads.tick()
    assert len(path.read_text().splitlines()) == 1


def test_a_line_that_a_full_disk_cut_short_costs_no_other(
    queue, ada: Service, heads: Heads, kept: Path, verified
) -> None:
    queue()
    heads.tick()
    kept.write_text(kept.read_text() + '{"kind": "respawn-au')
    assert verified("--head", str(kept))[1]["kept"] == 1
    ada.run(RunRequest(job="report"))
    heads.tick()
    lines = kept.read_text().splitlines()
    assert (len(lines), json.loads(lines[2])["seq"]) == (3, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hash": "0" * 64}, "was not signed by this service"),
        ({"mac": None}, "was not signed by this service"),
        ({"key": None, "mac": None, "hash": "0" * 64}, "was not signed by this service"),
        ({"key": "another"}, "was not signed by this service"),
        ({"kind": "something"}, "is no head"),
    ],
)
def test_a_line_that_the_service_did_not_send_is_refused(
    queue, ledger: Ledger, heads: Heads, kept: Path, change: dict, said: str
) -> None:
    queue()
    heads.tick()
    line = json.dumps(json.loads(kept.read_text()) | change)
    with pytest.raises(InvalidInput, match=f"line 2 of {kept} {said}"):
        list(heads_of(f"{kept.read_text()}{line}\n", str(kept), ledger.context.keyring))


def test_lines_that_a_person_noted_count_too(queue, ada: Service, kept: Path, verified) -> None:
    queue()
    first = verified()[1]["head"]
    ada.run(RunRequest(job="report"))
    kept.write_text(f"{first}\n\n{verified()[1]['head']}\n")
    assert verified("--head", str(kept))[1]["kept"] == 2
    kept.write_text(f"2:{'0' * 64}\n")
    assert verified("--head", str(kept))[0] == 1


def test_heads_are_posted_to_a_collector(queue, ledger: Ledger, verified, kept: Path) -> None:
    queue()
    with http_receiver() as receiver:
        url = receiver.address.replace("json://", "http://me:hidden@")
        heads = Heads(ledger, AuditHeadStore(url), every_seconds=300, monotonic=lambda: 0.0)
        receiver.status = 503
        with pytest.raises(Unavailable, match="answered 503") as refused:
            heads.tick()
        assert "hidden" not in refused.value.message
        receiver.status = 200
        heads.tick()
    kept.write_text("".join(json.dumps(one) + "\n" for one in receiver.messages[1:]))
    assert verified("--head", str(kept)) == (0, {**verified()[1], "kept": 1})
