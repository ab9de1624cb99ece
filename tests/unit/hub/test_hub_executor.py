"""The executor whose runners are in servers of the hub, with a played hub and played servers."""

from __future__ import annotations

import httpx
import pytest

from respawn_hub.job_servers.executor import RETRY_SECONDS, SILENT_SECONDS
from respawn_hub.job_servers.hub_servers import HubServers
from respawn_hub.job_servers.server_state import FRESH_SECONDS
from respawn_jobs.access import Actor
from respawn_jobs.api.job_server_protocol import EndedRunner, JobServerReport
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import Unauthenticated, Unavailable
from respawn_jobs.executors.base import NEAR_SECONDS
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import ForeseenRun, JobPlace, WantedKernel
from respawn_jobs.model.runs import RunState
from support.notebooks import notebook, text
from support.played_hub import Played, PlayedHub, PlayedSeconds
from support.waiting import wait_for

ADA = JobPlace("user/ada")


@pytest.fixture
def played(ledger: Ledger):
    played = Played(ledger, PlayedSeconds(), PlayedHub())
    yield played
    played.executor.close()


def test_a_namespace_that_waits_gets_a_server_of_its_owner_and_then_places(played: Played) -> None:
    assert played.places("user/ada") == {"user/ada": 0}
    name = played.started()
    assert played.hub.started[name][0] == "ada"
    assert played.places("user/ada", "user/eve") == {"user/ada": 0, "user/eve": 0}
    played.started(2)
    account, nonce = played.hub.started[name]
    played.ledger.register_job_server(name, account, nonce)
    played.executor.hear(name, JobServerReport())
    assert played.places("user/ada", "user/eve") == {"user/ada": 2, "user/eve": 0}


def test_a_nonce_registers_one_server_once(played: Played) -> None:
    name = played.ready("user/ada")
    for account, nonce in (played.hub.started[name], ("eve", played.hub.started[name][1]), ("ada", "x")):
        with pytest.raises(Unauthenticated):
            played.ledger.register_job_server(name, account, nonce)
    with pytest.raises(Unauthenticated):
        played.ledger.recognize_job_server(name, "x")


def test_a_place_is_taken_from_the_order_to_the_end_of_the_runner(played: Played) -> None:
    name = played.ready("user/ada")
    played.executor.submit("att-1", "secret", ADA)
    assert played.places("user/ada") == {"user/ada": 1}
    assert played.order(name) == ["att-1"]
    played.executor.hear(name, JobServerReport())  # it has not heard of it yet
    assert played.executor.living() == {"att-1"}
    played.executor.hear(name, JobServerReport(taken=["att-1"], living=["att-1"]))
    played.executor.submit("att-2", "secret", ADA)
    with pytest.raises(Unavailable, match="no place"):
        played.executor.submit("att-3", "secret", ADA)
    assert played.order(name) == ["att-2"]
    ended = [EndedRunner(attempt="att-2", reason="it gave up")]
    played.executor.hear(name, JobServerReport(taken=["att-2"], living=["att-1"], ended=ended))
    assert played.executor.probe() == [("att-2", "it gave up")]
    assert played.places("user/ada") == {"user/ada": 1}


def test_a_team_runs_as_the_account_that_was_named_and_others_wait(played: Played) -> None:
    assert played.places("team/risk", "team/ops") == {"team/risk": 0}
    assert played.hub.started[played.started()][0] == "risk-jobs"


def test_a_run_that_waits_says_for_what(played: Played) -> None:
    ada = played.ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="waits", notebook=text(notebook("1"))))
    run = ada.run(RunRequest(job="waits")).id
    played.ledger.report_replica("rep-1", host="h", slots=4, busy=0, draining=False, health={})

    def reason() -> str | None:
        played.executor.places(played.ledger.waiting_places)
        return ada.show(run).run.waiting

    assert reason() == "waiting for: a job server of ada, which is being started"
    played.executor.hear(played.started(), JobServerReport())
    for attempt in ("att-1", "att-2"):
        played.executor.submit(attempt, "secret", ADA)
    assert reason() == "waiting for: a place in the job server of ada: 2 of 2 are taken"
    played.executor.hear(played.started(), JobServerReport(leaving=True))
    wait_for(lambda: played.ledger.job_servers() == [], 10, "the end of the server")
    played.hub.refusal = "the hub does not start it: too many servers"
    reason()
    wait_for(lambda: "too many servers" in str(reason()), 10, "the refusal")


