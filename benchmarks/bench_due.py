"""From the time a schedule is due to the time its notebook's first cell executes, with the service idle.

Both contenders run the same notebook, whose only cell writes down the time. Respawn is a whole JupyterHub
with the service and its local executor, due in odd minutes. jupyter-scheduler is its extension in a Jupyter
server, its options untouched, the job defined over its REST API, due in even minutes. It looks for due jobs
every ten seconds, counted from the server's start, so a server is started for each measurement, at times that
spread evenly over those ten seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from harness import Series, place, save, sleep_until, table, trivial_notebook
from peer_scheduler import running_scheduler

from respawn_jobs.api.service import Promotion, ScheduleRequest, Service
from support.hub import running_hub
from support.waiting import wait_for

POLL_SECONDS = 10
"""How often jupyter-scheduler looks, by its defaults."""


def noting_notebook(directory: Path) -> tuple[Path, Path]:
    """Write a notebook that appends the time to a file; return both paths."""
    directory.mkdir()
    times = directory / "times.txt"
    times.touch()
    source = f"import time\nwith open({str(times)!r}, 'a') as file:\n    print(time.time(), file=file)"
    return trivial_notebook(directory / "notes.ipynb", source), times


def delays(times: Path) -> list[float]:
    """Return how far after a full minute each noted time is, in seconds."""
    return [float(line) % 60 for line in times.read_text().splitlines()]


def schedule_here(service: Service, notebook: Path) -> None:
    """Make the notebook a job that is due in odd minutes."""
    service.promote(Promotion(name="measured", notebook=notebook.read_text(), directory=str(notebook.parent)))
    service.schedule(ScheduleRequest(job="measured", cron="1-59/2 * * * *", tz="UTC"))


def measure_peer(directory: Path, due: float, phase: float) -> float:
    """Return the delay of one run of jupyter-scheduler that is due at `due`, an even minute."""
    notebook, times = noting_notebook(directory)
    with running_scheduler(directory, started=due - 40 + phase) as scheduler:
        scheduler.schedule(notebook.name, "*/2 * * * *")
        sleep_until(due)
        wait_for(lambda: delays(times), timeout=55, what="jupyter-scheduler's run")
    return delays(times)[0]


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="measurements of each; two minutes each")
    rounds = parser.parse_args().rounds

    with place() as home, running_hub(home / "hub", users=("ada",)) as hub:
        notebook, times = noting_notebook(home / "respawn-notes")
        schedule_here(hub.service("ada"), notebook)
        first = (time.time() + 45) // 120 * 120 + 120
        peer = [
            measure_peer(home / f"peer-{number}", first + 120 * number, POLL_SECONDS * number / rounds)
            for number in range(rounds)
        ]
        sleep_until(first + 120 * (rounds - 1) + 60)
        wait_for(lambda: len(delays(times)) >= rounds, timeout=55, what="Respawn's last run")
        series = [Series("jupyter-scheduler", peer), Series("respawn", delays(times)[-rounds:])]

    ratio = series[1].median / series[0].median
    table("From due to the first cell executing", series)
    print(f"  respawn / jupyter-scheduler = {ratio:.3f}")
    save("due", (__doc__ or "").strip(), series, ratio=ratio)


if __name__ == "__main__":
    main()
