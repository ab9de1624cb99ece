"""Environments in a real JupyterLab: picked by name, unlike their lock, pinned to an older build."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nbformat import v4
from playwright.sync_api import Page, expect

from respawn_environments.definition import parse_definition
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import RunState
from support.browser import picture, sign_in
from support.hub import RunningHub, running_hub
from support.journey import ask_the_kernel
from support.jupyter import LABEXTENSION
from support.lab import CLEAN_PATH
from support.lab_environments import build_lab
from support.leaks import tolerate
from support.servers import Server, finished
from support.tiny_environments import wheel
from support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(900)]
SHOWN_AS = "Numbers of the lab"


@dataclass(frozen=True)
class Lab:
    """A hub whose servers and service find the kernels below `place`."""

    hub: RunningHub
    place: Path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    place, jupyter = tmp_path / "kernels", tmp_path / "jupyter"
    (jupyter / "labextensions").mkdir(parents=True)
    # The source tree's plugin, not the copy of the last installation.
    (jupyter / "labextensions" / "respawn").symlink_to(LABEXTENSION, target_is_directory=True)
    found = {"JUPYTER_PATH": f"{jupyter}:{place / 'prefix' / 'share' / 'jupyter'}"}
    service = {**found, "RESPAWN_IMAGES": str(place / "images")}
    with running_hub(
        tmp_path / "hub",
        users=("ada",),
        service_environment=service,
        server_environment=found,
        extra=CLEAN_PATH,
    ) as hub:
        tolerate(hub.process.pid)
        hub.token("ada")
        assert hub.hub_api("POST", "/users/ada/server").status_code in (201, 202)
        server = Server(hub, "ada")
        wait_for(lambda: server.call("GET", "api/status").status_code == 200, 120, "ada's server")
        yield Lab(hub, place)


def signed_in(page: Page, hub: RunningHub, path: str) -> None:
    page.goto(f"{hub.url}/hub/login?next={path}")
    sign_in(page, "ada", hub.password)


def run_cell(page: Page, source: str) -> None:
    """Type a cell into the notebook that is shown, and execute it."""
    cell = page.locator(".jp-Notebook:visible .jp-CodeCell").last
    cell.locator(".cm-content").click()
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")


@pytest.mark.long
def test_what_a_notebook_installed_is_listed_agreed_to_and_proposed(page: Page, lab: Lab) -> None:
    wheels = lab.place / "wheels"
    wheel(wheels, name="brought_along", version="7.1")
    wheel(wheels, name="came_later")
    made = build_lab(lab.place, "lab", SHOWN_AS)
    signed_in(page, lab.hub, "/user/ada/lab%3Freset")

    card = page.locator('.jp-LauncherCard[data-category="Notebook"]').filter(has_text=SHOWN_AS)
    expect(card.locator("img")).to_have_js_property("naturalWidth", 64)
    picture(page, "lab-launcher")
    card.click()
    name = page.get_by_role("button", name=SHOWN_AS).locator("visible=true")
    expect(name.first).to_be_visible()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle")
    run_cell(page, f"%pip install --quiet --no-index --find-links {wheels} brought-along")
    expect(page.locator(".jp-Notebook:visible .jp-CodeCell").first).to_contain_text("[1]:")
    run_cell(page, "import brought_along\nprint(brought_along.value)")
    expect(page.locator(".jp-Notebook:visible .jp-OutputArea-output").last).to_contain_text("3")

    page.get_by_role("button", name="Promote…").locator("visible=true").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Job name").fill("brings-along")
    question = dialog.get_by_role("checkbox", name="brought-along 7.1 is installed and not in the lock")
    accept = dialog.get_by_role("button", name="Promote", exact=True)
    expect(question).to_be_visible()
    expect(accept).to_be_disabled()
    picture(page, "lab-promote-drift")
    assert not lab.hub.service("ada").jobs(), "nothing was promoted"

    question.check()
    installing = [made.python, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", wheels]
    subprocess.run([*installing, "came_later"], check=True)
    accept.click()
    more = dialog.get_by_role("checkbox", name="came-later 1.0 is installed and not in the lock")
    expect(more).not_to_be_checked()
    expect(accept).to_be_disabled()
    picture(page, "lab-promote-more-drift")
    assert not lab.hub.service("ada").jobs(), "what was agreed to is what was read"

    more.check()
    accept.click()
    proposal = page.get_by_role("dialog").get_by_role("region", name="Proposed environment")
    expect(proposal).to_contain_text("brings-along-environment/environment.toml")
    proposal.get_by_text("environment.toml", exact=True).click()
    expect(proposal.locator("pre")).to_contain_text("brought-along==7.1")
    picture(page, "lab-promoted-with-proposal")
    version = lab.hub.service("ada").versions("brings-along")[0]
    assert (version.kernel, version.lock) == (made.kernel, made.lock)
    written = lab.hub.home("ada") / "brings-along-environment" / "environment.toml"
    assert proposal.locator("pre").text_content() == written.read_text()
    assert "brought-along==7.1" in parse_definition(written.read_text(), "environment.toml").requirements


@pytest.mark.long
def test_a_debug_notebook_uses_the_pinned_build_and_says_that_there_is_a_newer_one(
    page: Page, lab: Lab
) -> None:
    older = build_lab(lab.place, "lab", SHOWN_AS, wheel(lab.place / "wheels", version="1.0"))
    ada = lab.hub.service("ada")
    look = "from importlib.metadata import version\nseen = version('tiny-thing')"
    cells = [v4.new_code_cell(source, id=f"c{index}") for index, source in enumerate((look, "seen / 2"))]
    spec = {"name": older.kernel, "display_name": SHOWN_AS, "language": "python"}
    notebook = v4.writes(v4.new_notebook(cells=cells, metadata={"kernelspec": spec}))
    ada.promote(Promotion(name="pinned", notebook=notebook))
    failed = finished(lab.hub, ada.run(RunRequest(job="pinned")).id)
    assert failed.state is RunState.FAILED
    assert failed.lock == older.lock
    newer = build_lab(lab.place, "lab", SHOWN_AS, wheel(lab.place / "wheels", version="2.0"))
    assert newer.lock != older.lock

    signed_in(page, lab.hub, f"/services/respawn/runs/{failed.id}")
    kernel = page.locator("#run-head dd").filter(has_text="a newer build exists")
    expect(kernel).to_contain_text(f"respawn-lab, build {older.lock[:12]}", timeout=90_000)
    expect(kernel).to_contain_text(newer.lock[:12])
    picture(page, "run-with-a-newer-build")
    kernel.get_by_role("link", name="respawn-lab").click()
    section = page.locator("#respawn-lab")
    expect(section.locator(f"tr[data-build='{newer.lock[:12]}']")).to_contain_text("newest")
    expect(section.locator(f"tr[data-build='{older.lock[:12]}']")).to_contain_text("1 job, 1 run")
    expect(section).to_contain_text("tiny-thing 2.0")
    picture(page, "environments-real")

    page.goto(f"{lab.hub.service_url}/debug/{failed.id}")
    page.wait_for_url("**/lab/**")
    failing = page.locator(".respawn-failing-cell")
    expect(failing).to_be_in_viewport()
    pinned = f"{SHOWN_AS}, pinned {older.lock[:12]}"
    expect(page.get_by_role("button", name=pinned).locator("visible=true").first).to_be_visible()
    expect(page.locator(".jp-Notebook")).to_contain_text(f"a newer build exists: {newer.lock[:12]}")
    picture(page, "lab-debug-pinned")
    look = "seen, version('tiny-thing'), __import__('sys').prefix"
    ask_the_kernel(page, look, f"('1.0', '1.0', '{older.directory}')")
