"""Short runs by the hundred: how many a minute, and how late they begin when many are due at once.

Throughput: a notebook of one cell, queued many times in the service with its local executor, from the first
start to the last end; beside it the `papermill` command called in a loop, both with the same number at once.
The service is the whole application on a port, without a hub, on SQLite and files. Its runners are warm;
their kernels are started for each run, as papermill's are.

Due times: from the time that schedules are due to their notebooks' first cells executing, as the notebooks
themselves write it down: one schedule alone, some minutes in a row, then a hundred in the same second.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from harness import BIN, Series, place, save, sleep_until, table, trivial_notebook

from respawn_hub.settings import Settings
from respawn_jobs.access import Actor
from respawn_jobs.ledger import Ledger
from respawn_jobs.models import RunState
from respawn_jobs.service import Promotion, RunRequest, ScheduleRequest, Service
from support.lonely import answering_hub
from support.service import whole_service
from support.waiting import wait_for


@contextmanager
def running_service(directory: Path, at_once: int) -> Iterator[Service]:
    """Run the service with its loops; yields it as one person sees it."""
    settings = Settings(data=directory / "data", max_running=at_once)
    ledger = Ledger.embedded(settings.data)
    try:
        with answering_hub() as hub, whole_service(settings, hub_port=hub, ledger=ledger):
            yield ledger.as_actor(Actor.owner("ada"))
    finally:
        ledger.close()


def papermill_loop(notebook: Path, count: int, at_once: int) -> float:
    """Call the papermill command again and again; return runs per minute."""

    def call(number: int) -> None:
        output = notebook.with_name(f"out-{number}.ipynb")
        subprocess.run([BIN / "papermill", notebook, output], check=True, capture_output=True)

    started = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(call, range(count)))
    return 60 * count / (time.monotonic() - started)


def queue_many(service: Service, notebook: Path, count: int) -> float:
    """Queue runs, and return how many a minute were executed, from the first start to the last end."""
    service.promote(Promotion(name="short", notebook=notebook.read_text()))
    warm = service.run(RunRequest(job="short")).id
    wait_for(lambda: service.show(warm).run.state.final, 60, "the first run")
    for _ in range(count):
        service.run(RunRequest(job="short"))
    wait_for(lambda: not open_runs(service), 20 * count, "all runs")
    runs = service.runs(job="short", limit=count)
    bad = [run for run in runs if run.state is not RunState.SUCCEEDED]
    if bad:
        raise SystemExit(f"{bad[0].id} ended as {bad[0].state}: {bad[0].error}")
    first = min(run.started_at for run in runs if run.started_at)
    last = max(run.finished_at for run in runs if run.finished_at)
    return 60 * count / (last - first).total_seconds()


def open_runs(service: Service) -> bool:
    """Tell whether a run waits or executes."""
    return bool(service.runs(states=[RunState.QUEUED, RunState.RUNNING], limit=1))


def lateness(service: Service, directory: Path, schedules: int, minutes: int) -> list[float]:
    """Return how many seconds after their due time the first cells of scheduled runs executed."""
    times = directory / f"times-{schedules}.txt"
    times.touch()
    source = f"import time\nwith open({str(times)!r}, 'a') as file:\n    print(time.time(), file=file)"
    notebook = trivial_notebook(directory / f"noting-{schedules}.ipynb", source)
    name = f"noting-{schedules}"
    service.promote(Promotion(name=name, notebook=notebook.read_text()))
    first = (time.time() + 20) // 60 * 60 + 60
    sleep_until(first - 20)
    made = [
        service.schedule(ScheduleRequest(job=name, cron="* * * * *", tz="UTC")).id for _ in range(schedules)
    ]
    sleep_until(first + 60 * (minutes - 1) + 5)
    for schedule in made:
        service.unschedule(schedule)
    wait_for(lambda: not open_runs(service), 600, "the runs that were due")
    noted = sorted(float(line) for line in times.read_text().splitlines())
    if len(noted) != schedules * minutes:
        raise SystemExit(f"{len(noted)} runs noted their start, not {schedules * minutes}")
    return [at - (first + 60 * (place // schedules)) for place, at in enumerate(noted)]


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=120, help="runs of the service; papermill gets a third")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--minutes", type=int, default=5, help="due times with nothing else running")
    parser.add_argument("--together", type=int, default=100, help="schedules that are due at once")
    given = parser.parse_args()

    ours: list[float] = []
    peers: list[float] = []
    with place() as home:
        notebook = trivial_notebook(home / "trivial.ipynb")
        for number in range(given.rounds):
            peers.append(papermill_loop(notebook, max(4, given.runs // 3), given.at_once))
            with running_service(home / f"round-{number}", given.at_once) as service:
                ours.append(queue_many(service, notebook, given.runs))
        idle: list[float] = []
        crowd: list[float] = []
        if given.minutes:
            with running_service(home / "due", given.at_once) as service:
                idle = lateness(service, home, 1, given.minutes)
                crowd = lateness(service, home, given.together, 1)

    ratio = statistics.median(ours) / statistics.median(peers)
    print(f"\nRuns of a trivial notebook per minute, {given.at_once} at once")
    for name, values in (("papermill", peers), ("respawn", ours)):
        print(f"  {name:10} {statistics.median(values):7.1f}  ({min(values):.1f} to {max(values):.1f})")
    print(f"  respawn / papermill = {ratio:.2f}")
    series = []
    if idle:
        series = [Series("one schedule", idle), Series(f"{given.together} at once", crowd)]
        table("From due to the first cell executing", series)
        for one in series:
            print(f"  {one.name}: 99th percentile {percentile(one.seconds, 0.99):.2f} s")
    save(
        "throughput", (__doc__ or "").strip(), series, ratio=ratio,
        runs_per_minute={"papermill": peers, "respawn": ours},
        p99={one.name: percentile(one.seconds, 0.99) for one in series},
    )  # fmt: skip


def percentile(values: list[float], share: float) -> float:
    """Return the smallest measurement that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
