"""Namespaces belong to users of the hub, not to names: people go, are renamed, and are made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.namespaces import same_identity
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, Service
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput, NotFound
from respawn_jobs.keyring import Keyring
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.code_authors import other_authors
from respawn_jobs.model.runs import CellError, Run, RunState
from respawn_jobs.store.database import Database
from support.clocks import MovedClock
from support.nightly import BOB, FIRST, OTHER, SECOND, SOURCE, Nightly
from support.runners import PlayedRunner, fail_third_cell

pytestmark = pytest.mark.integration
BOTH_DATABASES = {
    "test_nothing_of_a_user_who_is_gone_runs_any_more",
    "test_a_renamed_user_keeps_everything",
    "test_two_users_who_swap_their_names_get_nothing_of_each_other",
    "test_a_retired_namespace_ends_its_runs_and_frees_its_name",
    "test_identities_are_compared_as_finely_as_the_hub_keeps_them",
}


@pytest.fixture
def ledger(tmp_path: Path, store_url: str, clock: MovedClock) -> Iterator[Ledger]:
    (tmp_path / "inbox/user/ada/in").mkdir(parents=True)
    (tmp_path / "data").mkdir(exist_ok=True)
    database = Database(store_url)
    database.prepare()
    blobs = BlobStore((tmp_path / "blobs").as_uri())
    keys = Keyring.of(tmp_path / "data", clock)
    opened = Ledger(database, blobs, clock=clock, inbox_url=str(tmp_path / "inbox"), keyring=keys)
    yield opened
    opened.close()


@pytest.fixture
def root(ledger: Ledger) -> Service:
    """An administrator."""
    return ledger.as_actor(Actor("root", frozenset({"custom:respawn:admin"})))


@pytest.fixture
def nightly(ledger: Ledger, clock: MovedClock, tmp_path: Path) -> Nightly:
    return Nightly(ledger, clock, tmp_path)


@pytest.fixture
def new_ada(ledger: Ledger) -> Service:
    """A person who got the name of one who is gone, with every right to its namespace."""
    return ledger.as_actor(Actor("ada", frozenset({"custom:respawn:edit!user=ada"})))


def test_nothing_of_a_user_who_is_gone_runs_any_more(nightly: Nightly, ledger: Ledger, root: Service) -> None:
    fail_third_cell(ledger, nightly.upstream)
    assert nightly.call().state is RunState.QUEUED
    settled = ledger.settle_owners(BOB)
    with pytest.raises(Conflict, match="is suspended"):
        nightly.call()  # this very call was taken before, and would be answered with its run
    assert settled.suspended == ["user/ada"]
    assert nightly.triggers() == []
    with pytest.raises(Conflict, match=r"user/ada is suspended since .*: the hub has no user ada any more"):
        nightly.call()
    with pytest.raises(Conflict, match="is suspended"):
        root.run(RunRequest(job="user/ada/report"))
    with pytest.raises(Conflict, match="is suspended"):
        root.resume(nightly.failed.id, ResumeRequest())
    assert "the hub has no user ada any more" in str(root.show(nightly.queued.id).run.waiting)
    assert "is suspended since" in str(root.job("user/ada/report").suspended)
    [record] = [one for one in root.audit() if one.action == "suspend"]
    assert (record.actor, record.subject) == ("respawn:owners", "user/ada")
    assert ledger.settle_owners(BOB).suspended == [], "it is told once"


def executing(ledger: Ledger, run: Run) -> PlayedRunner:
    """Let a run execute its second cell."""
    runner = PlayedRunner(ledger, run.id)
    runner.begin()
    runner.execute(0)
    runner.start(1)
    return runner


def test_what_executes_for_a_user_who_is_gone_is_cancelled(
    nightly: Nightly, ledger: Ledger, root: Service
) -> None:
    at_work = executing(ledger, nightly.queued)
    ledger.open_attempt(nightly.upstream.id, "local")
    waiting = root.run(RunRequest(job="user/ada/before"))
    settled = ledger.settle_owners(BOB)
    assert set(settled.stopped) == {at_work.run, nightly.upstream.id}
    assert at_work.port.heartbeat().command == "cancel"
    at_work.checkpoint(0)
    error = CellError(cell=1, name="Cancelled", value="the run was cancelled")
    at_work.port.finish(Outcome(state="cancelled", error=error))

    reason = "cancelled by respawn:owners: the hub has no user ada any more"
    for run in (at_work.run, nightly.upstream.id):
        shown = root.show(run)
        assert (shown.run.state, shown.attempts[-1].note) == (RunState.CANCELLED, reason)
    assert root.debug(at_work.run).checkpoint is not None, "what was computed is kept"
    records = [one for one in root.audit() if one.action == "cancel"]
    assert {(one.actor, one.details["reason"]) for one in records} == {
        ("respawn:owners", "the hub has no user ada any more")
    }
    assert root.show(waiting.id).run.state is RunState.QUEUED, "what waits rests"
    assert ledger.settle_owners(BOB).stopped == []


def test_what_a_dead_service_left_executing_is_cancelled_at_the_next_look(
    nightly: Nightly, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = executing(ledger, nightly.queued)
    with monkeypatch.context() as dying:
        dying.setattr("respawn_jobs.ledger.namespaces.leavers.stop", lambda *_: [])
        assert ledger.settle_owners(BOB).suspended == ["user/ada"]
    assert ledger.missing_owners(BOB) == ["ada"], "the hub is asked again before anything is cancelled"
    assert ledger.settle_owners(BOB).stopped == [runner.run]


def test_runs_of_a_user_who_came_back_or_was_renamed_go_on(nightly: Nightly, ledger: Ledger) -> None:
    runner = executing(ledger, nightly.queued)
    assert ledger.settle_owners({**BOB, "ada": FIRST}).stopped == []
    assert ledger.settle_owners({**BOB, "countess": FIRST}).stopped == []
    assert runner.port.heartbeat().command == "continue"


def test_a_renamed_user_whose_new_name_is_taken_loses_no_run(
    nightly: Nightly, ledger: Ledger, root: Service
) -> None:
    runner = executing(ledger, nightly.queued)
    root.promote(Promotion(name="theirs", namespace="user/countess", notebook=SOURCE))
    users = {**BOB, "countess": FIRST}
    for _ in range(2):
        assert ledger.settle_owners(users).stopped == []
    assert {one.name: one.state for one in root.namespaces()}["user/ada"] == "suspended"
    assert runner.port.heartbeat().command == "continue"


def test_a_new_user_of_the_name_loses_no_run_to_the_one_before(
    nightly: Nightly, ledger: Ledger, new_ada: Service
) -> None:
    old = executing(ledger, nightly.queued)
    settled = ledger.settle_owners({**BOB, "ada": SECOND})
    assert (list(settled.left), settled.stopped) == (["former/ada.1"], [old.run])
    assert old.port.heartbeat().command == "cancel"

    new_ada.promote(Promotion(name="mine", notebook=SOURCE))
    new = executing(ledger, new_ada.run(RunRequest(job="mine")))
    assert ledger.settle_owners({**BOB, "ada": SECOND}).stopped == []
    assert new.port.heartbeat().command == "continue"


def test_what_is_at_work_makes_runs(nightly: Nightly, ledger: Ledger) -> None:
    fail_third_cell(ledger, nightly.upstream)
    assert not ledger.settle_owners({**BOB, "ada": FIRST}).changed
    assert len(nightly.triggers()) >= 5, "else the test above would prove nothing"
    assert nightly.call().state is RunState.QUEUED


@pytest.mark.parametrize("users", [{}, {"ada": None, **BOB}, {"ada": FIRST, **BOB}])
def test_a_list_without_proof_suspends_nobody(nightly: Nightly, ledger: Ledger, users: dict) -> None:
    assert not ledger.settle_owners(users).changed
    assert nightly.call().state is RunState.QUEUED


def test_a_service_of_the_hub_is_not_taken_for_a_user_who_is_gone(ledger: Ledger) -> None:
    reports = ledger.as_actor(Actor("service:reports", frozenset({"custom:respawn:edit"})))
    reports.promote(Promotion(name="report", notebook=SOURCE))
    assert not ledger.settle_owners(BOB).changed
    assert reports.run(RunRequest(job="report")).state is RunState.QUEUED


def test_a_list_that_lacks_most_owners_suspends_nobody(ledger: Ledger, root: Service) -> None:
    for number in range(5):
        root.promote(Promotion(name="report", namespace=f"user/u{number}", notebook=SOURCE))
        assert ledger.admit(f"u{number}", f"2026-01-0{number + 1}T00:00:00.5Z")
    settled = ledger.settle_owners({"u0": "2026-01-01T00:00:00.5Z", **BOB})
    assert (settled.changed, settled.doubted) == (False, 4)
    assert {one.state for one in root.namespaces()} == {"active"}


def test_a_user_who_is_there_again_goes_on(nightly: Nightly, ledger: Ledger) -> None:
    ledger.settle_owners(BOB)
    assert ledger.settle_owners({"ada": FIRST, **BOB}).active_again == ["user/ada"]
    assert nightly.call().state is RunState.QUEUED
    assert ledger.queue_due() == [], "what was due meanwhile is not made up for"


@pytest.mark.parametrize("seen_between", [False, True], ids=["between two looks", "after a look"])
def test_a_new_user_of_the_name_inherits_nothing(
    nightly: Nightly, ledger: Ledger, new_ada: Service, root: Service, seen_between: bool
) -> None:
    if seen_between:
        ledger.settle_owners(BOB)
    assert not ledger.admit("ada", SECOND), "nobody comes in before the hub's users were looked at"
    settled = ledger.settle_owners({"ada": SECOND, **BOB})
    assert settled.set_aside == {"user/ada": "former/ada.1"}
    assert ledger.admit("ada", SECOND)
    assert (new_ada.jobs(), new_ada.runs(), new_ada.audit()) == ([], [], [])
    failed = nightly.failed.id
    for ask in (new_ada.show, new_ada.notebook, new_ada.artifacts, new_ada.debug, new_ada.cancel):
        with pytest.raises(Forbidden):
            ask(failed)
    with pytest.raises(Forbidden):
        new_ada.rotate(nightly.hook.hook.id)
    with pytest.raises(Conflict, match=r"former/ada\.1 is suspended"):
        nightly.call()
    assert nightly.triggers() == []
    new_ada.promote(Promotion(name="report", notebook=SOURCE))
    assert new_ada.run(RunRequest(job="report")).job == "user/ada/report"
    shown = {one.name: one for one in root.namespaces()}
    assert (shown["former/ada.1"].state, shown["former/ada.1"].former) == ("suspended", "user/ada")
    assert shown["user/ada"].state == "active"


def test_the_third_user_of_a_name_inherits_nothing_either(
    nightly: Nightly, ledger: Ledger, new_ada: Service
) -> None:
    ledger.settle_owners({"ada": SECOND, **BOB})
    new_ada.promote(Promotion(name="mine", notebook=SOURCE))
    settled = ledger.settle_owners({"ada": "2026-07-01T00:00:00.7Z", **BOB})
    assert settled.set_aside == {"user/ada": "former/ada.2"}
    assert new_ada.jobs() == []


def test_a_renamed_user_keeps_everything(nightly: Nightly, ledger: Ledger, root: Service) -> None:
    assert not ledger.admit("lovelace", FIRST)
    assert ledger.settle_owners({"lovelace": FIRST, **BOB}).moved == {"user/ada": "user/lovelace"}
    assert ledger.admit("lovelace", FIRST)
    lovelace = ledger.as_actor(Actor("lovelace", frozenset({"custom:respawn:edit!user=lovelace"})))
    assert {job.ref for job in lovelace.jobs()} == {"user/lovelace/before", "user/lovelace/report"}
    assert nightly.failed.id in {run.id for run in lovelace.runs()}
    assert lovelace.notebook(nightly.failed.id)
    assert nightly.call().state is RunState.QUEUED
    assert [one.name for one in root.namespaces()] == ["user/lovelace"]


def test_a_renamed_user_and_a_new_one_of_the_old_name_are_two(
    nightly: Nightly, ledger: Ledger, new_ada: Service
) -> None:
    settled = ledger.settle_owners({"lovelace": FIRST, "ada": SECOND, **BOB})
    assert (settled.moved, settled.set_aside) == ({"user/ada": "user/lovelace"}, {})
    assert ledger.admit("ada", SECOND)
    assert ledger.admit("lovelace", FIRST)
    assert new_ada.jobs() == []


def test_names_that_others_get_take_nothing_along(nightly: Nightly, ledger: Ledger, root: Service) -> None:
    assert ledger.admit("bob", OTHER)
    root.promote(Promotion(name="of-bob", namespace="user/bob", notebook=SOURCE))
    settled = ledger.settle_owners({"bob": FIRST, "carl": OTHER})
    assert settled.moved == {"user/bob": "user/carl", "user/ada": "user/bob"}
    assert {job.ref for job in root.jobs()} == {"user/carl/of-bob", "user/bob/before", "user/bob/report"}


def test_two_users_who_swap_their_names_get_nothing_of_each_other(
    nightly: Nightly, ledger: Ledger, root: Service
) -> None:
    assert ledger.admit("bob", OTHER)
    root.promote(Promotion(name="of-bob", namespace="user/bob", notebook=SOURCE))
    settled = ledger.settle_owners({"ada": OTHER, "bob": FIRST})
    assert sorted(settled.suspended) == ["former/ada.1", "former/bob.1"]
    assert root.jobs("user/ada") == root.jobs("user/bob") == []


def test_a_name_that_holds_jobs_already_is_for_an_administrator_to_decide(
    nightly: Nightly, ledger: Ledger, root: Service
) -> None:
    root.promote(Promotion(name="report", namespace="user/lovelace", notebook=SOURCE))
    settled = ledger.settle_owners({"lovelace": FIRST, **BOB})
    assert (settled.moved, settled.suspended) == ({}, ["user/ada"])
    with pytest.raises(Conflict, match="both hold jobs named report"):
        ledger.move_namespace(Actor.owner("root"), "user/ada", "user/lovelace", FIRST)
    assert {job.ref for job in root.jobs()} == {"user/ada/before", "user/ada/report", "user/lovelace/report"}


def test_an_administrator_moves_what_was_left_and_it_goes_on(
    nightly: Nightly, ledger: Ledger, new_ada: Service, root: Service
) -> None:
    ledger.settle_owners({"ada": SECOND, **BOB})
    moved = ledger.move_namespace(Actor.owner("root"), "former/ada.1", "user/ada", SECOND)
    assert (moved.name, moved.state, moved.jobs) == ("user/ada", "active", 2)
    assert nightly.call().state is RunState.QUEUED
    assert other_authors(new_ada.debug(nightly.failed.id), "ada") == ["ada", "former/ada.1"]
    assert [one.name for one in root.namespaces()] == ["user/ada"]
    [record] = [one for one in root.audit() if one.action == "move"]
    assert (record.actor, record.details["before"]) == ("root", "former/ada.1")


def test_a_team_takes_over_what_was_left(nightly: Nightly, ledger: Ledger, root: Service) -> None:
    ledger.settle_owners(BOB)
    assert root.move("user/ada", "team/risk").state == "active"
    assert {job.ref for job in root.jobs()} == {"team/risk/before", "team/risk/report"}
    assert nightly.call().state is RunState.QUEUED
    ledger.settle_owners(BOB)
    assert [one.name for one in root.namespaces()] == ["team/risk"]


@pytest.mark.parametrize("namespace", ["user/ada", "former/ada.1"])
def test_a_retired_namespace_ends_its_runs_and_frees_its_name(
    nightly: Nightly, ledger: Ledger, new_ada: Service, root: Service, namespace: str
) -> None:
    if namespace != "user/ada":
        ledger.settle_owners({"ada": SECOND, **BOB})
    retired = root.retire(namespace)
    assert (retired.name, retired.state, retired.runs_waiting) == ("former/ada.1", "retired", 0)
    assert root.show(nightly.queued.id).run.state is RunState.CANCELLED
    with pytest.raises(Conflict, match="is retired"):
        nightly.call()
    assert new_ada.jobs() == []
    assert root.retire("former/ada.1").state == "retired", "again changes nothing"
    assert root.move("former/ada.1", "team/risk").state == "active", "it can be taken back"


def test_only_administrators_decide(nightly: Nightly, new_ada: Service, root: Service) -> None:
    for ask in (
        new_ada.namespaces,
        lambda: new_ada.retire("user/ada"),
        lambda: new_ada.move("user/ada", "team/risk"),
    ):
        with pytest.raises(Forbidden):
            ask()
    with pytest.raises(NotFound, match="there is no namespace user/nobody"):
        root.move("user/nobody", "team/risk")
    with pytest.raises(InvalidInput, match="nobody's"):
        root.move("user/ada", "former/x")
    with pytest.raises(Conflict, match="nobody's"):
        root.promote(Promotion(name="report", namespace="former/x", notebook=SOURCE))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (FIRST, FIRST, True),
        (FIRST, SECOND, False),
        ("2026-01-01T08:00:00.600000Z", "2026-01-01T08:00:01Z", True),
        ("2026-01-01T08:00:00Z", "2026-01-01T08:00:01Z", False),
        ("2026-01-01T08:00:00.1Z", "2026-01-01T08:00:00.2Z", False),
        (None, None, False),
        (FIRST, None, False),
        ("x", "x", True),
        ("x", FIRST, False),
    ],
)
def test_identities_are_compared_as_finely_as_the_hub_keeps_them(
    one: str | None, other: str | None, same: bool
) -> None:
    assert same_identity(one, other) is same
