"""The page of a run in a real browser: what notebooks display is seen, and stays where it is shown."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from PIL import Image
from playwright.sync_api import FrameLocator, Locator, Page, Route, expect

from respawn_hub.pages.templating import HERE
from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import CellRecord, CellState, Run, RunState
from support.browser import picture, sign_in
from support.contrast import MIN_CONTRAST
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.listeners import listening
from support.notebooks import notebook, text
from support.pressure import unhindered
from support.rich_outputs import LONG_LOG, hostile_notebook, rich_notebook
from support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(600)]
PROSE, BOKEH, PLOTLY, VEGA, WIDGET, LATEX, PICTURE, TERMINAL, TABLE, CDN, FAILS = range(11)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    if not (HERE / "static/frames/vendor/versions.json").exists():
        pytest.fail("the libraries that draw outputs are missing: run `make libraries`")
    with running_hub(tmp_path_factory.mktemp("hub"), users=("ada",)) as running:
        tolerate(running.process.pid)
        yield running


@pytest.fixture(scope="module")
def rich(hub: RunningHub) -> Run:
    """A run that displayed one of everything, and failed in its last cell."""
    run = ended(hub, started(hub, "rich", rich_notebook()))
    assert run.state is RunState.FAILED, run.error
    assert run.error is not None
    assert run.error.cell == FAILS, run.error
    return run


def started(hub: RunningHub, name: str, notebook: NotebookNode) -> str:
    """Promote a notebook, run it and return the run's id."""
    service = hub.service("ada")
    service.promote(Promotion(name=name, notebook=text(notebook)))
    return service.run(RunRequest(job=name)).id


def ended(hub: RunningHub, run: str) -> Run:
    service = hub.service("ada")
    wait_for(lambda: service.show(run).run.state.final, 120, f"the end of {run}")
    return service.show(run).run


def opened(page: Page, hub: RunningHub, run: str) -> Page:
    """Open a run's page as ada."""
    page.goto(f"{hub.service_url}/runs/{run}")
    sign_in(page, "ada", hub.password)
    page.wait_for_url(f"**/runs/{run}")
    return page


def frame(page: Page, cell: int, nth: int = 0) -> FrameLocator:
    """Return a frame of a cell, scrolled to, since frames load when they are near."""
    element = page.locator(f"#cell-{cell} iframe").nth(nth)
    element.scroll_into_view_if_needed()
    return element.content_frame


@pytest.mark.long
def test_charts_formulas_and_widgets_are_drawn(page: Page, hub: RunningHub, rich: Run) -> None:
    opened(page, hub, rich.id)

    expect(frame(page, PROSE).locator(".katex")).to_be_visible()
    expect(frame(page, PROSE).locator("b")).to_have_text("bold")
    expect(page.locator(f"#cell-{PROSE}").get_by_role("link", name="the notes")).to_be_visible()
    expect(page.locator(f"#cell-{BOKEH} iframe")).to_have_count(1)
    expect(frame(page, BOKEH).locator("canvas").first).to_be_visible()
    assert colours(page.locator(f"#cell-{BOKEH} iframe")) > 20
    expect(frame(page, PLOTLY).locator(".barlayer .point path")).to_have_count(3)
    expect(frame(page, VEGA).locator("svg .mark-symbol path")).to_have_count(3)
    expect(frame(page, WIDGET).locator(".widget-readout")).to_have_text("7")
    expect(frame(page, LATEX).locator(".katex .mfrac").first).to_be_visible()
    expect(frame(page, TABLE).locator("td").first).to_have_text("1.50")
    shown = page.locator(f"#cell-{PICTURE} img").bounding_box()
    assert shown is not None
    assert (shown["width"], shown["height"]) == (120, 60)
    terminal = page.locator(f"#cell-{TERMINAL}")
    expect(terminal.locator(".ansi-italic")).to_have_text("italic")
    expect(terminal.locator(".ansi-inverse")).to_have_text("inverse")
    expect(terminal.get_by_role("link", name="https://example.org/a?b=1")).to_be_visible()
    expect(terminal.locator(".output-stderr")).to_have_text("a warning\n")
    expect(frame(page, CDN).locator(".scatterlayer path.js-line")).to_have_count(1)
    expect(frame(page, CDN, 1).get_by_role("note")).to_contain_text("charts.example.org")
    expect(page.locator(f"#cell-{CDN}").get_by_role("note")).to_contain_text("application/x-unknown")


