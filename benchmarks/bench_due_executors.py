"""From the time a schedule is due to the time its first cell executes, by where the run executes.

Four hubs at once, each with a service that is idle; each run is due in a minute of its own. `local`: beside
the service. `hub, warm`: in a job server that is there already. `hub, ahead`: in one that is started half a
minute before the due time. `hub, cold`: in one that is started when the run waits. These two end when they
are idle. The notebook writes down the time. Beside them how long a named server of this hub takes to start.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path

from bench_due import delays, noting_notebook
from harness import Series, place, save, sleep_until, table

from respawn_jobs.api.service import Promotion, RunRequest, ScheduleRequest
from support.hub import RunningHub, running_hub
from support.servers import finished
from support.waiting import wait_for

CONTENDERS: dict[str, tuple[str, dict[str, str]]] = {
    "local": ("local", {}),
    "hub, warm": ("hub", {"RESPAWN_JOB_SERVER_IDLE_SECONDS": "3600"}),
    "hub, ahead": ("hub", {"RESPAWN_JOB_SERVER_IDLE_SECONDS": "20"}),
    "hub, cold": (
        "hub",
        {"RESPAWN_JOB_SERVER_IDLE_SECONDS": "20", "RESPAWN_JOB_SERVER_AHEAD_SECONDS": "0"},
    ),
}


def prepare(hub: RunningHub, directory: Path, minute: int) -> Path:
    """Make the notebook a job that is due in a minute of its own; return where it writes the times."""
    notebook, times = noting_notebook(directory)
    service = hub.service("ada")
    service.promote(Promotion(name="measured", notebook=notebook.read_text(), directory=str(directory)))
    finished(hub, service.run(RunRequest(job="measured")).id)  # a first run has everything to import
    times.write_text("")
    cron = f"{minute}-59/{len(CONTENDERS)} * * * *"
    service.schedule(ScheduleRequest(job="measured", cron=cron, tz="UTC"))
    return times


def server_start(hub: RunningHub) -> float:
    """Return how many seconds a named server of the hub takes to start."""
    begun = time.perf_counter()
    assert hub.hub_api("POST", "/users/ada/servers/plain").status_code in (201, 202)
    wait_for(lambda: hub.hub_api("GET", "/users/ada").json()["servers"]["plain"]["ready"], 120, "a server")
    took = time.perf_counter() - begun
    hub.hub_api("DELETE", "/users/ada/servers/plain")
    return took


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each; four minutes a round")
    rounds = parser.parse_args().rounds

    with place() as home, ExitStack() as stack:
        times, starts = {}, list[float]()
        for minute, (name, (executor, settings)) in enumerate(CONTENDERS.items()):
            hub = stack.enter_context(
                running_hub(
                    home / f"hub-{minute}", users=("ada",), executor=executor, service_environment=settings
                )
            )
            times[name] = prepare(hub, home / f"notes-{minute}", minute)
            if name == "hub, cold":
                starts = [server_start(hub) for _ in range(rounds)]
        cycle = 60 * len(CONTENDERS)
        first = (time.time() + 60) // cycle * cycle + cycle
        for path in times.values():
            path.write_text("")
        sleep_until(first + cycle * rounds - 10)
        for name, path in times.items():
            wait_for(lambda path=path: len(delays(path)) >= rounds, 60, f"the last run of {name}")
        series = [Series(name, delays(path)[-rounds:]) for name, path in times.items()]

    series.append(Series("a server's own start", starts))
    by_name = {one.name: one.median for one in series}
    warm = by_name["hub, warm"] / by_name["local"]
    ahead = by_name["hub, ahead"] / by_name["local"]
    cold = by_name["hub, cold"] - by_name["a server's own start"]
    table("From due to the first cell executing", series)
    print(f"  hub, warm / local = {warm:.2f}; hub, ahead / local = {ahead:.2f}")
    print(f"  hub, cold - a server's own start = {cold:.2f} s")
    save("due_executors", (__doc__ or "").strip(), series, warm=warm, ahead=ahead, cold_seconds=cold)


if __name__ == "__main__":
    main()
