"""A job with a module and a table beside its notebook, on a hub: promoted, failed, debugged and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Page, expect

from respawn_jobs.api.service import RunRequest
from respawn_jobs.model.runs import Run, RunState
from support.browser import picture
from support.hub import RunningHub
from support.lab import show_notebook
from support.notebooks import printed_by
from support.servers import Server, finished

pytestmark = pytest.mark.integration

SPEC = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
CELLS = (
    "import helpers",
    "rates = [float(line) for line in open('tables/rates.csv')]",
    "untouched = sum(range(10))",
    "print([helpers.scaled(rate) for rate in rates], untouched)\nassert helpers.FACTOR > 5",
)


def written(directory: Path, name: str) -> None:
    """Write the notebook and what it needs into a directory."""
    (directory / "tables").mkdir(parents=True, exist_ok=True)
    (directory / "helpers.py").write_text("FACTOR = 2\ndef scaled(x):\n    return FACTOR * x\n")
    (directory / "tables/rates.csv").write_text("1\n2\n")
    (directory / "key.txt").write_text("nothing that a job needs")
    cells = [v4.new_code_cell(source, id=f"c{index}") for index, source in enumerate(CELLS)]
    nbformat.write(v4.new_notebook(cells=cells, metadata=SPEC), directory / f"{name}.ipynb")


@pytest.fixture(scope="module")
def promoted(server: Server) -> str:
    """The name of a job that was promoted from ada's server."""
    written(server.home / "work", "Carries")
    body = {"path": "work/Carries.ipynb", "name": "carries"}
    preview: dict[str, Any] = server.call("POST", "respawn/api/promote/preview", json=body).json()
    assert [one["path"] for one in preview["carried"]["files"]] == ["helpers.py", "tables/rates.csv"]
    assert "with 2 files as they are now: helpers.py, tables/rates.csv" in preview["preview"]["message"]
    server.call("POST", "respawn/api/promote", json=body).raise_for_status()
    return "carries"


@pytest.fixture(scope="module")
def failed(hub: RunningHub, server: Server, promoted: str) -> Run:
    """Its failed run; nothing that it needs lies beside the notebook any more."""
    for name in ("helpers.py", "tables/rates.csv"):
        (server.home / "work" / name).unlink()
    run = finished(hub, hub.service("ada").run(RunRequest(job=promoted)).id)
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert run.error.name == "AssertionError", run.error
    return run


@pytest.mark.long
def test_debug_notebook_has_the_files_and_a_fix_takes_their_edits_along(
    hub: RunningHub, server: Server, failed: Run
) -> None:
    opened = server.open(failed.id)
    assert opened[-1]["type"] == "open", opened[-1]
    path = Path(str(opened[-1]["path"]))
    directory = server.home / path.parent
    assert path.parts[0] == "respawn-debug"
    assert (directory / "tables/rates.csv").read_text() == "1\n2\n"
    assert server.evaluate(str(path), "helpers.scaled(rates[1])") == "4.0"
    assert server.evaluate(str(path), "__import__('os').getcwd()") == repr(str(directory))
    (directory / "helpers.py").write_text((directory / "helpers.py").read_text().replace("= 2", "= 7"))
    plan = server.call("POST", "respawn/api/plan", json={"path": str(path)}).json()
    assert [cell["action"] for cell in plan["cells"]] == ["run", "reuse", "reuse", "run"]
    assert plan["cells"][0]["why"] == "helpers.py was edited"
    again = server.call("POST", "respawn/api/resume", json={"path": str(path)})
    assert again.status_code == 201, again.text
    resumed = finished(hub, again.json()["run"]["id"])
    assert resumed.state is RunState.SUCCEEDED, resumed.error
    done = nbformat.reads(hub.service("ada").notebook(resumed.id), as_version=4)
    assert printed_by(done.cells[-1]) == "[7.0, 14.0] 45\n"
    version = hub.service("ada").versions(failed.job)[0]
    assert (version.number, version.parent) == (2, 1)
    assert b"FACTOR = 7" in hub.service("ada").version_file(failed.job, 2, "helpers.py")
    changes = hub.service("ada").compare_versions(failed.job, 1, 2).files
    assert [(one.path, one.kind) for one in changes] == [("helpers.py", "changed")]


@pytest.mark.browser
@pytest.mark.long
def test_the_dialog_shows_what_the_job_carries_and_what_it_does_not(
    page: Page, hub: RunningHub, server: Server
) -> None:
    written(server.home / "shown", "Shown")
    (server.home / "shown" / ".secrets").write_text("x")
    notebook = nbformat.read(server.home / "shown/Shown.ipynb", as_version=4)
    notebook.cells[2].source += "\nopen('.secrets')\n'tables'"
    nbformat.write(notebook, server.home / "shown/Shown.ipynb")
    show_notebook(page, server, "shown/Shown.ipynb")
    page.get_by_role("button", name="Promote…").locator("visible=true").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Job name").fill("shown")
    section = dialog.locator("details.respawn-carried")
    expect(section.locator("summary")).to_contain_text("the job carries 2 files, 1 to look at")
    section.locator("summary").click()
    carried = section.get_by_role("list", name="Files that the job carries")
    expect(carried.get_by_role("listitem")).to_have_count(2)
    expect(section).to_contain_text(".secrets, which may hold a secret")
    picture(page, "lab-promote-carries")
    more = section.get_by_label("Carry these too")
    more.fill("key.txt, none.*")
    expect(section.get_by_role("alert")).to_contain_text("fits no file")
    picture(page, "lab-promote-carries-wrong")
    more.fill("key.txt")
    expect(carried.get_by_role("listitem")).to_have_count(3)
    section.get_by_role("checkbox").check()
    expect(section).to_contain_text("Runs work where the notebook lies")
    section.get_by_role("checkbox").uncheck()
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("has version 1")
    files = hub.service("ada").versions("shown")[0].files or []
    assert [file.path for file in files] == ["helpers.py", "key.txt", "tables/rates.csv"]
