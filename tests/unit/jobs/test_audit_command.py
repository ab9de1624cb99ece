"""`respawn audit`: the records that one may see, and whether they are as they were written."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text as sql

from respawn_jobs.api.service import RunRequest
from respawn_jobs.cli.entry import run_command


@pytest.fixture
def kept(queue, ada, ledger, tmp_path, monkeypatch):
    """The ledger of a data directory, with three records."""
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    queue()
    ada.run(RunRequest(job="report"))
    return ledger


def _verified(capsys, *options):
    status = run_command(["audit", "verify", "--json", *options])
    return status, json.loads(capsys.readouterr().out)


def test_verify_tells_the_head_and_says_yes(kept, capsys):
    status, told = _verified(capsys)
    assert status == 0
    assert (told["records"], told["signed_from"], told["anchored"], told["fault"]) == (3, 1, 3, None)
    assert run_command(["audit", "verify"]) == 0
    assert capsys.readouterr().out == f"3 records are as they were written\nhead: {told['head']}\n"
    assert _verified(capsys, "--head", told["head"])[0] == 0


@pytest.mark.parametrize("head", ["3", "x:y", "3:abc", f"0:{'a' * 64}"])
def test_a_head_that_is_none_is_refused(kept, capsys, head):
    assert run_command(["audit", "verify", "--head", head]) == 2
    assert "NUMBER:HASH" in capsys.readouterr().err


def test_verify_names_the_first_record_that_is_wrong_and_ends_with_1(kept, capsys):
    with kept.database.session(write=True) as session:
        session.execute(sql("UPDATE audit SET actor = 'bob' WHERE seq >= 2"))
    status, told = _verified(capsys)
    assert status == 1
    assert told["fault"]["record"] == 2
    assert run_command(["audit", "verify"]) == 1
    assert "audit record 2 was changed" in capsys.readouterr().err


def test_verify_never_makes_a_store_where_there_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "nothing"))
    assert run_command(["audit", "verify"]) == 2
    assert "RESPAWN_DATA" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_verify_says_where_the_store_of_a_hub_is(kept, monkeypatch, capsys):
    monkeypatch.setenv("RESPAWN_URL", "http://127.0.0.1:1/services/respawn")
    assert run_command(["audit", "verify"]) == 2
    assert "machine of the service" in capsys.readouterr().err


def test_the_records_are_listed(kept, capsys, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert run_command(["audit", "list", "--json"]) == 0
    assert [one["action"] for one in json.loads(capsys.readouterr().out)] == ["run", "run", "promote"]
    assert run_command(["audit", "list", "--limit", "1"]) == 0
    assert "promote" not in capsys.readouterr().out