def test_a_run_says_in_the_words_of_the_hub_why_its_server_did_not_start(played: Played) -> None:
    ada = played.ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="waits", notebook=text(notebook("1"))))
    run = ada.run(RunRequest(job="waits")).id
    played.ledger.report_replica("rep-1", host="h", slots=4, busy=0, draining=False, health={})

    def reason() -> str:
        played.executor.probe()
        played.executor.places(played.ledger.waiting_places)
        return str(ada.show(run).run.waiting)

    reason()
    played.started()
    played.hub.failed = "the image is too old"
    played.pass_seconds(6)
    wait_for(lambda: reason().endswith("the hub could not start it: the image is too old"), 10, "the words")
    wait_for(lambda: played.hub.stopped == [*played.hub.started], 10, "its name to be free again")


def test_a_server_that_is_sent_away_is_stopped_and_runs_say_why(played: Played) -> None:
    played.places("user/ada")
    name = played.started()
    account, nonce = played.hub.started[name]
    played.ledger.register_job_server(name, account, nonce)
    played.executor.send_away(name, "it has Respawn 0.0.9, and the service has 0.1.0")
    wait_for(lambda: played.hub.stopped == [name], 10, "its end")
    played.places("user/ada")
    assert "0.0.9" in str(played.executor._messages[ADA])


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (200, 'data: {"progress": 0}\n\ndata: {"failed": true, "message": "Spawn failed: no"}\n\n', "no"),
        (200, 'data: {"ready": true, "message": "Server ready"}\n\n', None),
        (200, ": keepalive\n\n", None),
        (200, "data: <html>\n\n", None),
        (400, '{"message": "is not starting"}', None),
    ],
)
def test_the_hub_says_why_a_server_did_not_start(status: int, text: str, words: str | None) -> None:
    servers = HubServers(lambda _method, _path, _body: httpx.Response(status, text=text))
    assert servers.failure("ada", "respawn-1") == words


def test_namespaces_of_one_account_share_its_places(played: Played) -> None:
    shared = Played(played.ledger, played.clock, played.hub, teams={"team/risk": "ada"})
    shared.ready("user/ada")
    assert shared.places("user/ada", "team/risk") == {"user/ada": 2, "team/risk": 0}
    shared.executor.close()


def test_a_server_that_the_hub_refuses_is_asked_for_again_later(played: Played) -> None:
    played.hub.refusal = "the hub does not start it: too many servers"
    played.places("user/ada")
    wait_for(lambda: played.ledger.job_servers() == [], 10, "the refusal")
    played.hub.refusal = None
    played.places("user/ada")
    assert played.ledger.job_servers() == []
    played.pass_seconds(RETRY_SECONDS + 1)
    played.places("user/ada")
    played.started()


def test_a_start_that_fails_later_is_told_in_the_hubs_words(played: Played) -> None:
    ada = played.ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="waits", notebook=text(notebook("1"))))
    run = ada.run(RunRequest(job="waits")).id
    played.ledger.report_replica("rep-1", host="h", slots=4, busy=0, draining=False, health={})
    played.executor.places(played.ledger.waiting_places)
    name = played.started()
    played.hub.stopped.append(name)  # it is gone before it has registered
    played.hub.failed = "Spawn failed: no such image"
    played.pass_seconds(6)
    played.executor.probe()
    wait_for(lambda: played.ledger.job_servers() == [], 10, "the end of the server")
    played.executor.places(played.ledger.waiting_places)
    assert "could not start it: Spawn failed: no such image" in str(ada.show(run).run.waiting)


