"""What the HTTP clients make of answers, of silence, and of answers that get lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from respawn_jobs.api.queueing import LimitRequest
from respawn_jobs.api.runner_protocol import Outcome
from respawn_jobs.api.service import RunRequest
from respawn_jobs.errors import Conflict, Fenced, InvalidInput, RespawnError, Unauthenticated, Unavailable
from respawn_jobs.remote.client import RemoteRunner, RemoteService

pytestmark = pytest.mark.integration


class Script:
    """A server that gives one answer after the other: (status, body), or None to hang up without one."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any] | None] = []
        self.seen: list[tuple[str, str, str]] = []
        self.url = ""


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.seen.append((self.command, self.path, self.headers.get("Authorization", "")))
            given = script.answers.pop(0)
            self.close_connection = True
            if given is None:
                return
            body = given[1] if isinstance(given[1], bytes) else json.dumps(given[1]).encode()
            self.send_response(given[0])
            self.send_header("Content-Length", str(len(body)))
            if given[0] == 302:
                self.send_header("Location", "/hub/login")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def service(script: Script) -> Iterator[RemoteService]:
    service = RemoteService(script.url, "a-token")
    yield service
    service.close()


@pytest.fixture
def runner(script: Script) -> Iterator[RemoteRunner]:
    runner = RemoteRunner(script.url, "att-1", "a-token", sleep=lambda _: None)
    yield runner
    runner.close()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (409, Conflict("resumed already", run="run-1").as_dict(), Conflict),
        (422, {"detail": [{"loc": ["body", "job"], "msg": "Field required"}]}, InvalidInput),
        (302, b"", Unauthenticated),
        (502, b"<h1>Bad gateway</h1>", Unavailable),
        (418, b"short and stout", RespawnError),
    ],
)
def test_each_refusal_arrives_as_its_error(
    script: Script, service: RemoteService, status: int, body: Any, error: type[RespawnError]
) -> None:
    script.answers = [(status, body)]
    with pytest.raises(error) as raised:
        service.run(RunRequest(job="report"))
    assert type(raised.value) is error
    if error is Conflict:
        assert raised.value.fields == {"run": "run-1"}


def test_a_queued_run_is_not_asked_for_twice_when_the_answer_is_lost(
    script: Script, service: RemoteService
) -> None:
    script.answers = [None]
    with pytest.raises(Unavailable):
        service.run(RunRequest(job="report"))
    assert len(script.seen) == 1


def test_people_and_runners_prove_themselves_each_in_their_way(
    script: Script, service: RemoteService, runner: RemoteRunner
) -> None:
    script.answers = [(200, {"name": "ada"}), (200, {"command": "continue"})]
    assert service.whoami() == "ada"
    runner.heartbeat()
    assert [authorization for _, _, authorization in script.seen] == ["token a-token", "Bearer a-token"]


def test_a_runner_repeats_what_does_no_harm_when_answers_are_lost(
    script: Script, runner: RemoteRunner
) -> None:
    script.answers = [None, (503, Unavailable("busy").as_dict()), (204, b"")]
    runner.put_blob("d" * 64, b"data")
    assert [method for method, _, _ in script.seen] == ["PUT"] * 3


def test_a_claim_whose_answer_is_lost_is_not_repeated(script: Script, runner: RemoteRunner) -> None:
    script.answers = [None]
    with pytest.raises(Unavailable):
        runner.claim()
    assert len(script.seen) == 1


def test_an_end_whose_answer_was_lost_is_told_again(script: Script, runner: RemoteRunner) -> None:
    script.answers = [None, (204, b"")]
    runner.finish(Outcome(state="succeeded"))
    assert len(script.seen) == 2


def test_an_end_that_is_refused_is_an_error(script: Script, runner: RemoteRunner) -> None:
    script.answers = [None, (410, Fenced("replaced").as_dict())]
    with pytest.raises(Fenced):
        runner.finish(Outcome(state="succeeded"))


