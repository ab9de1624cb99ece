"""From a failed run to a notebook with its state, on a real hub, and on to the resumed run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.history import ImportRequest
from respawn_jobs.api.service import ResumeRequest, RunRequest
from respawn_jobs.api.versions import JobChange
from respawn_jobs.errors import Conflict
from respawn_jobs.model.runs import CellState, Run, RunState
from support.browser import sign_in
from support.hub import RunningHub
from support.notebooks import printed_by
from support.servers import Server, fail, finished
from support.waiting import wait_for

pytestmark = pytest.mark.integration

ONLY_THE_SERVICE_HAS = "kernel-of-the-service"
BARE = "bare"
SOURCES = [
    "prices = {'tea': 3, 'milk': 1}",
    "total = sum(prices.values())\nprint(total)",
    "prices['coffee']",
    "total",
]


@pytest.fixture(scope="module")
def failed(hub: RunningHub) -> Run:
    run = fail(hub, "prices", SOURCES)
    assert run.state is RunState.FAILED, run.error
    return run


@pytest.fixture(scope="module")
def opened(server: Server, failed: Run) -> str:
    """The path of the debug notebook."""
    messages = server.open(failed.id)
    assert messages[-1]["type"] == "open", messages[-1]
    return str(messages[-1]["path"])


def test_every_step_is_told_and_done(server: Server, failed: Run, opened: str) -> None:
    done = [m["step"] for m in server.open(failed.id) if m["type"] == "step" and m["done"]]
    assert done == ["fetch", "kernel", "download", "notebook", "restore"]


def test_kernel_has_the_variables_before_jupyterlab_opens(server: Server, opened: str) -> None:
    assert server.evaluate(opened, "prices, total") == "({'tea': 3, 'milk': 1}, 4)"


def test_kernel_hashes_texts_as_the_run_did(
    server: Server, hub: RunningHub, failed: Run, opened: str
) -> None:
    seed = hub.service("ada").show(failed.id).attempts[-1].hash_seed
    assert server.evaluate(opened, "__import__('os').environ['PYTHONHASHSEED']") == repr(seed)
    shown = str(nbformat.read(server.home / opened, as_version=4).cells[1].outputs)
    assert "hash" not in shown


def test_notebook_shows_what_was_restored_and_why_it_failed(server: Server, opened: str) -> None:
    notebook = nbformat.read(server.home / opened, as_version=4)
    restored = str(notebook.cells[1].outputs)
    assert "prices" in restored
    assert "total" in restored
    assert printed_by(notebook.cells[3]) == "4\n"
    assert notebook.cells[4].outputs[-1].ename == "KeyError"
    assert notebook.metadata.respawn.failing_cell_id == notebook.cells[4].id


def test_second_visit_keeps_edits_and_the_living_kernel(server: Server, failed: Run, opened: str) -> None:
    notebook = nbformat.read(server.home / opened, as_version=4)
    kernel = server.kernel(opened)
    server.evaluate(opened, "prices.setdefault('water', 0)")
    notebook.cells[4].source = "prices.get('coffee', 0)"
    nbformat.write(notebook, server.home / opened)
    messages = server.open(failed.id)
    assert messages[-1] == {"type": "open", "path": opened}
    assert server.kernel(opened) == kernel
    assert server.evaluate(opened, "'water' in prices") == "True"
    assert nbformat.read(server.home / opened, as_version=4).cells[4].source == "prices.get('coffee', 0)"


def test_restarted_kernel_gets_the_variables_again(server: Server, failed: Run, opened: str) -> None:
    server.call("POST", f"api/kernels/{server.kernel(opened)}/restart").raise_for_status()
    assert server.open(failed.id)[-1]["type"] == "open"
    assert server.evaluate(opened, "prices, total") == "({'tea': 3, 'milk': 1}, 4)"


def test_plan_says_what_is_reused_and_resume_does_it(
    server: Server, hub: RunningHub, failed: Run, opened: str
) -> None:
    notebook = nbformat.read(server.home / opened, as_version=4)
    notebook.cells[4].source = "prices.get('coffee', 0)"
    nbformat.write(notebook, server.home / opened)
    plan = server.call("POST", "respawn/api/plan", json={"path": opened}).json()
    assert (plan["first"], [cell["action"] for cell in plan["cells"]]) == (
        2,
        ["reuse", "reuse", "run", "run"],
    )
    answer = server.call("POST", "respawn/api/resume", json={"path": opened})
    assert answer.status_code == 201, answer.text
    resumed = finished(hub, answer.json()["run"]["id"])
    assert resumed.state is RunState.SUCCEEDED, resumed.error
    assert answer.json()["url"] == f"{hub.service_url}/runs/{resumed.id}"
    states = [cell.state for cell in hub.service("ada").show(resumed.id).cells]
    assert states == [CellState.REUSED, CellState.REUSED, CellState.EXECUTED, CellState.EXECUTED]
    second = server.call("POST", "respawn/api/resume", json={"path": opened})
    assert second.status_code == 409
    assert resumed.id in second.json()["message"]
    succeeded = server.open(resumed.id)[-1]
    assert (succeeded["type"], succeeded["error"]) == ("failed", "conflict")


def test_restart_runs_the_fixed_notebook_from_the_top(server: Server, hub: RunningHub, opened: str) -> None:
    notebook = nbformat.read(server.home / opened, as_version=4)
    notebook.cells[4].source = "prices.get('coffee', 0)"
    nbformat.write(notebook, server.home / opened)
    answer = server.call("POST", "respawn/api/restart", json={"path": opened})
    run = finished(hub, answer.json()["run"]["id"])
    assert run.state is RunState.SUCCEEDED
    assert {cell.state for cell in hub.service("ada").show(run.id).cells} == {CellState.EXECUTED}


def test_run_that_nobody_knows_is_said_to_be_missing(server: Server) -> None:
    last = server.open("run-zzzzzzzzzz")[-1]
    assert (last["type"], last["error"]) == ("failed", "not_found")
    assert "run-zzzzzzzzzz" in last["message"]


@pytest.mark.long
def test_run_of_another_person_is_not_opened(hub: RunningHub, server: Server, failed: Run) -> None:
    hub.token("bob")
    hub.hub_api("POST", "/users/bob/server")
    bob = Server(hub, "bob")
    wait_for(lambda: bob.call("GET", "api/status").status_code == 200, 60, "bob's server")
    last = bob.open(failed.id)[-1]
    assert (last["type"], last["error"]) == ("failed", "forbidden")
    assert not (bob.home / "respawn-debug").exists()


def test_kernel_that_the_server_lacks_is_named_with_those_it_has(hub: RunningHub, server: Server) -> None:
    run = fail(hub, "elsewhere", ["1/0"], kernel=ONLY_THE_SERVICE_HAS)
    assert run.state is RunState.FAILED
    last = server.open(run.id)[-1]
    assert last["type"] == "failed"
    assert ONLY_THE_SERVICE_HAS in last["message"]
    assert "python3" in last["message"]


def test_file_of_another_kind_in_the_way_is_not_overwritten(hub: RunningHub, server: Server) -> None:
    run = fail(hub, "in-the-way", ["1/0"])
    path = server.home / "respawn-debug" / f"in-the-way-{run.id}.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    last = server.open(run.id)[-1]
    assert (last["type"], last["error"]) == ("failed", "conflict")
    assert path.read_text() == "mine"


def test_edits_are_there_again_after_the_job_was_renamed(hub: RunningHub, server: Server) -> None:
    run = fail(hub, "called-so", ["1/0"])
    path = server.open(run.id)[-1]["path"]
    notebook = nbformat.read(server.home / path, as_version=4)
    notebook.cells[-1].source = "1/1"
    nbformat.write(notebook, server.home / path)
    hub.service("ada").change_job(run.job, JobChange(name="called-otherwise"))
    assert server.open(run.id)[-1] == {"type": "open", "path": path}
    assert nbformat.read(server.home / path, as_version=4).cells[-1].source == "1/1"


def test_state_that_is_lost_is_said_and_the_notebook_opens_without_it(
    hub: RunningHub, server: Server
) -> None:
    run = fail(hub, "lost-state", ["unique = 'a value of this run only'", "1/0"])
    checkpoint = hub.service("ada").debug(run.id).checkpoint
    assert checkpoint is not None
    (blob,) = (hub.data / "blobs").glob(f"**/{checkpoint.manifest}")
    blob.unlink()
    last = server.open(run.id)[-1]
    assert last["type"] == "failed"
    assert checkpoint.manifest in last["message"]
    assert (server.home / last["path"]).exists()


@pytest.mark.long
def test_kernel_that_dies_while_it_restores_is_said(hub: RunningHub, server: Server, tmp_path: Path) -> None:
    flag = tmp_path / "die"
    dies = f"os.path.exists({str(flag)!r}) and os._exit(1)"
    extension = f"import os\ndef load_ipython_extension(_):\n    {dies}"
    (tmp_path / "deadly.py").write_text(extension)
    source = f"import sys; sys.path.append({str(tmp_path)!r})\n%load_ext deadly"
    run = fail(hub, "dies", [source, "1/0"])
    flag.touch()
    last = server.open(run.id)[-1]
    assert last["type"] == "failed"
    assert "died while it restored" in last["message"]


@pytest.mark.long
def test_kernel_without_respawn_restores_by_what_is_lent_to_it(hub: RunningHub, server: Server) -> None:
    run = fail(
        hub, "bare", ["import sys", "found = [p for p in sys.path if 'kernels' in p]", "1/0"], kernel=BARE
    )
    assert run.error is not None
    assert run.error.name == "ZeroDivisionError"
    last = server.open(run.id)[-1]
    assert last["type"] == "open", last
    assert server.evaluate(last["path"], "found") == "[]"


@pytest.fixture(scope="module")
def of_cyd(hub: RunningHub) -> Run:
    """A run of a job of ada's that cyd made, and that failed."""
    job = fail(hub, "shared", SOURCES).job
    return finished(hub, hub.service("cyd").run(RunRequest(job=job)).id)


