"""From a debug link to JupyterLab on the failed cell, the user's server already running.

A JupyterHub with Respawn, and examples/diabetes_scores.ipynb failed on it in its standardized kernel. A real
Chromium, signed in, goes to the link. Times are counted from there to: the page that tells the steps;
JupyterLab asked for (the notebook is written, the kernel started, the variables restored); the failed cell in
view; the kernel idle, ready to type. Each round opens a run of its own; the first, whose browser has nothing
in its cache, is told apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import ROOT, Series, place, save, table
from playwright.sync_api import Page, sync_playwright

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
def signed_in(hub: RunningHub, user: str) -> Iterator[Page]:
    """Give a page of a fresh browser, signed in to the hub, with the user's server running."""
    hub.hub_api("POST", f"/users/{user}/server")
    wait_for(
        lambda: hub.hub_api("GET", f"/users/{user}").json()["servers"].get("", {}).get("ready"),
        timeout=120,
        what="the user's server",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{hub.url}/hub/login?next=/hub/home")
        page.fill("#username_input", user)
        page.fill("#password_input", hub.password)
        page.click("#login_submit")
        page.wait_for_url("**/hub/home")
        yield page
        browser.close()


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
    page.wait_for_selector(".respawn-failing-cell", state="visible", timeout=TIME_LIMIT_MS)
    note()
    page.wait_for_selector(
        ".jp-Notebook-ExecutionIndicator[data-status='idle']", state="visible", timeout=TIME_LIMIT_MS
    )
    note()
    return reached


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds

    with place() as home, running_hub(home / "hub", users=("ada",)) as hub:
        runs = [failed_run(hub.service("ada"), ROOT / "examples") for _ in range(rounds + 1)]
        with signed_in(hub, "ada") as page:
            first, *opened = [open_link(page, f"{hub.service_url}/debug/{run}") for run in runs]

    series = [Series(part, [times[number] for times in opened]) for number, part in enumerate(PARTS)]
    table("From the debug link to … (each counted from the link)", series)
    print(
        "  with an empty browser cache: "
        + ", ".join(f"{part} {at:.3f} s" for part, at in zip(PARTS, first, strict=True))
    )
    save("debug", (__doc__ or "").strip(), series, first=dict(zip(PARTS, first, strict=True)))


if __name__ == "__main__":
    main()