def test_a_runner_gives_up_when_its_lease_is_over(script: Script) -> None:
    moments = iter(range(0, 1000, 10))
    runner = RemoteRunner(
        script.url, "att-1", "t", sleep=lambda _: None, monotonic=lambda: float(next(moments))
    )
    script.answers = [None, None, None]
    with pytest.raises(Unavailable):
        runner.missing([])
    assert len(script.seen) == 2
    runner.close()


def test_a_runner_whose_heartbeats_are_answered_goes_on_trying(script: Script) -> None:
    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += 10
        runner.heartbeat()

    runner = RemoteRunner(script.url, "att-1", "t", sleep=sleep, monotonic=lambda: now[0])
    beat = (200, {"command": "continue"})
    script.answers = [None, beat, None, beat, None, beat, (200, [])]
    assert runner.missing([]) == []
    script.answers = [None, beat] * 29 + [None] * 2
    with pytest.raises(Unavailable):
        runner.missing([])
    runner.close()


def test_large_uploads_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[Any] = []
    runner = RemoteRunner("http://127.0.0.1:9", "att-1", "t")
    monkeypatch.setattr(runner._link, "call", lambda *_, **given: allowed.append(given["timeout"].read))
    runner.put_blob("d" * 64, bytes(5_000_000))
    runner.close()
    assert allowed == [31]


@pytest.mark.parametrize("run", ["run-1/cancel?x=", "../../../../hub/api/users/ada/tokens?", "run#1"])
def test_an_id_never_leads_elsewhere(script: Script, service: RemoteService, run: str) -> None:
    script.answers = [(404, {"detail": "no such run"}), (404, {"detail": "no such schedule"})]
    with pytest.raises(RespawnError):
        service.show(run)
    with pytest.raises(RespawnError):
        service.unschedule(run)
    quoted = quote(run, safe="")
    assert [path for _, path, _ in script.seen] == [f"/api/v1/runs/{quoted}", f"/api/v1/schedules/{quoted}"]


@pytest.mark.parametrize("run", ["", ".", ".."])
def test_what_is_no_id_is_not_asked_for(script: Script, service: RemoteService, run: str) -> None:
    with pytest.raises(InvalidInput):
        service.show(run)
    assert script.seen == []


@pytest.mark.parametrize("job", ["user/ada/../../tokens", "user//report", "user/ada/.", "/report"])
def test_a_reference_to_a_job_never_leads_elsewhere(script: Script, service: RemoteService, job: str) -> None:
    with pytest.raises(InvalidInput):
        service.job(job)
    assert script.seen == []


def test_fields_that_a_newer_service_adds_are_passed_over(
    script: Script, service: RemoteService, runner: RemoteRunner
) -> None:
    at = "2026-03-01T03:00:00Z"
    hook = {"id": "hok-1", "job": "user/ada/report", "created_by": "ada", "created_at": at}
    limit = {"kind": "queue", "name": "night", "max_running": 2, "set_by": "root", "set_at": at}
    script.answers = [
        (200, {"hook": {**hook, "colour": "red"}, "secret": "s", "rotated": []}),
        (200, [{**limit, "since": None}]),
        (200, {"command": "cancel", "reason": "a person asked"}),
    ]
    assert service.rotate("hok-1").hook.id == "hok-1"
    assert [one.max_running for one in service.limits()] == [2]
    assert runner.heartbeat().command == "cancel"


LIMIT = {
    "kind": "queue",
    "name": "night",
    "max_running": 2,
    "set_by": "root",
    "set_at": "2026-03-01T03:00:00Z",
}
RUN = {
    "id": "run-0000000001", "job": "user/ada/report", "version": 1, "kernel": "python3", "state": "running",
    "created_by": "ada", "created_at": "2026-03-01T03:00:00Z", "cells_total": 2, "cells_done": 1,
}  # fmt: skip
NEWER = RUN | {
    "id": "run-0000000002",
    "state": "hibernated",
    "trigger": "comet",
    "waiting": "sleeps until spring",
}


