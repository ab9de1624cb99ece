"""One scheduler pass over many schedules, and the API's pages over many past runs, on both databases.

A pass is `queue_due` and `next_due`, with nothing due and with ten schedules due of 10, 1,000 and 100,000.
A page is what the API answers from: the service's method in-process, its queries and the making of its
answer, without HTTP. Namespaces, jobs, runs and places in the history are drawn at random from a seed; one
namespace holds three runs of ten. Rows are inserted in bulk, and statistics brought up to date.
SQLite is a file; PostgreSQL is a cluster of its own with its defaults, but for fsync, which reads do not use.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness import Series, place, save
from scheduler_rows import NAMESPACES, History, fill_runs, fill_schedules, make_due

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Service
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.database import Database
from support.postgres import running_postgres

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LIMIT_SECONDS = 0.05
"""What the 95th percentile of a page must stay under."""
_DUE = 10
_FAILED = [RunState.FAILED, RunState.TIMED_OUT, RunState.LOST]


@dataclass(frozen=True)
class Python:
    """The kernel that all jobs name."""

    name: str = "python3"
    language: str = "python"
    lock: str | None = None


def open_ledger(url: str, directory: Path) -> Ledger:
    """Open a fresh store at a fixed time."""
    database = Database(url)
    database.prepare()
    blobs = BlobStore((directory / "blobs").as_uri())
    return Ledger(database, blobs, clock=lambda: NOW, new_kernel_check=lambda _: Python())


@contextmanager
def databases(directory: Path, *, label: str) -> Iterator[list[tuple[str, Ledger]]]:
    """Give a fresh ledger on each database."""
    with running_postgres() as cluster:
        ledgers = [
            ("SQLite", open_ledger(f"sqlite:///{directory / label}.db", directory)),
            ("PostgreSQL", open_ledger(cluster.empty(), directory)),
        ]
        yield ledgers
        for _, ledger in ledgers:
            ledger.close()


def measured(name: str, call: Callable[[], object], times: int) -> Series:
    """Return how long a call takes, after a few that warm it up."""
    for _ in range(6):  # psycopg prepares a statement at its sixth use
        call()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(round(time.perf_counter() - began, 6))
    return Series(name, seconds)


def passes(kind: str, ledger: Ledger, counts: list[int], times: int) -> Iterator[Series]:
    """Measure passes over growing numbers of schedules."""

    def one_pass() -> None:
        ledger.queue_due()
        ledger.next_due()

    there = 0
    for count in counts:
        fill_schedules(ledger.database, NOW, there, count)
        there = count
        yield measured(f"{kind}, {count:,} schedules, none due", one_pass, times)
        seconds = []
        for _ in range(max(5, times // 10)):
            make_due(ledger.database, NOW, _DUE)
            began = time.perf_counter()
            queued = ledger.queue_due()
            ledger.next_due()
            seconds.append(round(time.perf_counter() - began, 6))
            assert len(queued) == _DUE, queued
        yield Series(f"{kind}, {count:,} schedules, {_DUE} due", seconds)


def pages(kind: str, ledger: Ledger, history: History, times: int) -> Iterator[Series]:
    """Measure each page of the API."""
    dice = random.Random(20)
    admin = ledger.as_actor(Actor.owner("admin"))
    largest, small = reader(ledger, NAMESPACES[:1]), reader(ledger, NAMESPACES[-1:])
    forty = reader(ledger, NAMESPACES[:40])

    def job() -> str:
        return dice.choice(history.jobs)

    def run() -> str:
        return dice.choice(history.some_runs)

    def long_ago() -> datetime:
        return NOW - dice.random() * (NOW - history.first)

    calls: dict[str, Callable[[], object]] = {
        "runs of everything": lambda: admin.runs(),
        "runs of the largest namespace": lambda: largest.runs(),
        "runs of a small namespace": lambda: small.runs(),
        "runs of 40 namespaces": lambda: forty.runs(),
        "failed runs of everything": lambda: admin.runs(states=_FAILED),
        "failed runs of 40 namespaces": lambda: forty.runs(states=_FAILED),
        "lost runs of a small namespace": lambda: small.runs(states=[RunState.LOST]),
        "queued runs of everything": lambda: admin.runs(states=[RunState.QUEUED]),
        "runs of a job": lambda: admin.runs(job=job()),
        "failed runs of a job": lambda: admin.runs(job=job(), states=_FAILED),
        "deep page of everything": lambda: admin.runs(before=run()),
        "deep page of 40 namespaces": lambda: forty.runs(before=long_ago()),
        "deep page of a small namespace": lambda: small.runs(before=long_ago()),
        "deep page of a job": lambda: admin.runs(job=job(), before=long_ago()),
        "one run": lambda: admin.show(run()),
        "jobs of a namespace": lambda: admin.jobs(dice.choice(NAMESPACES)),
        "one job": lambda: admin.job(job()),
        "audit of everything": lambda: admin.audit(),
        "audit of 40 namespaces": lambda: forty.audit(),
    }
    for name, call in calls.items():
        yield measured(f"{kind}, {name}", call, times)


def reader(ledger: Ledger, namespaces: list[str]) -> Service:
    """Return the service as somebody sees it who may read these namespaces."""
    teams = (namespace.removeprefix("team/") for namespace in namespaces)
    return ledger.as_actor(Actor("reader", frozenset(f"custom:respawn:read!group={team}" for team in teams)))


def p95(series: Series) -> float:
    """Return the 95th percentile, in seconds."""
    return statistics.quantiles(series.seconds, n=20)[-1]


def show(title: str, series: list[Series]) -> None:
    """Print a line for each, in milliseconds."""
    print(f"\n{title}")
    width = max(len(one.name) for one in series)
    print(f"  {'':{width}}    median       p95       max    n")
    for one in series:
        figures = (one.median, p95(one), max(one.seconds))
        told = " ".join(f"{figure * 1000:6.2f} ms" for figure in figures)
        print(f"  {one.name:{width}} {told} {len(one.seconds):4d}")


def main() -> None:
    """Measure, print and save; the exit status says whether every page was quick enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="past runs that pages are over")
    parser.add_argument("--times", type=int, default=200, help="measurements of each page and pass")
    parser.add_argument("--quick", action="store_true", help="50,000 runs, 10,000 schedules, 40 measurements")
    options = parser.parse_args()
    runs, times = (50_000, 40) if options.quick else (options.runs, options.times)
    counts = [10, 1_000, 10_000] if options.quick else [10, 1_000, 100_000]
    with place() as home:
        with databases(home, label="schedules") as ledgers:
            over_schedules = [one for kind, ledger in ledgers for one in passes(kind, ledger, counts, times)]
        show("One scheduler pass", over_schedules)
        over_runs: list[Series] = []
        with databases(home, label="runs") as ledgers:
            for kind, ledger in ledgers:
                history = fill_runs(ledger.database, NOW, runs)
                over_runs += pages(kind, ledger, history, times)
        show(f"Pages of 50 over {runs:,} runs", over_runs)
    slow = [one.name for one in over_runs if p95(one) >= LIMIT_SECONDS]
    save("scheduler", __doc__ or "", [*over_schedules, *over_runs], runs=runs, slow=slow)
    if slow:
        raise SystemExit(f"slower than {LIMIT_SECONDS * 1000:.0f} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
