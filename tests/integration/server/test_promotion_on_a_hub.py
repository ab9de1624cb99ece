"""Making a notebook of one's own server a job."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from nbformat import v4

from support.hub import RunningHub
from support.servers import Server

pytestmark = pytest.mark.integration

PATH = "My Report.ipynb"
JOB = "user/ada/my-report"


@pytest.fixture(autouse=True)
def notebook(server: Server) -> None:
    cell = v4.new_code_cell(
        "year: int = 2026  # of the report\nregion: str", metadata={"tags": ["parameters"]}
    )
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=[cell], metadata=spec), server.home / PATH)


def body(**schedule: Any) -> dict[str, Any]:
    return {
        "path": PATH,
        "name": "my-report",
        "schedule": {"cron": "0 3 * * *", "tz": "Europe/Berlin", **schedule},
    }


def test_notebook_says_what_it_would_be_as_a_job(server: Server) -> None:
    seen = server.call("GET", "respawn/api/inspect", params={"path": PATH}).json()
    assert (seen["name"], seen["namespace"], seen["kernel"]) == ("my-report", "user/ada", "python3")
    parameters = [(p["name"], p["type"], p["default"], p["required"]) for p in seen["parameters"]]
    assert parameters == [("year", "int", 2026, False), ("region", "str", None, True)]


def test_the_job_that_a_file_is_already_is_what_the_dialog_proposes(server: Server) -> None:
    path = "of-many-names.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = v4.new_notebook(cells=[v4.new_code_cell("a = 1")], metadata=kernel)
    nbformat.write(notebook, server.home / path)

    def proposed() -> str:
        return str(server.call("GET", "respawn/api/inspect", params={"path": path}).json()["name"])

    assert proposed() == "of-many-names"
    for name in ("first-name", "second-name"):
        answer = server.call("POST", "respawn/api/promote", json={"path": path, "name": name})
        assert answer.status_code == 201, answer.text
        assert proposed() == name


@pytest.mark.parametrize(
    ("schedule", "named"),
    [
        ({"tz": "Mars/Base", "parameters": {"region": "north"}}, "Mars/Base"),
        ({"cron": "0 3 30 2 *", "parameters": {"region": "north"}}, "0 3 30 2 *"),
        ({}, "'region' is required"),
        ({"parameters": {"region": "north", "year": "soon"}}, "'year': expected int"),
        ({"parameters": {"region": "north", "yaer": "1"}}, "yaer"),
    ],
)
def test_schedule_that_cannot_be_leaves_nothing_promoted(
    server: Server, hub: RunningHub, schedule: dict[str, Any], named: str
) -> None:
    refused = server.call("POST", "respawn/api/promote", json={**body(**schedule), "name": "never"})
    assert (refused.status_code, named in refused.json()["message"]) == (422, True), refused.text
    assert "never" not in [job.name for job in hub.service("ada").jobs()]


def test_notebook_is_promoted_with_a_schedule_and_typed_values(server: Server, hub: RunningHub) -> None:
    answer = server.call("POST", "respawn/api/promote", json=body(parameters={"region": "7", "year": "2027"}))
    assert answer.status_code == 201, answer.text
    assert answer.json()["url"] == f"{hub.service_url}/jobs/{JOB}"
    (schedule,) = hub.service("ada").job(JOB).schedules
    assert (schedule.cron, schedule.tz) == ("0 3 * * *", "Europe/Berlin")
    assert schedule.parameters == {"region": "7", "year": 2027}
    assert hub.service("ada").versions(JOB)[0].directory == str(server.home)


def test_namespace_that_is_not_ones_own_is_refused(server: Server) -> None:
    answer = server.call(
        "POST", "respawn/api/promote", json={"path": PATH, "name": "x", "namespace": "user/bob"}
    )
    assert answer.status_code == 403
    assert "user/bob" in answer.json()["message"]