@pytest.mark.long
def test_run_that_somebody_else_made_is_not_restored_without_consent(server: Server, of_cyd: Run) -> None:
    messages = server.open(of_cyd.id)
    assert messages[-1] == {
        "type": "confirm",
        "job": "user/ada/shared",
        "authors": ["ada", "cyd"],
        "cell": "2: prices['coffee']",
    }
    assert {m["step"] for m in messages[:-1]} == {"fetch"}
    assert not list((server.home / "respawn-debug").glob(f"*{of_cyd.id}*"))
    assert not (server.hub.directory.parent / "restore" / of_cyd.id).exists()
    opened = server.open(of_cyd.id, confirm=True)[-1]
    assert opened["type"] == "open"
    assert server.evaluate(opened["path"], "total") == "4"


@pytest.mark.long
def test_imported_run_and_one_resumed_from_it_are_not_restored_without_consent(
    server: Server, hub: RunningHub, tmp_path: Path
) -> None:
    ada = hub.service("ada")
    failed = fail(hub, "archived", SOURCES)
    ada.export_run(failed.id, tmp_path / "run.zip")
    imported = ada.import_run(tmp_path / "run.zip", ImportRequest(job="imported"))
    with pytest.raises(Conflict, match=f"archive of {failed.id}, exported by ada"):
        ada.resume(imported.id, ResumeRequest())
    resumed = finished(hub, ada.resume(imported.id, ResumeRequest(load_imported=True)).id)
    for run in (imported, resumed):
        question = server.open(run.id)[-1]
        assert (question["type"], question["job"]) == ("confirm", "user/ada/imported")
        assert question["authors"] == ["ada", f"archive of {failed.id}, exported by ada"]
        assert server.open(run.id, confirm=True)[-1]["type"] == "open"