HEARD = """id => {
  const region = document.getElementById(id);
  window.heard = [];
  const note = () => { if (region.textContent.trim()) window.heard.push(region.textContent.trim()); };
  new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
}"""
"""Keeps what a screen reader is told by a live region, in its order."""


def region_of(page: Page, name: str) -> Locator:
    """Return a live region that screen readers hear; `window.heard` keeps what it says."""
    region = page.locator(f"#{name}")
    expect(region).to_have_attribute("role", "status")
    expect(region).to_have_attribute("aria-live", "polite")
    assert region.evaluate("node => getComputedStyle(node).display") != "none", "which nobody would hear"
    page.evaluate(HEARD, name)
    return region


@pytest.mark.long
def test_screen_readers_are_told_how_each_cell_and_the_run_ended(
    page: Page, hub: RunningHub, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.05)"
    run = started(hub, "told", notebook(waits, "1 / 0"))
    opened(page, hub, run)
    expect(page.locator("#cell-0 .badge").first).to_have_text("running")
    region = region_of(page, "news")
    go.touch()
    expect(region).to_contain_text("The run has ended: failed")
    heard = page.evaluate("window.heard")
    assert "; ".join(heard) == "Cell 0: done; Cell 1: failed; The run has ended: failed"


def _running(cells: list[CellRecord]) -> bool:
    return any(cell.state is CellState.RUNNING for cell in cells)


@pytest.mark.long
def test_screen_readers_are_told_of_all_cells_that_ended_at_once(
    page: Page, hub: RunningHub, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.05)"
    run = started(hub, "at-once", notebook(waits, "1", "2", "1 / 0"))
    held: list[Route] = []
    page.route("**/events", lambda route: held.append(route))
    service = hub.service("ada")
    wait_for(lambda: _running(service.show(run).cells), 60, "the first cell")
    opened(page, hub, run)
    expect(page.locator("#cell-0 .badge").first).to_have_text("running")
    region = region_of(page, "news")
    go.touch()
    ended(hub, run)
    for route in held:
        route.continue_()
    page.unroute("**/events")
    expect(region).to_contain_text("The run has ended: failed")
    heard = page.evaluate("window.heard")
    assert "; ".join(heard) == "Cells 0, 1, 2: done; Cell 3: failed; The run has ended: failed"


@pytest.mark.long
def test_screen_readers_are_told_when_the_state_of_a_job_changes(
    page: Page, hub: RunningHub, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = (
        f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.05)\n1 / 0"
    )
    run = started(hub, "listed", notebook(waits))
    opened(page, hub, run)
    expect(page.locator("#cell-0 .badge").first).to_have_text("running")
    page.goto(f"{hub.service_url}/")
    expect(page.locator('[data-item="user/ada/listed"]')).to_have_attribute("data-state", "running")
    region = region_of(page, "announce")
    go.touch()
    expect(region).to_have_text("user/ada/listed: failed")


def card_of(element: Locator) -> tuple[str, bool]:
    """Return the background of what a chart is drawn in, and whether it has an edge of its own."""
    style = element.evaluate(
        "node => { const s = getComputedStyle(node); return [s.backgroundColor, s.boxShadow]; }"
    )
    return style[0], style[1] != "none"


@pytest.mark.long
def test_charts_for_a_light_page_lie_on_cards_in_the_dark_theme(
    page: Page, hub: RunningHub, rich: Run
) -> None:
    page.emulate_media(color_scheme="dark")
    opened(page, hub, rich.id)
    bokeh = frame(page, BOKEH).locator("[data-root-id] > *").first
    html = frame(page, CDN).locator(".js-plotly-plot")
    for chart in (bokeh, html):
        expect(chart).to_have_css("background-color", "rgb(255, 255, 255)")
        assert card_of(chart) == ("rgb(255, 255, 255)", True)
    expect(frame(page, PLOTLY).locator(".js-plotly-plot")).to_have_css("box-shadow", "none")
    for cell, name in ((BOKEH, "bokeh"), (CDN, "html"), (WIDGET, "widget")):
        page.locator(f"#cell-{cell}").scroll_into_view_if_needed()
        page.locator(f"#cell-{cell}").screenshot(path=picture(page, f"dark-card-{name}"))
    page.emulate_media(color_scheme="light")
    page.locator(f"#cell-{BOKEH}").scroll_into_view_if_needed()
    expect(bokeh).to_have_css("box-shadow", "none")


