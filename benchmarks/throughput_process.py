"""One measurement of `bench_throughput.py`, a process of its own: its packages may be of another commit.

    python throughput_process.py NOTEBOOK RUNS AT_ONCE DIRECTORY

It prints JSON: runs per minute, and the processor seconds that a run took of the service, its runners, their
kernels and the zygotes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import harness  # noqa: F401  the tests' servers are on the path once it is imported

from respawn_hub.startup.settings import Settings
from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, RunRequest, Service
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from support.lonely import answering_hub
from support.service import whole_service
from support.waiting import rest, wait_for

_TICKS = os.sysconf("SC_CLK_TCK")
_PARTS = {"respawn_jobs.runner.worker": "runners", "warm.zygote": "zygotes and their kernels that live"}


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


def open_runs(service: Service) -> bool:
    """Return whether a run waits or executes."""
    return bool(service.runs(states=[RunState.QUEUED, RunState.RUNNING], limit=1))


def queue_many(service: Service, notebook: Path, count: int) -> tuple[float, dict[str, float]]:
    """Queue runs after a first one; return how many a minute ended, and the processor seconds of one."""
    service.promote(Promotion(name="short", notebook=notebook.read_text()))
    warm = service.run(RunRequest(job="short")).id
    wait_for(lambda: service.show(warm).run.state.final, 60, "the first run")
    before = processor_seconds()
    for _ in range(count):
        service.run(RunRequest(job="short"))
    give_up = time.monotonic() + 20 * count
    while open_runs(service):  # seldom: what asking takes is the service's time, and no run needs it
        if time.monotonic() > give_up:
            raise SystemExit("the runs did not end")
        rest(1.0)
    used = processor_seconds() - before
    runs = service.runs(job="short", limit=count)
    bad = [run for run in runs if run.state is not RunState.SUCCEEDED]
    if bad:
        raise SystemExit(f"{bad[0].id} ended as {bad[0].state}: {bad[0].error}")
    first = min(run.started_at for run in runs if run.started_at)
    last = max(run.finished_at for run in runs if run.finished_at)
    return 60 * count / (last - first).total_seconds(), {part: used[part] / count for part in sorted(used)}


def processor_seconds() -> Counter[str]:
    """Return the processor seconds of this process and all below it, by part."""
    found: Counter[str] = Counter()
    parents: dict[int, tuple[int, float, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            own, ended = (sum(map(int, fields[at : at + 2])) / _TICKS for at in (11, 13))
            parents[int(entry.name)] = int(fields[1]), own, ended
    waiting = [os.getpid()]
    while waiting:
        pid = waiting.pop()
        _, own, ended = parents[pid]
        part = "service" if pid == os.getpid() else _part_of(pid)
        found[part] += own
        if part == "runners":
            found["kernels that ended"] += ended
        waiting += [child for child, (parent, _, _) in parents.items() if parent == pid]
    return found


def _part_of(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return "others"
    return next((part for word, part in _PARTS.items() if word in command), "others")


def main() -> None:
    """Measure, and print."""
    notebook, runs, at_once, directory = sys.argv[1:]
    with running_service(Path(directory), int(at_once)) as service:
        per_minute, seconds = queue_many(service, Path(notebook), int(runs))
    print(json.dumps({"runs_per_minute": per_minute, "seconds": seconds}))


if __name__ == "__main__":
    main()
