"""The dialog of promotion when something goes wrong, by the keyboard alone, and in a narrow window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Locator, Page, expect

from respawn_jobs.api.service import Promotion, ScheduleRequest
from support.browser import picture
from support.hub import RunningHub
from support.jupyter import TOKEN, Jupyter, running_jupyter
from support.relay import Relay, relay

pytestmark = [pytest.mark.integration, pytest.mark.browser]
SPEC = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
DRIVES = Path(__file__).parents[2] / "support" / "drives"


@pytest.fixture(scope="module")
def way(hub: RunningHub) -> Iterator[Relay]:
    """The way of the Jupyter server to the service."""
    port = urlsplit(hub.service_url).port
    assert port is not None
    with relay(port) as made:
        yield made


@pytest.fixture(scope="module")
def jupyter(hub: RunningHub, way: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    directory = tmp_path_factory.mktemp("dialog")
    extensions = directory / "more" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "respawn-test-drives").symlink_to(DRIVES, target_is_directory=True)
    themes = directory / "server" / "settings" / "@jupyterlab" / "apputils-extension"
    themes.mkdir(parents=True)
    (themes / "themes.jupyterlab-settings").write_text('{"adaptive-theme": true}')
    config = directory / "server" / "config"
    config.mkdir()
    (config / "jupyter_lab_config.json").write_text('{"LabApp": {"expose_app_in_browser": true}}')
    environment = {
        "RESPAWN_URL": f"http://127.0.0.1:{way.port}{urlsplit(hub.service_url).path}",
        "RESPAWN_TOKEN": hub.token("ada"),
        "JUPYTER_PATH": str(extensions.parent),
    }
    with running_jupyter(directory / "server", environment) as server:
        yield server


@pytest.fixture(autouse=True)
def _kernels(jupyter: Jupyter) -> Iterator[None]:
    """Stop the kernels of a test's notebooks after it."""
    yield
    with jupyter.client() as client:
        for kernel in client.get("/api/kernels").json():
            client.delete(f"/api/kernels/{kernel['id']}")


def written(jupyter: Jupyter, path: str, *sources: str) -> str:
    cells = [v4.new_code_cell(source, id=f"c{index}") for index, source in enumerate(sources)]
    text = str(v4.writes(v4.new_notebook(cells=cells, metadata=SPEC)))
    (jupyter.root / path).write_text(text)
    return text


def opened(page: Page, jupyter: Jupyter, path: str) -> Locator:
    """Open a notebook, press its button of promotion, and return the dialog."""
    page.goto(f"{jupyter.url}/lab/tree/{path}?reset&token={TOKEN}")
    page.get_by_role("button", name="Promote…").locator("visible=true").click()
    return page.get_by_role("dialog")


def outcome(dialog: Locator) -> Locator:
    return dialog.get_by_role("region", name="What happens")


def accept(dialog: Locator) -> Locator:
    return dialog.locator("button.jp-mod-accept:visible")


@pytest.mark.long
def test_somebody_else_who_promoted_meanwhile_is_named_and_nothing_is_lost(
    page: Page, hub: RunningHub, jupyter: Jupyter
) -> None:
    ada = hub.service("ada")
    text = written(jupyter, "meanwhile.ipynb", "x = 1")
    source = str(jupyter.root / "meanwhile.ipynb")
    ada.promote(Promotion(name="meanwhile", notebook=text.replace("x = 1", "x = 0"), source=source))
    dialog = opened(page, jupyter, "meanwhile.ipynb")
    expect(outcome(dialog)).to_contain_text("becomes version 2")
    dialog.get_by_label("Attempts").fill("3")
    ada.promote(Promotion(name="meanwhile", notebook=text.replace("x = 1", "x = 9"), source=source))
    accept(dialog).click()
    expect(outcome(dialog).get_by_role("alert")).to_contain_text("You saw version 1")
    expect(outcome(dialog)).to_contain_text("becomes version 3")
    expect(dialog.get_by_label("Attempts")).to_have_value("3")
    picture(page, "dialog-conflict")
    assert ada.job("meanwhile").version == 2
    accept(dialog).click()
    expect(page.get_by_role("dialog")).to_contain_text("has version 3")
    assert ada.job("meanwhile").settings.max_attempts == 3


