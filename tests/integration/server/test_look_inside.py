"""A look into a run that goes on: its state before the cell that runs, in a notebook of its own."""

from __future__ import annotations

import json

import nbformat
import pytest

from respawn_jobs.api.service import JobSettings, Promotion, ResumeRequest, RunRequest
from respawn_jobs.errors import Conflict, InvalidInput
from respawn_jobs.model.runs import RunState
from support.hub import RunningHub
from support.notebooks import notebook, printed_by, text
from support.servers import Server, finished
from support.waiting import wait_for

pytestmark = pytest.mark.integration

CELLS = (
    "rows = [1, 2]",
    "rows.append(3)",
    "import os, time\n"
    "rows.append(4)\n"
    "open('runs', 'w').close()\n"
    "while not os.path.exists('may-end'):\n"
    "    time.sleep(0.05)",
    "print(rows)",
)
"""The third one has begun its work when it waits."""


def begin(hub: RunningHub, name: str, **settings: bool) -> str:
    """Begin a run whose third cell waits, and return the run's id."""
    service, home = hub.service("ada"), hub.home("ada")
    for file in ("runs", "may-end"):
        (home / file).unlink(missing_ok=True)
    promotion = Promotion(name=name, notebook=text(notebook(*CELLS)), directory=str(home))
    service.promote(promotion.model_copy(update={"settings": JobSettings(**settings)}))
    run = service.run(RunRequest(job=name)).id
    wait_for((home / "runs").exists, 90, f"the third cell of {run}; see {hub.log}")
    return run


@pytest.mark.long
def test_a_run_is_looked_into_and_goes_on_as_if_it_was_not(hub: RunningHub, server: Server) -> None:
    run, service = begin(hub, "looked-into"), hub.service("ada")
    messages = server.open(run)
    assert messages[-1]["type"] == "open", messages[-1]
    first = str(messages[-1]["path"])
    assert server.evaluate(first, "rows") == "[1, 2, 3]"
    shown = nbformat.read(server.home / first, as_version=4)
    assert shown.cells[0].source.startswith("# Looking into looked-into")
    assert "just before the cell that was running" in shown.cells[0].source
    assert "failed" not in str(shown.cells[1].outputs)
    detail = service.show(run)
    assert detail.run.state is RunState.RUNNING
    assert [checkpoint.cell for checkpoint in detail.checkpoints] == [1]

    second = str(server.open(run)[-1]["path"])  # each look has a notebook of its own
    assert second != first
    for path in (first, second):
        body = {"path": path}
        answer = server.call("POST", "respawn/api/resume", json=body)
        assert answer.status_code in (409, 422), answer.text

    (hub.home("ada") / "may-end").touch()
    assert finished(hub, run).state is RunState.SUCCEEDED, service.show(run).run.error
    executed = nbformat.reads(service.notebook(run), as_version=4)
    assert printed_by(executed.cells[-1]) == "[1, 2, 3, 4]\n"
    assert not [cell.note for cell in service.show(run).cells if cell.note]
    with pytest.raises(Conflict, match="only the state of a run that is executing"):
        service.request_state(run)


@pytest.mark.long
def test_nothing_goes_on_from_such_a_notebook_when_the_run_has_failed(
    hub: RunningHub, server: Server
) -> None:
    run, service = begin(hub, "looked-into-and-cancelled"), hub.service("ada")
    path = str(server.open(run)[-1]["path"])
    service.cancel(run)
    assert finished(hub, run).state is RunState.CANCELLED
    with pytest.raises(InvalidInput, match="looks into a run that went on"):
        service.resume(run, ResumeRequest(notebook=(server.home / path).read_text()))
    debugged = str(server.open(run)[-1]["path"])
    assert debugged != path
    assert server.evaluate(debugged, "rows") == "[1, 2, 3]"


@pytest.mark.long
def test_where_no_state_is_held_the_look_says_which_cells_it_lacks(hub: RunningHub, server: Server) -> None:
    run = begin(hub, "not-held", snapshot_fork=False)
    last = server.open(run)[-1]
    (hub.home("ada") / "may-end").touch()
    assert last["type"] == "open", last
    header = nbformat.read(server.home / str(last["path"]), as_version=4).cells[0].source
    assert "No state was kept before the cell that was running" in header, json.dumps(header)
    assert finished(hub, run).state is RunState.SUCCEEDED
