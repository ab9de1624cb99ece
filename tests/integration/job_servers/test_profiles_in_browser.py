"""A profile chosen in the dialog that promotes, in a real JupyterLab, and on the pages of the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from nbformat import v4
from playwright.sync_api import Page, expect

from support.browser import chromium, context, page, picture
from support.hub import RunningHub, running_hub
from support.jupyter import LABEXTENSION
from support.lab import show_notebook
from support.leaks import tolerate
from support.servers import Server
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]
SPEC = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PROFILES = {"small": {"title": "Small", "default_for": ["*"]}, "big": {"title": "Big one"}}

__all__ = ["chromium", "context", "page"]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("hub")
    source_tree = directory / "jupyter" / "labextensions"
    source_tree.mkdir(parents=True)
    (source_tree / "respawn").symlink_to(LABEXTENSION, target_is_directory=True)
    with running_hub(
        directory / "hub",
        users=("ada", "bob"),
        executor="hub",
        server_environment={"JUPYTER_PATH": str(source_tree.parent)},
        service_environment={"RESPAWN_JOB_PROFILES": json.dumps(PROFILES)},
    ) as hub:
        tolerate(hub.process.pid)
        hub.token("ada")
        assert hub.hub_api("POST", "/users/ada/server").status_code in (201, 202)
        ada = Server(hub, "ada")
        wait_for(lambda: ada.call("GET", "api/status").status_code == 200, 60, "ada's server")
        yield ada


def dialog_of(page: Page, name: str):
    page.get_by_role("button", name="Promote…").locator("visible=true").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Job name").fill(name)
    return dialog


def test_a_profile_is_chosen_in_the_dialog_and_on_the_jobs_page(page: Page, server: Server) -> None:
    hub: RunningHub = server.hub
    notebook = v4.new_notebook(cells=[v4.new_code_cell("print(1)", id="c0")], metadata=SPEC)
    (server.home / "Chosen.ipynb").write_text(v4.writes(notebook))
    show_notebook(page, server, "Chosen.ipynb")
    dialog = dialog_of(page, "chosen")
    profile = dialog.get_by_label("Profile")
    expect(profile).to_have_value("")
    expect(profile.locator("option")).to_have_text(["Default: Small", "Small (small)", "Big one (big)"])
    profile.select_option("big")
    dialog.get_by_label("Timeout in minutes").fill("5")
    outcome = dialog.get_by_role("region", name="What happens")
    expect(outcome).to_contain_text("none has told yet which kernels it has")
    picture(page, "lab-promote-profile")
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("has version 1")
    settings = hub.service("ada").job("chosen").settings
    assert (settings.profile, settings.timeout_seconds) == ("big", 300.0)

    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    dialog = dialog_of(page, "chosen")
    expect(dialog.get_by_label("Profile")).to_have_value("big")
    dialog.get_by_label("Profile").select_option("")
    dialog.get_by_role("button", name="Save settings").click()
    wait_for(lambda: hub.service("ada").job("chosen").settings.profile is None, 30, "the default profile")
    assert hub.service("ada").job("chosen").settings.timeout_seconds == 300.0

    page.goto(f"{hub.service_url}/jobs/user/ada/chosen")
    page.get_by_label("Profile of the servers that its runs get").select_option("Big one (big)")
    page.get_by_role("button", name="Choose").click()
    expect(page.get_by_label("Profile of the servers that its runs get")).to_have_value("big")
    assert hub.service("ada").job("chosen").settings.profile == "big"
    picture(page, "job-profile", full=True)
    page.goto(f"{hub.service_url}/environments")
    expect(page.get_by_role("table", name="Profiles")).to_contain_text("not known yet")
    picture(page, "environments-profiles", full=True)
