"""What many people's jobs, due in the same minute, cost the service and the hub: CPU, and requests by kind.

Each person has some jobs, which a real service schedules for one minute in servers of a real hub. The hub's
Spawner starts no processes: one process plays all servers by the real protocol, and ends each run at once.
Counted are the requests that the hub answers to the service, and CPU seconds of both, from half a minute
before the due time until all servers have been stopped for want of work. What service and hub do beside, the
service's own looks among it, is in these figures; `idle` has the requests of a minute without jobs.

    .venv/bin/python benchmarks/bench_hub_users.py    # 200 people with one job, then with three: ten minutes
    .venv/bin/python benchmarks/bench_hub_users.py --users 10 --jobs-per-user 2
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from harness import place, save, sleep_until
from sqlalchemy import func, select

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ScheduleRequest
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import RunState
from respawn_jobs.store.tables import RunRow
from support.hub import RunningHub, running_hub
from support.notebooks import notebook, text
from support.ports import free_port
from support.waiting import wait_for

HERE = Path(__file__).parent
IDLE_SECONDS = 20
AHEAD_SECONDS = 30
IDLE_MINUTE_SECONDS = 60
_CONFIG = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import played_spawner
c.JupyterHub.spawner_class = played_spawner.PlayedSpawner
c.JupyterHub.tornado_settings = {{"log_function": played_spawner.counted}}
c.JupyterHub.concurrent_spawn_limit = 0
"""


@dataclass
class Measured:
    """What came of one number of jobs."""

    users: int
    jobs_per_user: int
    runs: int = 0
    seconds: float = 0.0
    """From the due time to the end of the last run."""
    service_cpu: float = 0.0
    hub_cpu: float = 0.0
    window: float = 0.0
    """Seconds in which was measured."""
    requests: dict[str, int] = field(default_factory=dict)
    idle: dict[str, int] = field(default_factory=dict)
    """Requests of a minute without jobs."""


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=200, help="people, each with jobs")
    parser.add_argument(
        "--jobs-per-user", type=int, nargs="+", default=[1, 3], help="measured one after another"
    )
    given = parser.parse_args()
    found = []
    for jobs in given.jobs_per_user:
        with place() as home:
            found.append(measure(home, given.users, jobs))
        show(found[-1])
    save("hub_users", (__doc__ or "").strip(), [], measured=[asdict(one) for one in found])


def measure(home: Path, users: int, jobs: int) -> Measured:
    """Have the jobs of all people run once, and return what that cost."""
    names = [f"u{number:03}" for number in range(users)]
    requests = home / "requests"
    requests.touch()
    measured = Measured(users, jobs)
    settings = {
        "RESPAWN_JOB_SERVER_IDLE_SECONDS": str(IDLE_SECONDS),
        "RESPAWN_JOB_SERVER_AHEAD_SECONDS": str(AHEAD_SECONDS),
    }
    with played_servers() as address:
        os.environ |= {"PLAYED_SERVERS": address, "PLAYED_REQUESTS": str(requests)}
        with running_hub(
            home / "hub", users=names, executor="hub", service_environment=settings, extra=_CONFIG
        ) as hub:
            ledger = Ledger.embedded(hub.data)
            try:
                prepare(hub, names)
                play(hub, ledger, measured, names, requests)
            finally:
                ledger.close()
    return measured


@contextmanager
def played_servers() -> Iterator[str]:
    """Start the process that plays all servers; yields its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, HERE / "played_servers.py", str(port)], stdin=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def prepare(hub: RunningHub, names: list[str]) -> None:
    """Have the hub know all people, as it does once they have signed in."""
    for name in names:
        assert hub.hub_api("POST", f"/users/{name}").status_code in (201, 409), name


def play(hub: RunningHub, ledger: Ledger, measured: Measured, names: list[str], requests: Path) -> None:
    """Wait for the due time, and until all is over."""
    before = asked(requests)
    time.sleep(IDLE_MINUTE_SECONDS)
    measured.idle = dict(asked(requests) - before)

    people = [ledger.as_actor(Actor.owner(name)) for name in names]
    source = text(notebook("print(1)"))
    jobs = [f"job-{number}" for number in range(measured.jobs_per_user)]
    for person in people:
        for job in jobs:
            person.promote(Promotion(name=job, notebook=source))
    ready = datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS + 10 + 0.05 * len(people) * len(jobs))
    due = ready.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for person in people:
        for job in jobs:
            cron = f"{due.minute} {due.hour} * * *"
            person.schedule(ScheduleRequest(job=job, cron=cron, tz="UTC"))
    begin = due.timestamp() - AHEAD_SECONDS - 5
    assert time.time() < begin, "the schedules were made too late; there are too many for this machine"
    sleep_until(begin)

    service, hub_process = hub.service_process(), psutil.Process(hub.process.pid)
    before, cpu = asked(requests), (used(service), used(hub_process))
    started = time.monotonic()
    everything = len(people) * len(jobs)
    sleep_until(due.timestamp())
    wait_for(lambda: states(ledger).get(RunState.SUCCEEDED.value) == everything, 900, "all runs")
    measured.seconds = time.time() - due.timestamp()
    measured.runs = sum(states(ledger).values())
    wait_for(lambda: not ledger.job_servers() and not ledger.unwanted_job_servers(), 600, "all servers to go")
    measured.window = time.monotonic() - started
    measured.service_cpu, measured.hub_cpu = used(service) - cpu[0], used(hub_process) - cpu[1]
    measured.requests = dict(asked(requests) - before)


def states(ledger: Ledger) -> dict[str, int]:
    """Count all runs by state."""
    query = select(RunRow.state, func.count()).group_by(RunRow.state)
    with ledger.database.session() as session:
        return {row[0]: row[1] for row in session.execute(query)}


def used(process: psutil.Process) -> float:
    """Return the CPU seconds of a process."""
    times = process.cpu_times()
    return times.user + times.system


def asked(requests: Path) -> Counter[str]:
    """Count what the service has asked of the hub, by method and kind of path."""
    lines = (json.loads(line) for line in requests.read_text().splitlines())
    ours = (line for line in lines if line["who"] == "respawn" or by_token(line))
    return Counter(f"{line['method']} {kind_of(line['path'])}" for line in ours)


def by_token(line: dict[str, str]) -> bool:
    """Whether it is the question whose a token is, which the service asks with that token."""
    return line["path"] == "/hub/api/user"


def kind_of(path: str) -> str:
    """Return a path of the hub's API without names."""
    plain = re.sub(r"/servers/[^/]+", "/servers/NAME", path.removeprefix("/hub/api"))
    return re.sub(r"/users/[^/]+", "/users/NAME", plain)


def show(measured: Measured) -> None:
    """Print a table."""
    one = measured
    print(f"\n{one.users} people, {one.jobs_per_user} jobs each: {one.runs} runs ended {one.seconds:.1f} s")
    print(f"or less after they were due; measured for {one.window:.0f} s")
    print(f"  {'':34}     all   a person   a run   idle minute")
    for kind, count in sorted(one.requests.items(), key=lambda item: -item[1]):
        idle = one.idle.get(kind, 0)
        print(f"  {kind:34} {count:7d} {count / one.users:10.2f} {count / one.runs:7.2f} {idle:13d}")
    for name, seconds in (("CPU s of the service", one.service_cpu), ("CPU s of the hub", one.hub_cpu)):
        print(f"  {name:34} {seconds:7.2f} {seconds / one.users:10.3f} {seconds / one.runs:7.3f}")


if __name__ == "__main__":
    main()