def test_one_that_is_silent_gets_nothing_new_and_then_counts_as_gone(played: Played) -> None:
    name = played.ready("user/ada")
    played.executor.submit("att-1", "secret", ADA)
    played.pass_seconds(FRESH_SECONDS + 1)
    assert played.places("user/ada") == {"user/ada": 0}
    played.pass_seconds(SILENT_SECONDS)
    [(attempt, reason)] = played.executor.probe()
    assert attempt == "att-1"
    assert "its job server is gone" in reason
    wait_for(lambda: played.hub.stopped == [name], 10, "its end")
    wait_for(lambda: played.ledger.job_servers() == [], 10, "its end")
    played.places("user/ada")
    assert played.started(2) != name


def test_one_that_has_nothing_to_do_is_stopped(played: Played) -> None:
    name = played.ready("user/ada")
    for _ in range(14):
        played.pass_seconds(5)
        played.executor.hear(name, JobServerReport())
        assert played.executor.probe() == []
    wait_for(lambda: played.hub.stopped == [name], 10, "its end")


def test_one_that_is_being_stopped_makes_place_for_another(played: Played) -> None:
    name = played.ready("user/ada")
    played.executor.submit("att-1", "secret", ADA)
    played.executor.hear(name, JobServerReport(leaving=True))
    assert played.executor.living() == set()
    assert played.executor.probe() == []  # its runner requeues by itself
    wait_for(lambda: played.ledger.job_servers() == [], 10, "its end")
    assert played.ready("user/ada", 2) != name


def test_the_next_process_finds_the_servers(played: Played) -> None:
    name = played.ready("user/ada")
    following = Played(played.ledger, played.clock, played.hub)
    try:
        assert following.places("user/ada") == {"user/ada": 0}
        following.executor.hear(name, JobServerReport(living=["att-1"]))
        assert following.executor.living() == {"att-1"}
        assert following.places("user/ada") == {"user/ada": 1}
        assert list(played.hub.started) == [name]
    finally:
        following.executor.close()
    with pytest.raises(Unavailable, match="being stopped"):
        following.executor.orders(name, lambda: None)


def foreseen(namespace: str) -> ForeseenRun:
    return ForeseenRun(namespace, WantedKernel("python3", "a" * 64))


def test_a_server_is_started_ahead_of_a_due_time_and_its_kernel_shortly_before(played: Played) -> None:
    assert played.executor.ahead == 30.0
    played.executor.expect([foreseen("user/ada"), foreseen("user/ada"), foreseen("team/nobody")], 30.0)
    name = played.started()
    account, nonce = played.hub.started[name]
    played.ledger.register_job_server(name, account, nonce)
    played.executor.hear(name, JobServerReport())
    assert not played.executor.orders(name, lambda: None)
    played.executor.expect([foreseen("user/ada")] * 3, NEAR_SECONDS)
    expected = played.executor.orders(name, lambda: None).expect
    assert [(one.name, one.lock) for one in expected] == [("python3", "a" * 64)] * 2, "it has two places"
    assert not played.executor.orders(name, lambda: None)
    assert len(played.hub.started) == 1


def test_a_server_that_was_started_ahead_is_kept_until_its_attempt_comes(played: Played) -> None:
    played.executor.expect([foreseen("user/ada")], 75.0)
    name = played.started()
    account, nonce = played.hub.started[name]
    played.ledger.register_job_server(name, account, nonce)
    for _ in range(8):  # eighty seconds, where one that is idle is kept for sixty
        played.executor.hear(name, JobServerReport())
        played.pass_seconds(FRESH_SECONDS - 2)
        played.executor.probe()
    assert played.hub.stopped == []
    assert played.places("user/ada") == {"user/ada": 2}