@pytest.mark.long
def test_service_that_is_dead_is_said_and_what_was_typed_stays(
    page: Page, hub: RunningHub, jupyter: Jupyter, way: Relay
) -> None:
    written(jupyter, "dead.ipynb", "x = 1")
    way.cut()
    try:
        dialog = opened(page, jupyter, "dead.ipynb")
        again = dialog.get_by_role("button", name="Try again")
        expect(dialog.get_by_role("alert")).to_contain_text("service")
        picture(page, "dialog-dead-at-first")
        way.join()
        again.click()
        expect(outcome(dialog)).to_contain_text("New job")
        way.cut()
        dialog.get_by_label("Job name").fill("typed-while-dead")
        expect(outcome(dialog).get_by_role("alert")).to_contain_text("service")
        expect(accept(dialog)).to_be_disabled()
        expect(accept(dialog)).to_have_accessible_description(re.compile("try again above"))
        picture(page, "dialog-dead")
        way.join()
        outcome(dialog).get_by_role("button", name="Try again").click()
        expect(outcome(dialog)).to_contain_text("New job: user/ada/typed-while-dead")
        way.cut()
        accept(dialog).click()
        expect(outcome(dialog).get_by_role("button", name="Try again")).to_be_visible()
    finally:
        way.join()
    outcome(dialog).get_by_role("button", name="Try again").click()
    accept(dialog).click()
    expect(page.get_by_role("dialog")).to_contain_text("typed-while-dead has version 1")


@pytest.mark.long
def test_schedule_and_settings_of_an_unchanged_notebook_are_saved_by_a_button_that_says_so(
    page: Page, hub: RunningHub, jupyter: Jupyter
) -> None:
    ada = hub.service("ada")
    text = written(jupyter, "again.ipynb", "x = 1")
    directory = str(jupyter.root)
    source = f"{directory}/again.ipynb"
    ada.promote(Promotion(name="again", notebook=text, source=source, directory=directory))
    ada.schedule(ScheduleRequest(job="again", cron="0 3 * * *", tz="UTC"))
    dialog = opened(page, jupyter, "again.ipynb")
    expect(outcome(dialog)).to_contain_text("Unchanged")
    expect(dialog.get_by_text("They run version 1.")).to_be_visible()
    expect(accept(dialog)).to_have_count(0)
    expect(dialog.locator(".jp-Dialog-footer").get_by_role("button")).to_have_text(["Close"])
    picture(page, "dialog-unchanged")
    dialog.get_by_label("Cron (optional)").fill("0 3 * * *")
    dialog.get_by_label("Time zone").first.fill("UTC")
    expect(accept(dialog)).to_have_text("Add schedule")
    expect(accept(dialog)).to_be_disabled()
    expect(dialog.get_by_label("Cron (optional)")).to_have_attribute("aria-invalid", "true")
    expect(accept(dialog)).to_have_accessible_description(re.compile("already"))
    picture(page, "dialog-double-schedule")
    dialog.get_by_label("Cron (optional)").fill("")
    dialog.get_by_label("Attempts").fill("2")
    expect(accept(dialog)).to_have_text("Save settings")
    accept(dialog).click()
    expect(page.get_by_role("dialog")).to_contain_text("its settings are saved")
    assert (ada.job("again").version, ada.job("again").settings.max_attempts) == (1, 2)


