"""Whether anything is lost or doubled while everything is killed, and how soon runs go on: the long form.

On PostgreSQL two replicas of the service, and on SQLite one, work through schedules in simulated time. They,
their runners and their connections are killed, frozen, told to stop and cut off by chance. Then all must
have come to its end, with every promise kept that `tests/support/chaos/checker.py` lists. A recovery is the
time from a runner's kill to the start of the next runner of the same run. Last, runs with real kernels, in
the machine's own time: kernels, runners and replicas are killed, and each run must compute what it would
have.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from harness import place, save

from respawn_jobs.model.runs import RunState
from respawn_jobs.store.database import Database
from support.chaos import kernels
from support.chaos.story import Plan, Report, run
from support.postgres import running_postgres

_TIME_LIMIT = 1800.0
"""Real seconds that each part of a test may take."""


def on_postgresql(plan: Plan, directory: Path) -> Report:
    """Run the test with a cluster of its own."""
    with running_postgres() as postgres:
        url = postgres.prepared()
        return run(plan, directory, url, lambda: postgres.disconnect(url))


def on_sqlite(plan: Plan, directory: Path) -> Report:
    """Run the test with one replica on a file."""
    url = f"sqlite:///{directory}/respawn.db"
    database = Database(url)
    database.prepare()
    database.close()
    return run(plan, directory, url)


def with_kernels(seed: int, runs: int, strikes: int, directory: Path) -> dict[str, Any]:
    """Run the test with real kernels; print what came of it, and return it."""
    with running_postgres() as postgres:
        url = postgres.prepared()
        story = kernels.run(seed, runs, strikes, directory, url, lambda: postgres.disconnect(url))
    print(f"\nReal kernels, PostgreSQL, two replicas, seed {seed}, {story.seconds:.0f} s")
    succeeded = sum(run.state is RunState.SUCCEEDED for run in story.runs)
    figures = {
        "runs": len(story.runs), "succeeded": succeeded, "attempts": story.attempts,
        "resumed": story.resumed, "faults in all": story.faults.total(),
    }  # fmt: skip
    for label, count in [*figures.items(), *story.faults.items(), ("violations", len(story.wrong))]:
        print(f"  {label:24} {count:6}")
    if story.wrong:
        print("\n".join([*story.wrong, story.log]), file=sys.stderr)
    return {"name": "real kernels", **figures, "faults": dict(story.faults), "violations": story.wrong}


def show(name: str, report: Report) -> dict[str, Any]:
    """Print what came of a test, and return it."""
    figures = report.as_dict()
    print(f"\n{name}, seed {report.plan.seed}, {figures['seconds']:.0f} s")
    for label in ("due_times", "runs", "attempts", "faults_in_all"):
        print(f"  {label.replace('_', ' '):24} {figures[label]:6}")
    for fault, count in sorted(report.faults.items(), key=lambda item: -item[1]):
        print(f"    {fault:22} {count:6}")
    median, p99 = figures["recovery_median_s"], figures["recovery_p99_s"]
    print(f"  {'recovery, median':24} {median if median is not None else '-':>6} s")
    print(f"  {'recovery, p99':24} {p99 if p99 is not None else '-':>6} s")
    print(f"  {'violations':24} {len(report.violations):6}")
    if report.violations:
        print(report.story, file=sys.stderr)
    return {"name": name, **figures}


def main() -> int:
    """Run the tests; return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--due", type=int, default=2000, help="due times on PostgreSQL")
    parser.add_argument("--strikes", type=int, default=540, help="faults on PostgreSQL; some find nothing")
    parser.add_argument(
        "--kernels", type=int, default=40, help="runs with real kernels; faults are twice as many"
    )
    parser.add_argument("--rate", type=float, default=40.0, help="simulated seconds in a real one")
    arguments = parser.parse_args()
    seed, due, strikes, rate = arguments.seed, arguments.due, arguments.strikes, arguments.rate
    with place() as home:
        first, second, third = home / "postgresql", home / "sqlite", home / "kernels"
        for directory in (first, second, third):
            directory.mkdir()
        large = Plan(seed, due, strikes, rate=rate, time_limit=_TIME_LIMIT)
        small = Plan(seed, due // 10, strikes // 10, rate=rate, replicas=1, time_limit=_TIME_LIMIT)
        results = [
            show("PostgreSQL, two replicas", on_postgresql(large, first)),
            show("SQLite, one replica", on_sqlite(small, second)),
            with_kernels(seed, arguments.kernels, 2 * arguments.kernels, third),
        ]
    save("chaos", " ".join((__doc__ or "").split()), [], results=results)
    print(json.dumps(results, indent=2))
    return int(any(result["violations"] for result in results))


if __name__ == "__main__":
    sys.exit(main())