def test_a_server_whose_runs_the_dispatcher_has_not_come_to_is_not_idle(played: Played) -> None:
    name = played.ready("user/ada")
    for _ in range(12):  # of what waits, the dispatcher takes some at a time; after a minute it would be idle
        played.pass_seconds(FRESH_SECONDS - 2)
        played.executor.hear(name, JobServerReport())
        assert played.places("user/ada") == {"user/ada": 2}
        played.executor.probe()
    assert played.hub.stopped == []
    for _ in range(3):
        played.pass_seconds(FRESH_SECONDS - 2)
        played.executor.hear(name, JobServerReport())
        played.executor.probe()
    wait_for(lambda: played.hub.stopped == [name], 10, "the end of the idle server")


def test_a_server_that_is_awaited_is_not_idle(played: Played) -> None:
    name = played.ready("user/ada")
    for _ in range(8):
        played.pass_seconds(FRESH_SECONDS - 2)
        played.executor.expect([foreseen("user/ada")], 30.0)
        played.executor.hear(name, JobServerReport())
        played.executor.probe()
    assert played.hub.stopped == []
    for _ in range(8):
        played.pass_seconds(FRESH_SECONDS - 2)
        played.executor.hear(name, JobServerReport())
        played.executor.probe()
    wait_for(lambda: played.hub.stopped == [name], 10, "the end of the idle server")


def test_one_that_had_registered_with_the_process_before_and_is_silent_counts_as_gone(played: Played) -> None:
    name = played.ready("user/ada")
    following = Played(played.ledger, played.clock, played.hub)
    try:
        played.pass_seconds(SILENT_SECONDS + 1)
        following.executor.probe()
        wait_for(lambda: played.hub.stopped == [name], 10, "its end, whatever the hub thinks of it")
        wait_for(lambda: played.ledger.job_servers() == [], 10, "its end")
    finally:
        following.executor.close()


def test_a_server_that_the_hub_does_not_stop_is_stopped_later_also_by_another_process(played: Played) -> None:
    name = played.ready("user/ada")
    played.hub.stops = False
    played.executor.hear(name, JobServerReport(leaving=True))
    wait_for(lambda: played.ledger.unwanted_job_servers() == {name: "ada"}, 10, "its place to be free")
    assert played.ready("user/ada", 2) != name
    following = Played(played.ledger, played.clock, played.hub)
    try:
        played.hub.stops = True
        following.executor.probe()
        wait_for(lambda: played.hub.stopped == [name], 10, "its end")
        wait_for(lambda: played.ledger.unwanted_job_servers() == {}, 10, "the end of asking")
    finally:
        following.executor.close()


def test_an_order_that_no_server_heard_of_is_requeued_when_the_service_ends(played: Played) -> None:
    ada = played.ledger.as_actor(Actor.owner("ada"))
    ada.promote(Promotion(name="waits", notebook=text(notebook("1"))))
    run = ada.run(RunRequest(job="waits")).id
    played.ready("user/ada")
    [claimed] = played.ledger.claim_runs("hub", None, 1, {ADA: 1})
    played.executor.submit(claimed.attempt, claimed.token, claimed.place)
    played.executor.close()
    assert played.ledger.waiting_places() == [ADA]
    assert ada.show(run).run.state is RunState.QUEUED


def test_the_dispatcher_is_woken_for_a_place_or_an_end_and_not_by_each_report(played: Played) -> None:
    woken: list[str] = []
    played.executor._freed = lambda: woken.append("dispatcher")
    name = played.ready("user/ada")
    assert len(woken) == 1, "there are places"
    for _ in range(3):
        played.executor.hear(name, JobServerReport())
    played.executor.submit("att-1", "secret", ADA)
    assert played.order(name) == ["att-1"]
    played.executor.hear(name, JobServerReport(taken=["att-1"], living=["att-1"]))
    assert len(woken) == 1
    played.executor.hear(name, JobServerReport())
    assert len(woken) == 2, "a place is free"
    played.executor.hear(name, JobServerReport(ended=[EndedRunner(attempt="att-1", reason="it gave up")]))
    assert len(woken) == 3, "there is something to settle"