@pytest.mark.long
def test_a_widget_that_is_not_drawn_says_its_name_and_leads_to_jupyterlab(
    page: Page, hub: RunningHub
) -> None:
    made = (
        "import ipywidgets, traitlets\n"
        "class Globe(ipywidgets.DOMWidget):\n"
        "    _model_name = traitlets.Unicode('GlobeModel').tag(sync=True)\n"
        "    _model_module = traitlets.Unicode('globes').tag(sync=True)\n"
        "    _view_name = traitlets.Unicode('GlobeView').tag(sync=True)\n"
        "    _view_module = traitlets.Unicode('globes').tag(sync=True)\n"
        "Globe()"
    )
    run = ended(hub, started(hub, "globe", notebook(made, "ipywidgets.IntSlider(value=3)")))
    opened(page, hub, run.id)
    expect(frame(page, 0).get_by_role("note")).to_contain_text("Globe (globes): this page does not draw")
    link = page.locator("#cell-0").get_by_role("link", name="in JupyterLab")
    expect(link).to_have_attribute("href", re.compile(f"/open/{run.id}$"))
    expect(frame(page, 1).locator(".widget-readout")).to_have_text("3")
    expect(page.locator("#cell-1").get_by_role("link", name="in JupyterLab")).to_have_count(0)
    picture(page, "widget-of-a-third-party")


@pytest.mark.long
def test_an_output_whose_library_is_missing_says_so(page: Page, hub: RunningHub, rich: Run) -> None:
    page.route("**/static/frames/vendor/**", lambda route: route.fulfill(status=404, body="{}"))
    opened(page, hub, rich.id)

    for cell in (PROSE, BOKEH, PLOTLY, VEGA, WIDGET, LATEX):
        note = frame(page, cell).get_by_role("note").first
        expect(note).to_contain_text("which this service was installed without")


def colours(element: Locator) -> int:
    """Return how many colours are seen of an element: more than a few when something is drawn."""
    return len(Image.open(io.BytesIO(element.screenshot())).convert("RGB").getcolors(1_000_000) or [])


