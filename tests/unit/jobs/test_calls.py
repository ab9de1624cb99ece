"""What the client's calls send and how it reads answers, as the operations declare them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from respawn_jobs.api.history import LONG_SECONDS
from respawn_jobs.api.service import SeenRun
from respawn_jobs.api.versions import JobChange
from respawn_jobs.errors import InvalidInput, RespawnError
from respawn_jobs.model.runs import RunState
from respawn_jobs.remote.client import RemoteService


class Played:
    """In place of a connection: notes each call, and gives one answer."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.answer = b"[]"

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        self.calls.append((method, path, arguments))
        return httpx.Response(200, content=self.answer)


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def service(played: Played) -> RemoteService:
    service = RemoteService.__new__(RemoteService)
    service._link = played  # type: ignore[assignment]
    return service


def test_names_of_jobs_stay_below_their_place_in_the_path(service: RemoteService, played: Played) -> None:
    played.answer = b"{}"
    for name, path in (("team/a b", "jobs/team/a%20b"), ("50%?#", "jobs/50%25%3F%23")):
        service.remove_job(name)
        assert played.calls.pop() == ("DELETE", path, {})
    for name in ("", "..", "user/../x"):
        with pytest.raises(InvalidInput):
            service.remove_job(name)
    with pytest.raises(InvalidInput):
        service.unhook("")
    service.unhook("a/b")
    assert played.calls == [("DELETE", "webhooks/a%2Fb", {})]


def test_a_query_has_what_was_given_and_leaves_out_what_was_not(
    service: RemoteService, played: Played
) -> None:
    service.jobs(), service.jobs("user/ada", archived=True), service.backfills(limit=0)
    assert [arguments for _, _, arguments in played.calls] == [
        {},
        {"params": {"namespace": "user/ada", "archived": True}},
        {"params": {"limit": 0}},
    ]


def test_times_and_states_are_sent_as_texts(service: RemoteService, played: Played) -> None:
    service.runs(states=[RunState.FAILED, RunState.LOST], before=datetime(2026, 3, 3, tzinfo=UTC))
    expected = {"state": ["failed", "lost"], "before": "2026-03-03T00:00:00+00:00", "limit": 50}
    assert played.calls == [("GET", "runs", {"params": expected})]


def test_a_body_is_a_model_or_made_of_single_arguments(service: RemoteService, played: Played) -> None:
    def sent() -> Any:
        arguments = played.calls.pop()[2]
        return arguments.get("content", arguments.get("json")), arguments.get("params")

    for call, expected in (
        (lambda: service.change_job("a", JobChange(name="b")), ('{"name":"b","archived":null}', None)),
        (lambda: service.cancel("run-1"), (None, None)),
        (lambda: service.cancel("run-1", SeenRun(revision=3)), ('{"revision":3}', None)),
        (lambda: service.configure("a", {"priority": None}), ({"priority": None}, {"job": "a"})),
        (lambda: service.pause_dependency("a", paused=False), ('{"paused":false}', {"job": "a"})),
        (lambda: service.move("user/a", "team/b"), ('{"namespace":"user/a","new":"team/b"}', None)),
    ):
        with pytest.raises(RespawnError, match="cannot be read here"):
            call()
        assert sent() == expected


def test_answers_are_what_the_interface_promises(service: RemoteService, played: Played) -> None:
    assert service.kernels() == []
    assert service.unhook("hok-1") is None
    played.answer = "é".encode()
    assert service.blob("run-1", "0") == played.answer
    assert service.notebook("run-1") == "é"
    played.answer = b'["2026-03-03T00:00:00+01:00"]'
    assert [time.isoformat() for time in service.preview("* * * * *", "Europe/Berlin")] == [
        "2026-03-03T00:00:00+01:00"
    ]
    played.answer = b'["never"]'
    with pytest.raises(RespawnError, match="cannot be read here"):
        service.preview("* * * * *", "UTC")


def test_a_long_answer_is_waited_for(service: RemoteService, played: Played) -> None:
    played.answer = b'{"removed": 2, "of a newer service": 1}'
    assert service.collect().removed == 2
    assert played.calls == [("POST", "blobs/collect", {"timeout": LONG_SECONDS})]


def test_wrong_arguments_are_refused_before_anything_is_sent(service: RemoteService, played: Played) -> None:
    with pytest.raises(TypeError):
        service.jobs("user/ada", True)  # type: ignore[misc]
    with pytest.raises(TypeError):
        service.hook()  # type: ignore[call-arg]
    assert played.calls == []
