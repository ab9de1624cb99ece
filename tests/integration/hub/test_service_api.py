"""The service's API on a real hub: who may call it, and what runs by it."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import psutil
import pytest

from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest, ScheduleRequest
from respawn_jobs.api.versions import ScheduleChange
from respawn_jobs.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from respawn_jobs.model.runs import CellState, Run, RunState
from respawn_jobs.remote.client import RemoteService
from support.hub import RunningHub
from support.notebooks import notebook, text
from support.processes import command_of
from support.waiting import wait_for

from .conftest import FIXED, GOOD, ended

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def every_minute(ada: RemoteService) -> datetime:
    """A job that is due every minute; scheduled before the other tests, looked at by the last one."""
    ada.promote(Promotion(name="every-minute", notebook=GOOD))
    schedule = ada.schedule(ScheduleRequest(job="every-minute", cron="* * * * *", tz="UTC"))
    assert schedule.next_due is not None
    return schedule.next_due


@pytest.mark.long
def test_a_token_stands_for_its_person(ada: RemoteService, bob: RemoteService) -> None:
    assert (ada.whoami(), bob.whoami()) == ("ada", "bob")


@pytest.mark.long
@pytest.mark.parametrize("headers", [{}, {"Authorization": "token wrong"}, {"Authorization": "Basic YTpi"}])
def test_without_a_valid_token_nothing_is_told(hub: RunningHub, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{hub.service_url}/api/v1/jobs", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"] == "unauthenticated"


def test_a_wrong_token_is_a_clear_error(hub: RunningHub) -> None:
    service = RemoteService(hub.service_url, "wrong")
    with pytest.raises(Unauthenticated):
        service.jobs()
    service.close()


def test_a_run_by_api_token_needs_no_server_of_its_owner(
    hub: RunningHub, ada: RemoteService, succeeded: Run
) -> None:
    detail = ada.show(succeeded.id)

    assert [cell.state for cell in detail.cells] == [CellState.EXECUTED, CellState.EXECUTED]
    assert ada.outputs(succeeded.id, 0)[0]["text"] == "hello\n"
    assert not hub.has_server("ada")


def test_lists_leave_tracebacks_out_and_a_run_has_its_own(ada: RemoteService, failed: Run) -> None:
    listed = next(run for run in ada.runs(job="fails") if run.id == failed.id)
    job = next(job for job in ada.jobs() if job.ref == "user/ada/fails")
    shown = ada.show(failed.id).run

    assert listed.error is not None
    assert (listed.error.value, listed.error.traceback) == ("no such column", "")
    assert job.last_run is not None
    assert job.last_run.error is None or job.last_run.error.traceback == ""
    assert shown.error is not None
    assert "no such column" in shown.error.traceback


def test_the_run_of_another_is_refused_by_name(bob: RemoteService, failed: Run) -> None:
    for ask in (bob.show, bob.notebook, bob.debug, bob.cancel):
        with pytest.raises(Forbidden, match=rf"{failed.id} belongs to user/ada; you are bob"):
            ask(failed.id)
    with pytest.raises(Forbidden):
        bob.resume(failed.id, ResumeRequest())


def test_a_team_is_its_groups(hub: RunningHub, ada: RemoteService, bob: RemoteService) -> None:
    ada.promote(Promotion(name="limits", namespace="team/risk", notebook=GOOD))

    assert "team/risk/limits" in [job.ref for job in ada.jobs()]
    assert bob.jobs() == []
    with pytest.raises(Forbidden, match="team/risk"):
        bob.promote(Promotion(name="limits", namespace="team/risk", notebook=GOOD))


def test_an_administrator_sees_everything_and_the_audit(hub: RunningHub, failed: Run) -> None:
    root = hub.service("root")

    assert root.show(failed.id).run.id == failed.id
    assert {"promote", "run"} <= {record.action for record in root.audit()}


def test_a_token_with_less_scopes_can_do_less(hub: RunningHub, ada: RemoteService, succeeded: Run) -> None:
    answer = hub.hub_api(
        "POST",
        "/users/ada/tokens",
        json={"scopes": ["access:services!service=respawn", "custom:respawn:read!user=ada"]},
    )
    reader = RemoteService(hub.service_url, answer.json()["token"])

    assert reader.show(succeeded.id).run.id == succeeded.id
    with pytest.raises(Forbidden, match="custom:respawn:run"):
        reader.run(RunRequest(job="works"))
    reader.close()


def test_a_token_without_access_to_the_service_is_refused(hub: RunningHub) -> None:
    answer = hub.hub_api("POST", "/users/ada/tokens", json={"scopes": ["read:users:name!user=ada"]})
    service = RemoteService(hub.service_url, answer.json()["token"])

    with pytest.raises(Forbidden, match="no access to Respawn"):
        service.whoami()
    service.close()


def test_a_resume_reuses_what_was_done_and_happens_once(ada: RemoteService, failed: Run) -> None:
    resumed = ended(ada, ada.resume(failed.id, ResumeRequest(notebook=FIXED)).id)
    states = [cell.state for cell in ada.show(resumed.id).cells]

    assert resumed.state is RunState.SUCCEEDED
    assert states == [CellState.REUSED, CellState.REUSED, CellState.EXECUTED]
    assert ada.outputs(resumed.id, 2)[0]["text"] == "42\n"
    with pytest.raises(Conflict, match=resumed.id):
        ada.resume(failed.id, ResumeRequest(notebook=FIXED))


@pytest.mark.long
def test_a_killed_runner_is_lost_within_the_lease_and_resumes(hub: RunningHub, ada: RemoteService) -> None:
    source = notebook(
        "import os; print(os.getppid()); x = 20",
        "import time, pathlib\nif not pathlib.Path('go').exists(): time.sleep(600)",
        "x",
    )
    ada.promote(Promotion(name="killed", notebook=text(source), directory=str(hub.directory)))
    run = ada.run(RunRequest(job="killed"))
    wait_for(lambda: ada.show(run.id).run.cells_done == 1, 60, "the first cell")

    # Others may be at work for schedules: this one's kernel says whose child it is.
    runner = psutil.Process(int(ada.outputs(run.id, 0)[0]["text"]))
    assert "respawn_jobs.runner.worker" in command_of(runner)
    runner.kill()
    lost = ended(ada, run.id, timeout=20)

    assert lost.state is RunState.LOST
    assert ada.show(run.id).cells[0].state is CellState.EXECUTED
    (hub.directory / "go").touch()
    resumed = ended(ada, ada.resume(run.id, ResumeRequest()).id)
    assert resumed.state is RunState.SUCCEEDED
    assert ada.outputs(resumed.id, 2)[0]["data"]["text/plain"] == "20"


def test_a_running_run_is_cancelled(ada: RemoteService) -> None:
    ada.promote(Promotion(name="long", notebook=text(notebook("import time\ntime.sleep(600)"))))
    run = ada.run(RunRequest(job="long"))
    wait_for(lambda: ada.show(run.id).run.state is RunState.RUNNING, 60, "the run to start")
    ada.cancel(run.id)

    assert ended(ada, run.id).state is RunState.CANCELLED


def test_bad_input_is_told_over_http_as_it_is(hub: RunningHub, ada: RemoteService, succeeded: Run) -> None:
    with pytest.raises(InvalidInput, match="Nowhere/City"):
        ada.preview("0 3 * * *", "Nowhere/City")
    with pytest.raises(InvalidInput, match="30 2"):
        ada.preview("0 0 30 2 *", "UTC")
    with pytest.raises(InvalidInput, match="no-such-kernel"):
        ada.promote(Promotion(name="x", notebook=GOOD, kernel="no-such-kernel"))
    with pytest.raises(NotFound, match="run-nope"):
        ada.show("run-nope")
    with pytest.raises(Conflict, match="succeeded"):
        ada.debug(succeeded.id)
    headers = {"Authorization": f"token {hub.token('ada')}"}
    answer = httpx.post(f"{hub.service_url}/api/v1/runs", headers=headers, json={"jobb": "x"})
    assert answer.status_code == 422
    assert "jobb" in answer.json()["message"]


def test_a_promotion_is_weighed_and_versions_are_compared_over_http(
    hub: RunningHub, ada: RemoteService
) -> None:
    first = Promotion(name="weighed", notebook=text(notebook("a = 1")), source="/srv/ada/weighed.ipynb")
    second = first.model_copy(update={"notebook": text(notebook("a = 2")), "source": "/srv/ada/b.ipynb"})
    ada.promote(first)
    told = ada.preview_promotion(second)
    assert (told.outcome, told.version, told.current) == ("new_version", 2, 1)
    with pytest.raises(Conflict, match="take the job over") as refused:
        ada.promote(second)
    assert [question["code"] for question in refused.value.fields["questions"]] == ["take_over"]
    with pytest.raises(Conflict, match="you saw no job"):
        ada.promote(second.model_copy(update={"seen": 0}))
    ada.promote(second.model_copy(update={"seen": 1, "agreed": ["take_over"]}))
    assert ada.version_notebook("weighed", 1) == first.notebook
    compared = ada.compare_versions("weighed", 1, 2)
    assert [(line.kind, line.text) for line in compared.cells[0].lines] == [
        ("removed", "a = 1"),
        ("added", "a = 2"),
    ]
    headers = {"Authorization": f"token {hub.token('ada')}"}
    again = second.model_dump(mode="json")
    assert httpx.post(f"{hub.service_url}/api/v1/versions", json=again, headers=headers).status_code == 200


def test_a_schedule_is_changed_and_not_doubled_over_http(ada: RemoteService) -> None:
    ada.promote(Promotion(name="yearly", notebook=GOOD))
    request = ScheduleRequest(job="yearly", cron="0 0 1 1 *", tz="UTC")
    made = ada.schedule(request)
    with pytest.raises(Conflict, match=made.id):
        ada.schedule(request)
    changed = ada.change_schedule(made.id, ScheduleChange(cron="0 0 2 1 *", tz="Europe/Berlin"))
    assert (changed.cron, changed.tz, changed.paused) == ("0 0 2 1 *", "Europe/Berlin", False)


def test_the_openapi_document_tells_every_route(hub: RunningHub) -> None:
    paths = httpx.get(f"{hub.service_url}/api/v1/openapi.json").json()["paths"]

    assert {"/services/respawn/api/v1/runs", "/services/respawn/runner/{attempt}/claim"} <= set(paths)
    assert not [path for path in paths if path.endswith("/jobs/{kind}/{owner}/{name}")]


@pytest.mark.long
def test_runner_routes_refuse_people(hub: RunningHub) -> None:
    for headers in ({}, {"Authorization": f"Bearer {hub.token('ada')}"}):
        answer = httpx.post(f"{hub.service_url}/runner/att-0000000000/claim", headers=headers)
        assert answer.status_code in (401, 403, 404, 410)


@pytest.mark.long
def test_zz_a_job_due_every_minute_ran_for_an_owner_who_is_signed_out(
    hub: RunningHub, ada: RemoteService, every_minute: datetime
) -> None:
    def ran() -> Run | None:
        done = [run for run in ada.runs(job="every-minute") if run.due_at == every_minute]
        return done[0] if done and done[0].state.final else None

    run = wait_for(ran, 90, "the run that was due")

    assert run.state is RunState.SUCCEEDED
    assert run.trigger == "schedule"
    assert run.started_at is not None
    assert (run.started_at - every_minute).total_seconds() < 10
    assert every_minute <= datetime.now(UTC)
    assert not hub.has_server("ada")