def test_a_value_of_an_enumeration_that_a_newer_service_has_is_unknown(
    script: Script, service: RemoteService, runner: RemoteRunner
) -> None:
    script.answers = [
        (200, [LIMIT, LIMIT | {"kind": "planet"}]),
        (200, [RUN, NEWER]),
        (200, {"command": "nap"}),
    ]
    assert [one.kind for one in service.limits()] == ["queue", "unknown"]
    assert [(run.state, run.trigger) for run in service.runs()] == [
        ("running", "person"),
        ("unknown", "unknown"),
    ]
    assert runner.heartbeat().command == "unknown"


def test_an_answer_that_cannot_be_read_is_told_with_what_to_do(
    script: Script, service: RemoteService
) -> None:
    limit = LIMIT | {"max_running": "many"}
    script.answers = [(200, [limit]), (200, [limit])]
    for call in (
        service.limits,
        lambda: service.limit(LimitRequest(kind="queue", name="night", max_running=2)),
    ):
        with pytest.raises(
            RespawnError,
            match=r"a Limit that cannot be read here: `(0\.)?max_running` must be .* update Respawn",
        ):
            call()


@pytest.mark.parametrize("document", ["<html>the proxy's page</html>", "", "{}", "null", '[{"kind": "queue"'])
def test_an_answer_that_is_no_list_is_told_with_what_to_do(
    script: Script, service: RemoteService, document: str
) -> None:
    script.answers = [(200, document.encode())]
    with pytest.raises(RespawnError, match=r"the service answered a Limit that cannot be read here"):
        service.limits()


@pytest.fixture
def at_service(script: Script, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Let commands ask the scripted service."""
    monkeypatch.setenv("RESPAWN_URL", script.url)
    monkeypatch.setenv("RESPAWN_TOKEN", "a-token")
    return script


def test_the_command_lists_a_run_of_an_unknown_state_among_others(at_service: Script, command: Any) -> None:
    at_service.answers = [(200, [NEWER, RUN]), (200, [NEWER, RUN])]
    status, out, _ = command("runs")
    first, second = out.splitlines()[1:]
    assert (status, first.split()[:3]) == (0, ["run-0000000002", "user/ada/report", "unknown"])
    assert "sleeps until spring" in first
    assert second.split()[:3] == ["run-0000000001", "user/ada/report", "running"]
    status, out, _ = command("runs", "--json")
    assert [run["state"] for run in json.loads(out)] == ["unknown", "running"]


def test_the_command_shows_a_run_of_an_unknown_state(at_service: Script, command: Any) -> None:
    cell = {"index": 0, "cell_id": "a", "state": "dreaming", "source_hash": "0"}
    attempt = {"id": "att-1", "number": 1, "state": "hibernated", "executor": "local", "cause": "winter"}
    detail = {"run": NEWER, "cells": [cell], "attempts": [attempt | {"note": "until spring"}]}
    at_service.answers = [(200, detail), (200, [])]
    status, out, _ = command("show", NEWER["id"])
    assert status == 0
    assert "state       unknown\n" in out
    assert "(unknown)" in out, "its trigger"
    assert out.splitlines()[-4].split()[:2] == ["0", "unknown"]
    assert out.splitlines()[-1].split()[:3] == ["1", "unknown", "unknown"]


def test_the_command_waits_until_a_run_has_ended_in_a_state_that_is_unknown(
    at_service: Script, command: Any
) -> None:
    at_service.answers = [
        (200, {"run": NEWER}),
        (200, {"run": NEWER | {"finished_at": "2026-03-01T04:00:00Z"}}),
    ]
    status, _, _ = command("logs", "--follow", NEWER["id"])
    assert (status, len(at_service.seen)) == (0, 2)


def test_nobody_asks_for_runs_of_an_unknown_state(at_service: Script, command: Any) -> None:
    status, _, error = command("runs", "--state", "unknown")
    assert status == 2
    assert "'unknown' is not a state; the states are queued, running, suspended" in error
    assert at_service.seen == []