@pytest.mark.long
def test_a_page_is_found_through_by_outline_and_keyboard_in_both_themes(
    page: Page, hub: RunningHub, rich: Run
) -> None:
    page.emulate_media(color_scheme="dark")
    opened(page, hub, rich.id)
    outline = page.get_by_role("navigation", name="Outline of the notebook")

    expect(outline.get_by_role("link", name="Quarterly report")).to_be_visible()
    expect(outline.locator("[data-state=failed]")).to_have_text(re.compile(f"{FAILS}.*failed", re.DOTALL))
    page.get_by_role("link", name="Go to the failed cell").press("Enter")
    expect(page.locator(f"#cell-{FAILS}")).to_be_in_viewport()
    traceback = page.get_by_role("region", name=f"Error of cell {FAILS}")
    traceback.focus()
    assert traceback.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    picture(page, "run-page-dark")
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_selector(f"html[data-bs-theme={theme}]")
        assert page.evaluate(MIN_CONTRAST, ".output, .output span, .outline a") >= 4.5, theme
        body = frame(page, TABLE).locator("body")
        expect(body).to_have_css("color", "rgb(222, 226, 230)" if theme == "dark" else "rgb(33, 37, 41)")
        expect(body).to_have_css("background-color", "rgba(0, 0, 0, 0)")

    fold = page.get_by_role("button", name=f"Cell {TABLE}: show source and outputs")
    fold.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(page.locator(f"#cell-{TABLE}-body")).to_be_hidden()
    page.get_by_role("button", name="Collapse all").click()
    assert page.evaluate("document.documentElement.scrollHeight") < 2200
    outline.get_by_role("link", name="import pandas").click()
    expect(page.locator(f"#cell-{TABLE}-body")).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("button", name="Expand all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    picture(page, "run-page-narrow", full=True)


@pytest.mark.long
def test_the_executed_notebook_is_downloaded_and_opened(page: Page, hub: RunningHub, rich: Run) -> None:
    opened(page, hub, rich.id)

    with page.expect_download() as notebook:
        page.get_by_role("link", name="Download .ipynb").click()
    assert notebook.value.suggested_filename == f"rich-{rich.id}.ipynb"
    read = nbformat.read(notebook.value.path(), as_version=4)
    assert read.cells[FAILS].outputs[-1].ename == "KeyError"
    with page.expect_download() as html:
        page.get_by_role("link", name="Download HTML").click()
    assert html.value.suggested_filename == f"rich-{rich.id}.html"
    saved = html.value.path().read_text()
    assert "<script" not in saved
    assert "Quarterly report" in saved
    assert "KeyError" in saved
    page.get_by_role("link", name="Open a copy in JupyterLab").click()
    page.wait_for_url("**/lab/**")
    expect(page.locator(".jp-Notebook")).to_contain_text("Quarterly report")
    copy = hub.home("ada") / "respawn-runs" / f"rich-{rich.id}.ipynb"
    assert nbformat.read(copy, as_version=4).cells[FAILS].source == read.cells[FAILS].source


@pytest.mark.long
def test_a_log_of_ten_megabytes_is_followed_and_searched(page: Page, hub: RunningHub) -> None:
    run = started(hub, "log", notebook(LONG_LOG, "import time; time.sleep(3)"))
    opened(page, hub, run)
    log = page.locator("#cell-0 .log")
    tail = log.locator("[data-part=log-tail]")

    expect(log.locator("[data-part=log-head]")).to_contain_text("0 of a long log")
    expect(page.locator("#cell-0 .badge").first).to_have_text("done")
    begun = unhindered()
    expect(tail).to_contain_text("the very last line")
    took = unhindered() - begun
    end = "box => box.scrollHeight - box.scrollTop - box.clientHeight"
    assert log.locator(".log-scroll").evaluate(end) < 2
    assert took < 5, f"the last line came {took:.1f} s after its cell had ended"
    assert page.evaluate("document.querySelectorAll('*').length") < 1000
    assert page.evaluate("document.body.textContent.length") < 200_000

    log.get_by_role("searchbox").fill("57000 OF")
    log.get_by_role("searchbox").press("Enter")
    expect(log.locator(".log-lines li")).to_have_count(1)
    log.locator(".log-lines button").click()
    expect(log.locator(".log-around")).to_contain_text("57001 of a long log")
    log.get_by_role("button", name="Show more of the end").click()
    expect(log.locator(".log-scroll .log-piece")).to_have_count(3)
    picture(page, "run-page-log")
    with page.expect_download() as raw:
        log.get_by_role("link", name="Download text").click()
    assert raw.value.path().read_text().count("\n") == 100_001


@pytest.mark.long
def test_outputs_reach_neither_the_page_nor_its_cookies_nor_the_network(page: Page, hub: RunningHub) -> None:
    with listening() as (elsewhere, heard):
        run = ended(hub, started(hub, "hostile", hostile_notebook(elsewhere)))
        assert run.state is RunState.SUCCEEDED, run.error
        gone: list[str] = []
        refused: list[str] = []
        # Before the page is opened: frames that are near load at once.
        page.on("requestfinished", lambda request: gone.append(request.url))
        page.on("popup", lambda popup: gone.append(f"popup {popup.url}"))
        page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
        opened(page, hub, run.id)
        frames = page.locator("iframe")
        assert frames.count() == 11
        for place in range(frames.count()):
            frames.nth(place).scroll_into_view_if_needed()
            page.wait_for_timeout(400)
        page.wait_for_timeout(1000)  # what an output does later than at once, it does by now

        attacks = [text for text in refused if elsewhere in text and "Content Security Policy" in text]
        assert len(attacks) > 10, "the attacks must have been tried, and refused"
        assert heard == []
        assert [url for url in gone if not url.startswith((f"{hub.url}/", "data:", "blob:"))] == []
        assert [url for url in gone if url.startswith(f"{hub.service_url}/api/")] == []
        assert "harmed" not in page.title()
        assert page.url == f"{hub.service_url}/runs/{run.id}"
        assert page.evaluate(
            "[...document.querySelectorAll('iframe')].every(frame => !frame.contentDocument)"
        )
