"""Every operation of `Service`, held against the ledger in-process and the service over HTTP.

One script plays on two stores that are alike: in-process on one, over HTTP on the other. What each operation
answers or refuses must be the same, but for ids, secrets and addresses.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from respawn_hub.auth import dependencies
from respawn_hub.hub.client import HubUser
from respawn_jobs.access import Actor
from respawn_jobs.api.backfills import BackfillRequest
from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.api.history import ImportRequest, OrphanRequest
from respawn_jobs.api.queueing import LimitRequest
from respawn_jobs.api.service import (
    Promotion,
    ResumeRequest,
    RunRequest,
    ScheduleRequest,
    SeenRun,
    Service,
)
from respawn_jobs.api.triggers import DependencyRequest, HookRequest, SensorRequest
from respawn_jobs.api.versions import CurrentRequest, JobChange, ScheduleChange
from respawn_jobs.blobs.inbox import Inbox
from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from respawn_jobs.remote.client import RemoteService
from support.notebooks import notebook, text
from support.runners import PlayedRunner, fail_third_cell
from support.service import served

pytestmark = pytest.mark.integration

_ID = re.compile(r"\b(?:[a-z]{3,4}-[0-9a-z]{10}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){0,3})\b")
"""Of things, of bytes (some hold ids of cells), and of cells."""


class Clock:
    """A clock that stands while an operation works, so that both stores keep the same times."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Witness:
    """A service that notes what each operation answered or refused."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self.noted: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self._service, name)

        def noting(*given: Any, **named: Any) -> Any:
            self._clock.now += timedelta(seconds=1)
            try:
                answer = operation(*given, **named)
            except RespawnError as error:
                self.noted.append((name, (type(error).__name__, error.message)))
                return None
            self.noted.append((name, _document(answer)))
            return answer

        return noting


def _document(answer: Any) -> Any:
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json")
    if isinstance(answer, list):
        return [_document(item) for item in answer]
    return answer.decode("latin-1") if isinstance(answer, bytes) else str(answer)


def operations() -> set[str]:
    """Return the names of all operations that `Service` promises."""
    parts = [part for part in Service.__mro__ if part.__module__.startswith("respawn_jobs.")]
    return {name for part in parts for name in vars(part) if not name.startswith("_")}


@cache
def source(*more: str) -> str:
    return text(notebook("x = rows", "print(x)", "raise KeyError('price')", *more, parameters="rows = 1"))


def play(service: Any, ledger: Ledger, scratch: Path) -> None:
    """Call every operation, in ways that are answered and in ways that are refused."""
    runs = _play_jobs_and_runs(service, ledger)
    _play_versions(service)
    _play_triggers(service)
    _play_history(service, runs, scratch)
    _play_administration(service)
    service.close()


def _play_jobs_and_runs(service: Any, ledger: Ledger) -> list[str]:
    service.whoami(), service.kernels(), service.profiles(), service.environments()
    service.preview_promotion(Promotion(name="report", notebook=source()))
    version = service.promote(Promotion(name="report", notebook=source()))
    service.promote(Promotion(name="report", notebook="{}"))
    service.jobs()
    service.job("report"), service.job(version.job), service.job("nothing")
    service.versions("report"), service.versions("nothing")
    failed = fail_third_cell(ledger, service.run(RunRequest(job="report", parameters={"rows": 3})))
    service.run(RunRequest(job="report", parameters={"colour": "red"}))
    service.runs(job="report", states=[RunState.FAILED], limit=5, before=datetime(2026, 3, 3, tzinfo=UTC))
    service.runs(job="report", version=1), service.runs(before="run-none")
    detail = service.show(failed.id)
    service.show("run-none")
    service.outputs(failed.id, 1), service.outputs(failed.id, 99)
    service.notebook(failed.id)
    service.debug(failed.id), service.debug("run-none")
    service.blob(failed.id, detail.cells[1].outputs), service.blob(failed.id, "0" * 64)
    service.artifacts(failed.id), service.files(failed.id), service.files("run-none")
    service.readers(failed.id), service.readers("run-none")
    service.cell_grid("report"), service.cell_grid("nothing"), service.cell_grid("report", 1, "run-none")
    service.differences(failed.id), service.differences("run-none")
    service.plan(failed.id, ResumeRequest(parameters={"rows": 4}))
    resumed = service.resume(failed.id, ResumeRequest())
    service.resume(failed.id, ResumeRequest())
    service.cancel(resumed.id, SeenRun(revision=99)), service.cancel(resumed.id)
    service.retry(failed.id, SeenRun(revision=0)), service.retry(resumed.id)
    restarted = service.restart(failed.id, ResumeRequest(notebook=source("y = 2")))
    runner = PlayedRunner(ledger, restarted.id)
    service.request_state(restarted.id), service.request_state(failed.id)
    runner.succeed()
    return [failed.id, restarted.id]


def _play_versions(service: Any) -> None:
    service.version_notebook("report", 1), service.version_notebook("report", 9)
    service.compare_versions("report", 1, 2), service.compare_versions("report", 1, 9)
    carried = [NewFile.of("lib/helpers.py", b"x = 1\n", modified=1), NewFile.of("rates.csv", b"1\n")]
    service.preview_promotion(Promotion(name="carries", notebook=source(), files=carried))
    for files in (carried, carried[:1], None):
        service.promote(Promotion(name="carries", notebook=source(), files=files))
    service.promote(Promotion(name="carries", notebook=source(), files=[NewFile.of("../up", b"")]))
    service.compare_versions("carries", 1, 2), service.compare_versions("carries", 2, 3)
    service.version_file("carries", 1, "lib/helpers.py"), service.version_file("carries", 2, "rates.csv")
    service.make_current("report", CurrentRequest(version=1, seen=7))
    service.make_current("report", CurrentRequest(version=1, seen=2))
    service.configure("report", {"priority": 3}), service.configure("report", {"priority": "high"})
    service.promote(Promotion(name="attic", notebook=source()))
    service.promote(Promotion(name="attic", notebook=source("z = 1")))
    service.remove_version("attic", 1), service.remove_version("attic", 2)
    service.change_job("attic", JobChange(name="loft"))
    service.remove_job("loft")
    service.change_job("loft", JobChange(archived=True))
    service.jobs(archived=True)
    service.remove_job("loft"), service.job("loft")


def _play_triggers(service: Any) -> None:
    service.promote(Promotion(name="downstream", notebook=source("after = True")))
    daily = service.schedule(ScheduleRequest(job="report", cron="0 3 * * *", tz="Europe/Berlin"))
    service.schedule(ScheduleRequest(job="report", cron="every day", tz="UTC"))
    service.preview("0 3 * * *", "Europe/Berlin", 3), service.preview("0 3 * * *", "UTC", 100)
    service.preview("0 3 * * *", "Mars/Olympus", 3)
    service.change_schedule(daily.id, ScheduleChange(parameters={"rows": 5}))
    service.pause(daily.id, paused=True), service.pause("sch-none", paused=True)
    service.unschedule(daily.id), service.unschedule(daily.id)
    service.set_dependency(DependencyRequest(job="downstream", upstream=["report"]))
    service.set_dependency(DependencyRequest(job="report", upstream=["downstream"]))
    service.pause_dependency("downstream", paused=True)
    service.graph(), service.graph("user/nobody", archived=True)
    hook = service.hook(HookRequest(job="report", accepts=["rows"]))
    service.rotate(hook.hook.id), service.rotate("hok-none")
    sensor = service.add_sensor(SensorRequest(job="report", prefix="in", parameter="rows"))
    service.triggers("report"), service.triggers("downstream")
    service.unhook(hook.hook.id), service.unhook(hook.hook.id)
    service.remove_sensor(sensor.id), service.remove_sensor("sen-none")
    service.remove_dependency("downstream"), service.remove_dependency("downstream")
    dates = BackfillRequest(job="report", start=date(2026, 2, 1), end=date(2026, 2, 3), every="day")
    service.preview_backfill(dates)
    started = service.backfill(dates)
    service.backfill(BackfillRequest(job="report"))
    service.backfills("report", limit=5)
    service.show_backfill(started.id), service.show_backfill("bfl-none")
    service.stop_backfill(started.id, cancel=True)


def _play_history(service: Any, runs: list[str], scratch: Path) -> None:
    failed, succeeded = runs
    service.pin(succeeded, pinned=True), service.pin("run-none", pinned=True)
    service.remove_run(succeeded)
    archive = scratch / "archive.zip"
    service.export_run(failed, archive), service.export_run("run-none", scratch / "none.zip")
    service.import_run(archive, ImportRequest(namespace="user/ada", job="imported"))
    broken = scratch / "broken.zip"
    broken.write_bytes(b"no archive")
    service.import_run(broken, ImportRequest(job="imported"))
    service.pin(succeeded, pinned=False), service.remove_run(succeeded), service.show(succeeded)


def _play_administration(service: Any) -> None:
    service.limit(LimitRequest(kind="queue", name="night", max_running=2))
    service.limit(LimitRequest(kind="queue", name="", max_running=2))
    service.limits(), service.usage(), service.replicas()
    service.collect(), service.orphans(OrphanRequest())
    service.namespaces()
    service.move("user/ada", "team/risk"), service.jobs("team/risk")
    service.retire("team/risk"), service.retire("team/none")
    service.audit(limit=500)


def _ledger(root: Path, clock: Clock) -> Ledger:
    inbox = root / "inbox"
    inbox.mkdir(parents=True)
    ledger = Ledger.embedded(root / "data", clock=clock)
    ledger.context.inbox = Inbox(inbox.as_uri())
    return ledger


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Any]]:
    root = tmp_path_factory.mktemp("in-process")
    ledger = _ledger(root, clock := Clock())
    witness = Witness(ledger.as_actor(Actor.owner("ada")), clock)
    play(witness, ledger, root)
    ledger.close()
    return witness.noted


@pytest.fixture(scope="module")
def over_http(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Any]]:
    async def hub_user(*_: object, **_options: object) -> HubUser:
        scopes = frozenset({"custom:respawn:admin"})
        return HubUser(name="ada", kind="user", scopes=scopes, groups=frozenset())

    root = tmp_path_factory.mktemp("over-http")
    ledger = _ledger(root, clock := Clock())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dependencies, "hub_user", hub_user)  # whose the token is; all behind it is real
        with served(ledger, root) as url:
            witness = Witness(RemoteService(url, "token"), clock)
            play(witness, ledger, root)
    ledger.close()
    return witness.noted


def test_the_script_plays_every_operation_and_most_are_also_refused(
    in_process: list[tuple[str, Any]],
) -> None:
    answered = {name for name, answer in in_process if not isinstance(answer, tuple)}
    assert operations() - answered == set(), "call the operation in `play`, so that both forms are compared"


def test_both_forms_answer_and_refuse_alike(
    in_process: list[tuple[str, Any]], over_http: list[tuple[str, Any]]
) -> None:
    assert [name for name, _ in in_process] == [name for name, _ in over_http]
    different = [
        "\n".join(
            difflib.unified_diff(one.splitlines(), other.splitlines(), f"{name} in-process", "over HTTP")
        )
        for name, one, other in zip(
            (n for n, _ in in_process), _alike(in_process), _alike(over_http), strict=True
        )
        if one != other
    ]
    assert not different, "\n\n".join(different)


def _alike(noted: list[tuple[str, Any]]) -> list[str]:
    """Replace what differs between stores by what it stands for: ids by their order, secrets, addresses."""
    seen: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        return seen.setdefault(match.group(), f"<{len(seen)}>")

    plain = []
    for _, answer in noted:
        written = _ID.sub(named, json.dumps(answer, sort_keys=True, indent=1, default=str))
        written = re.sub(r'"(secret|url|address|link|hash|before)": ("[^"]*"|null)', r'"\1": …', written)
        # Kernels of other tests may start meanwhile on this machine.
        written = re.sub(r'"(warm|last_used)": ("[^"]*"|null|true|false)', r'"\1": …', written)
        written = re.sub(r"/[^\" ]*/(in-process|over-http)[0-9]*/", "ROOT/", written)
        plain.append(written)
    return plain