@pytest.mark.long
def test_schedule_is_edited_and_paused_by_the_keyboard_alone_and_escape_gives_up(
    page: Page, hub: RunningHub, jupyter: Jupyter
) -> None:
    ada = hub.service("ada")
    text = written(jupyter, "keys.ipynb", "x = 1")
    ada.promote(Promotion(name="keys", notebook=text, source=str(jupyter.root / "keys.ipynb")))
    ada.schedule(ScheduleRequest(job="keys", cron="0 3 * * *", tz="UTC"))
    dialog = opened(page, jupyter, "keys.ipynb")
    edit = dialog.get_by_role("button", name="Edit the schedule 0 3 * * * in UTC")
    expect(edit).to_be_visible()
    expect(dialog.get_by_label("Job name")).to_be_focused()
    for _ in range(8):
        page.keyboard.press("Tab")
        if edit.evaluate("node => node === document.activeElement"):
            break
    expect(edit).to_be_focused()
    page.keyboard.press("Enter")
    editor = dialog.locator(".respawn-editor")
    editor.get_by_label("Cron").fill("0 4 * * *")
    save = editor.get_by_role("button", name="Save schedule")
    expect(save).to_be_enabled()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    save.press("Enter")
    expect(dialog.get_by_text("0 4 * * *")).to_be_visible()
    expect(dialog.get_by_role("button", name="Edit the schedule 0 4 * * * in UTC")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Let go on the schedule")).to_be_visible()
    (schedule,) = ada.job("keys").schedules
    assert (schedule.cron, schedule.paused) == ("0 4 * * *", True)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert ada.job("keys").version == 1


@pytest.mark.slow
def test_notebook_of_a_drive_for_editing_together_is_that_of_the_server_and_others_are_refused(
    page: Page, hub: RunningHub, jupyter: Jupyter
) -> None:
    written(jupyter, "together.ipynb", "x = 1")
    page.goto(f"{jupyter.url}/lab?reset&token={TOKEN}")
    dialog = opened_on_drive(page, "RTC:together.ipynb")
    expect(dialog.get_by_label("Job name")).to_have_value("together")
    accept(dialog).click()
    expect(page.get_by_role("dialog")).to_contain_text("has version 1")
    (version,) = hub.service("ada").versions("together")
    assert version.source == str(jupyter.root / "together.ipynb")
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    dialog = opened_on_drive(page, "S3:together.ipynb")
    expect(dialog.get_by_role("alert")).to_contain_text("lies on the drive S3")
    picture(page, "dialog-drive")


def opened_on_drive(page: Page, path: str) -> Locator:
    """Open a notebook of a drive, press its button of promotion, and return the dialog."""
    page.wait_for_function("window.jupyterapp?.restored.then(() => true)")
    page.evaluate("path => jupyterapp.commands.execute('docmanager:open', { path })", path)
    page.get_by_role("button", name="Promote…").locator("visible=true").click()
    return page.get_by_role("dialog")


@pytest.mark.long
@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("dark", 400),
        pytest.param("dark", 800, marks=pytest.mark.slow),
        pytest.param("light", 400, marks=pytest.mark.slow),
        pytest.param("light", 800, marks=pytest.mark.slow),
    ],
)
def test_long_names_stay_within_the_window(
    page: Page, hub: RunningHub, jupyter: Jupyter, width: int, theme: str
) -> None:
    name = "a-name-that-is-as-long-as-any-job-may-have-it-63-characters-abc"
    parameter = "a_parameter_with_a_name_of_which_nobody_would_think_that_it_is_a_good_one"
    cells = [
        v4.new_code_cell(f'{parameter}: str = "{"long" * 30}"  # {"word " * 40}', id="p"),
        v4.new_code_cell("x = 1", id="c"),
    ]
    cells[0].metadata["tags"] = ["parameters"]
    ada = hub.service("ada")
    notebook = v4.new_notebook(cells=cells, metadata=SPEC)
    ada.promote(Promotion(name=name, notebook=v4.writes(notebook), source="/elsewhere/" + "directory/" * 20))
    cells[1].source = "x = 1  # " + "and so on, " * 40
    nbformat.write(notebook, jupyter.root / f"{name}.ipynb")
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    dialog = opened(page, jupyter, f"{name}.ipynb")
    page.set_viewport_size({"width": width, "height": 700})
    expect(dialog.get_by_role("checkbox")).to_be_visible()
    picture(page, f"dialog-long-{theme}-{width}")
    content = dialog.locator(".jp-Dialog-content")
    box = content.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    body = dialog.locator(".respawn-body")
    assert body.evaluate("node => node.scrollWidth <= node.clientWidth")
    expect(accept(dialog)).to_be_in_viewport()
    body.evaluate("node => node.scrollTo(0, node.scrollHeight)")
    picture(page, f"dialog-long-{theme}-{width}-below")