@pytest.mark.long
@pytest.mark.browser
def test_page_of_a_run_that_somebody_else_made_asks_first(
    page: Page, hub: RunningHub, server: Server, of_cyd: Run
) -> None:
    run = finished(hub, hub.service("cyd").run(RunRequest(job=of_cyd.job)).id)
    page.goto(f"{hub.url}/hub/login?next=/user/ada/respawn/debug/{run.id}")
    sign_in(page, "ada", hub.password)
    consent = page.get_by_role("alert")
    for said in ("user/ada/shared", "cyd", "prices['coffee']"):
        expect(consent).to_contain_text(said)
    assert not list((server.home / "respawn-debug").glob(f"*{run.id}*"))
    page.get_by_role("button", name="Open it").click()
    page.wait_for_url("**/lab/tree/**", timeout=60_000)
    assert list((server.home / "respawn-debug").glob(f"*{run.id}*"))


@pytest.mark.parametrize("run", ["run-1", "run-abc_def-gh", "job-0123456789", "RUN-0123456789"])
def test_what_is_no_run_is_refused_by_every_route(server: Server, run: str) -> None:
    assert server.call("GET", f"respawn/debug/{run}").status_code == 422
    answer = server.call("POST", f"respawn/api/debug/{run}")
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")


def test_notebook_that_names_no_run_cannot_be_resumed(server: Server) -> None:
    forged = nbformat.v4.new_notebook(metadata={"respawn": {"run": "../jobs/user/ada/prices"}})
    nbformat.write(forged, server.home / "forged.ipynb")
    for route in ("plan", "resume", "restart"):
        answer = server.call("POST", f"respawn/api/{route}", json={"path": "forged.ipynb"})
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")
        assert "is not the id of a run" in answer.json()["message"]
