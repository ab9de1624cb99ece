"""From a debug link to JupyterLab on the failed cell, the user's server already running.

A JupyterHub with Respawn, and examples/diabetes_scores.ipynb failed on it in its standardized kernel. A real
Chromium, signed in, goes to the link. Times are counted from there to: the page that tells the steps;
JupyterLab asked for (the notebook is written, the kernel started, the variables restored); the failed cell in
view; the kernel idle, ready to type. Each round opens a run of its own; the first, whose browser has nothing
in its cache, is told apart. With --before the same is measured on the hub of an earlier commit, in turns.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness import ROOT, Series, place, save, sources_of, table
from playwright.sync_api import Browser, Page, sync_playwright

from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.model.runs import RunState
from support.hub import RunningHub, running_hub
from support.waiting import wait_for

PARTS = ("steps shown", "JupyterLab asked for", "failed cell in view", "kernel idle: ready")
CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIME_LIMIT_MS = 120_000
"""Milliseconds after which an opening counts as broken."""


def failed_run(service: Service, examples: Path) -> str:
    """Run the example that fails, and return the run once it has."""
    notebook = examples / "diabetes_scores.ipynb"
    service.promote(Promotion(name="diabetes-scores", notebook=notebook.read_text(), directory=str(examples)))
    run = service.run(RunRequest(job="diabetes-scores", parameters={"trees": 30})).id
    wait_for(lambda: service.show(run).run.state.final, timeout=180, what=f"{run} to end")
    state = service.show(run).run.state
    if state is not RunState.FAILED:
        raise RuntimeError(f"{run} was to fail at the renamed column, but it {state}")
    return run


@contextmanager
def hub_of(sources: Path, directory: Path, executor: str = "local") -> Iterator[RunningHub]:
    """Give a hub with the Respawn of some sources, and its plugin in JupyterLab.

    Args:
        sources: a tree of Respawn's sources.
        directory: an empty directory.
        executor: where jobs run, as `respawn_hub.configure` has it.
    """
    extensions = directory / "jupyter" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "respawn").symlink_to(sources / "hub_ext" / "respawn_server" / "labextension")
    parts = ("hub_ext", "kernels", "papermill_jobs", "widgets")
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(str(sources / part) for part in parts)
    server = {"JUPYTER_PATH": str(directory / "jupyter"), "RESPAWN_RESTORE": str(directory / "restore")}
    try:
        with running_hub(
            directory / "hub", users=("ada",), server_environment=server, executor=executor
        ) as hub:
            yield hub
    finally:
        os.environ["PYTHONPATH"] = before


def signed_in(browser: Browser, hub: RunningHub, user: str) -> Page:
    """Return a page without cache or cookies, signed in to the hub, with the user's server running."""
    hub.hub_api("POST", f"/users/{user}/server")
    wait_for(
        lambda: hub.hub_api("GET", f"/users/{user}").json()["servers"].get("", {}).get("ready"),
        timeout=120,
        what="the user's server",
    )
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.goto(f"{hub.url}/hub/login?next=/hub/home")
    page.fill("#username_input", user)
    page.fill("#password_input", hub.password)
    page.click("#login_submit")
    page.wait_for_url("**/hub/home")
    return page


def open_link(page: Page, link: str) -> list[float]:
    """Go to a debug link and return when each part was reached, in seconds since then."""
    start = time.perf_counter()
    reached: list[float] = []

    def note() -> None:
        reached.append(time.perf_counter() - start)

    page.goto(link, wait_until="commit")
    page.wait_for_url("**/respawn/debug/**", wait_until="domcontentloaded", timeout=TIME_LIMIT_MS)
    note()
    page.wait_for_url("**/lab/tree/**", wait_until="commit", timeout=TIME_LIMIT_MS)
    note()
    page.wait_for_selector(".respawn-failing-cell:visible", timeout=TIME_LIMIT_MS)
    note()
    page.wait_for_selector(
        ".jp-Notebook-ExecutionIndicator[data-status='idle']:visible", timeout=TIME_LIMIT_MS
    )
    note()
    return reached


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", help="a commit that is measured beside this one")
    given = parser.parse_args()

    with ExitStack() as stack:
        home = stack.enter_context(place())
        sources = {"": ROOT}
        if given.before:
            sources[f" at {given.before}"] = stack.enter_context(sources_of(given.before))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        stack.callback(browser.close)
        hubs = {
            name: stack.enter_context(hub_of(tree, home / f"hub{number}"))
            for number, (name, tree) in enumerate(sources.items())
        }
        runs = {
            name: [failed_run(hub.service("ada"), ROOT / "examples") for _ in range(given.rounds + 1)]
            for name, hub in hubs.items()
        }
        pages = {name: signed_in(browser, hub, "ada") for name, hub in hubs.items()}
        opened: dict[str, list[list[float]]] = {name: [] for name in hubs}
        for number in range(given.rounds + 1):
            for name, hub in hubs.items():
                opened[name].append(open_link(pages[name], f"{hub.service_url}/debug/{runs[name][number]}"))

    series, first = [], {}
    for name, (cold, *warm) in opened.items():
        series += [
            Series(part + name, [times[number] for times in warm]) for number, part in enumerate(PARTS)
        ]
        first |= {part + name: at for part, at in zip(PARTS, cold, strict=True)}
    table("From the debug link to … (each counted from the link)", series)
    print("  with an empty cache: " + ", ".join(f"{part} {at:.3f} s" for part, at in first.items()))
    save("debug", (__doc__ or "").strip(), series, first=first)


if __name__ == "__main__":
    main()
