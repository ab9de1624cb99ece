"""People see what their namespaces use of what they may; blobs of before quotas are measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from respawn_hub.loops.housekeeper import Housekeeper
from respawn_jobs.access import Actor
from respawn_jobs.api.queueing import LimitRequest
from respawn_jobs.api.service import RunRequest, Service
from respawn_jobs.cli.entry import run_command
from respawn_jobs.errors import QuotaExceeded
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.capacity import usage
from respawn_jobs.ledger.context.quotas import Quotas
from respawn_jobs.model.runs import Run
from respawn_jobs.store.tables import NamespaceBlobRow
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
BOTH_DATABASES = True


@pytest.fixture
def root(ledger: Ledger) -> Service:
    return ledger.as_actor(Actor("root", frozenset({"custom:respawn:admin"})))


def forget_sizes(ledger: Ledger) -> int:
    """Let all blobs be as an earlier version has left them; return what they have together."""
    with ledger.database.session(write=True) as session:
        total = session.scalar(select(func.sum(NamespaceBlobRow.size)))
        session.execute(update(NamespaceBlobRow).values(size=0))
    return int(total or 0)


def test_everybody_sees_what_their_namespaces_use_and_of_no_other(
    failed: Run, ada: Service, bob: Service, root: Service, ledger: Ledger
) -> None:
    ledger.set_quotas(Quotas(5_000_000, 7))
    root.limit(LimitRequest(kind="namespace", name="*", max_running=3))
    ada.run(RunRequest(job="report"))
    PlayedRunner(ledger, ada.run(RunRequest(job="report")).id)
    (mine,) = [one for one in ada.usage() if one.namespace == "user/ada"]
    assert (mine.waiting, mine.waiting_limit) == (1, 7)
    assert (mine.executing, mine.executing_limit) == (1, 3)
    assert (mine.stored_bytes > 100, mine.stored_limit, mine.unmeasured) == (True, 5_000_000, 0)
    assert [one for one in bob.usage() if one.namespace == "user/ada"] == []
    assert mine in root.usage()


def test_a_namespace_without_anything_is_shown_to_its_owner(ledger: Ledger) -> None:
    new = ledger.as_actor(Actor("new", frozenset({"custom:respawn:edit!user=new"})))
    (one,) = new.usage()
    assert (one.namespace, one.stored_bytes, one.waiting, one.executing) == ("user/new", 0, 0, 0)


def test_blobs_of_before_quotas_are_measured_in_pieces_and_then_count(
    failed: Run, ada: Service, root: Service, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_AT_ONCE", 2)
    total = forget_sizes(ledger)
    ledger.set_quotas(Quotas(stored_bytes=total))
    before = root.usage()[0]
    assert (before.stored_bytes, before.unmeasured > 4) == (0, True)
    steps, after = 0, ""
    while (after := ledger.measure_blobs(after)) is not None:
        steps += 1
        assert root.usage()[0].unmeasured == before.unmeasured - 2 * steps, "each piece is kept"
    assert (root.usage()[0].stored_bytes, root.usage()[0].unmeasured) == (total, 0)
    with pytest.raises(QuotaExceeded):
        ledger.context.quotas.check_room(ledger.context, "user/ada", 2_000_000)


def test_the_housekeeper_measures_once_and_goes_on_where_it_was(
    failed: Run, root: Service, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_AT_ONCE", 2)
    total = forget_sizes(ledger)
    keeper = Housekeeper(ledger)
    rests = [keeper.tick()]
    assert root.usage()[0].unmeasured > 0
    keeper = Housekeeper(ledger)  # the service is started anew
    while rests[-1] < 100:
        rests.append(keeper.tick())
    assert len(rests) > 2
    assert (root.usage()[0].stored_bytes, root.usage()[0].unmeasured) == (total, 0)
    forget_sizes(ledger)
    keeper.tick()
    assert root.usage()[0].unmeasured > 0, "it looks once after its start"


def test_a_blob_whose_bytes_are_gone_keeps_no_other_from_being_measured(
    failed: Run, root: Service, ledger: Ledger, tmp_path: Path
) -> None:
    total = forget_sizes(ledger)
    gone = next((tmp_path / "data" / "blobs").rglob("*/*"))
    size = gone.stat().st_size
    gone.unlink()
    assert ledger.measure_blobs("") is None
    assert (root.usage()[0].stored_bytes, root.usage()[0].unmeasured) == (total - size, 1)


def test_the_command_lists_it(failed: Run, ledger: Ledger, tmp_path, store_url, monkeypatch, capsys) -> None:
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RESPAWN_DB_URL", store_url)
    assert run_command(["usage"]) == 0
    assert "user/ada" in capsys.readouterr().out
    assert run_command(["usage", "--json"]) == 0
    (one,) = [one for one in json.loads(capsys.readouterr().out) if one["namespace"] == "user/ada"]
    assert one["stored_bytes"] > 0
    forget_sizes(ledger)
    assert run_command(["usage"]) == 0
    assert "are not measured yet" in capsys.readouterr().err
