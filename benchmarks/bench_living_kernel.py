"""From a debug link to JupyterLab on the failed cell, at the kernel that failed and at a restored one.

A JupyterHub whose jobs run in servers of their owners, and examples/diabetes_scores.ipynb failed there. A
real Chromium, signed in, goes to each run's link, which leads to the kernel that lives on in the job server,
and to the same link with `restored=true`, which leads to the person's own server, which runs too. Each is
counted to the same parts as in bench_debug.py. The first opening of each kind, with an empty cache, is told
apart.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from bench_debug import CHROMIUM, PARTS, QUIET, failed_run, hub_of, open_link, signed_in
from harness import ROOT, Series, place, save, table
from playwright.sync_api import sync_playwright

from support.waiting import wait_for

WAYS = {"": "at the kernel that failed", "?restored=true": "restored"}


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with ExitStack() as stack:
        home = stack.enter_context(place())
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        stack.callback(browser.close)
        hub = stack.enter_context(hub_of(ROOT, home / "hub", "hub"))
        service = hub.service("ada")
        page = signed_in(browser, hub, "ada")
        opened: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for _ in range(given.rounds + 1):
            run = failed_run(service, ROOT / "examples")
            wait_for(lambda run=run: service.show(run).living, 60, f"the kernel of {run}")  # type: ignore[misc]
            for way, times in opened.items():
                times.append(open_link(page, f"{hub.service_url}/debug/{run}{way}"))
    series, first = [], {}
    for way, (cold, *warm) in opened.items():
        names = [f"{part}, {WAYS[way]}" for part in PARTS]
        series += [Series(name, [times[number] for times in warm]) for number, name in enumerate(names)]
        first |= dict(zip(names, cold, strict=True))
    table("From the debug link to … (each counted from the link)", series)
    print("  with an empty cache: " + ", ".join(f"{name} {at:.3f} s" for name, at in first.items()))
    save("living_kernel", (__doc__ or "").strip(), series, first=first)


if __name__ == "__main__":
    main()
