"""What the HTTP clients make of answers, of silence, and of answers that get lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from respawn_jobs.errors import Conflict, Fenced, InvalidInput, RespawnError, Unauthenticated, Unavailable
from respawn_jobs.protocol import Outcome
from respawn_jobs.remote import RemoteRunner, RemoteService
from respawn_jobs.service import RunRequest


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
    assert [path for _, path, _ in script.seen] == [f"/api/runs/{quoted}", f"/api/schedules/{quoted}"]


@pytest.mark.parametrize("run", ["", ".", ".."])
def test_what_is_no_id_is_not_asked_for(script: Script, service: RemoteService, run: str) -> None:
    with pytest.raises(InvalidInput):
        service.show(run)
    assert script.seen == []
