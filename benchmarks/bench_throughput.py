"""Short runs by the hundred: how many a minute, and how late they begin when many are due at once.

Throughput: a notebook of one cell, and one of ten cells with pandas, queued many times in the service with
its local executor, from the first start to the last end; beside it the `papermill` command called in a loop,
both with the same number at once, in turns. The service is the whole application on a port, without a hub, on
SQLite and files. Its runners are warm; their kernels come from a zygote after the first run, papermill starts
each of its own plainly. The processor time of one run says what it costs, also on a machine that does other
work; that of papermill is of its processes. With --before the service of an earlier commit is measured as
well.

Due times: from the time that schedules are due to their notebooks' first cells executing, as the notebooks
themselves write it down: one schedule alone, some minutes in a row, then a hundred in the same second.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import nbformat
from harness import BIN, ROOT, Series, place, save, sleep_until, sources_of, table, trivial_notebook
from nbformat.v4 import new_code_cell, new_notebook
from throughput_process import open_runs, running_service

from respawn_jobs.api.service import Promotion, ScheduleRequest, Service
from support.notebooks import notebook, text
from support.waiting import wait_for

_PANDAS = """
import pandas as pd
table = pd.DataFrame({"key": range(1000), "value": range(1000)})
table["half"] = table.value / 2
table["group"] = table.key % 7
sums = table.groupby("group").value.sum()
joined = table.merge(sums.rename("total"), left_on="group", right_index=True)
joined["share"] = joined.value / joined.total
largest = joined.nlargest(5, "share")
largest
print(len(joined), float(joined.share.sum()))
"""


def pandas_notebook(path: Path) -> Path:
    """Write a notebook of ten cells, the lines above, and return its path.

    Its kernel is that of an environment which lists NumPy and pandas to be imported by its zygote.
    """
    kernel = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / "measured"
    kernel.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Measured",
        "language": "python",
        "metadata": {
            "respawn": {"environment": "measured", "lock": "0" * 64, "preload": ["numpy", "pandas"]}
        },
    }
    (kernel / "kernel.json").write_text(json.dumps(spec))
    lines = _PANDAS.strip().splitlines()
    made = new_notebook(
        cells=[new_code_cell(line, id=f"cell-{number}") for number, line in enumerate(lines)],
        metadata={"kernelspec": {"name": "measured", "display_name": "Measured", "language": "python"}},
    )
    nbformat.write(made, path)
    return path


def papermill_loop(notebook: Path, count: int, at_once: int) -> dict[str, Any]:
    """Call the papermill command again and again; return what `in_service` does."""

    def call(number: int) -> None:
        output = notebook.with_name(f"out-{number}.ipynb")
        subprocess.run([BIN / "papermill", notebook, output], check=True, capture_output=True)

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(call, range(count)))
    seconds = time.monotonic() - started
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return {"runs_per_minute": 60 * count / seconds, "seconds": {"all": processor / count}}


def in_service(sources: Path, notebook: Path, count: int, at_once: int, directory: Path) -> dict[str, Any]:
    """Execute runs in a service of some sources; return runs per minute and the processor seconds of one."""
    parts = ("hub_ext", "kernels", "papermill_jobs", "widgets")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(sources / part) for part in parts)}
    program = Path(__file__).with_name("throughput_process.py")
    command = [sys.executable, program, notebook, str(count), str(at_once), directory]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def lateness(service: Service, directory: Path, schedules: int, minutes: int) -> list[float]:
    """Return how many seconds after their due time the first cells of scheduled runs executed."""
    times = directory / f"times-{schedules}.txt"
    times.touch()
    source = f"import time\nwith open({str(times)!r}, 'a') as file:\n    print(time.time(), file=file)"
    name = f"noting-{schedules}"
    service.promote(Promotion(name=name, notebook=text(notebook(source, parameters="number = 0"))))
    first = (time.time() + 20) // 60 * 60 + 60
    sleep_until(first - 20)
    # Two schedules with the same times and parameters are refused.
    made = [
        service.schedule(
            ScheduleRequest(job=name, cron="* * * * *", tz="UTC", parameters={"number": number})
        ).id
        for number in range(schedules)
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
    parser.add_argument("--before", help="a commit whose service is measured beside this one")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--minutes", type=int, default=5, help="due times with nothing else running")
    parser.add_argument("--together", type=int, default=100, help="schedules that are due at once")
    given = parser.parse_args()

    with ExitStack() as stack:
        home = stack.enter_context(place())
        sources = {"respawn": ROOT}
        if given.before:
            sources[f"respawn at {given.before}"] = stack.enter_context(sources_of(given.before))
        notebooks = {
            "a trivial notebook": trivial_notebook(home / "trivial.ipynb"),
            "ten cells with pandas": pandas_notebook(home / "pandas.ipynb"),
        }
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for number, (name, notebook) in product(range(given.rounds), notebooks.items()):
            measured = found.setdefault(name, {})
            peer = papermill_loop(notebook, max(4, given.runs // 3), given.at_once)
            measured.setdefault("papermill", []).append(peer)
            for version, place_of in sources.items():
                directory = home / f"{number}-{notebook.stem}-{len(measured.get(version, ()))}-{version[-7:]}"
                one = in_service(place_of, notebook, given.runs, given.at_once, directory)
                measured.setdefault(version, []).append(one)
        idle: list[float] = []
        crowd: list[float] = []
        if given.minutes:
            with running_service(home / "due", given.at_once) as service:
                idle = lateness(service, home, 1, given.minutes)
                crowd = lateness(service, home, given.together, 1)

    for name, measured in found.items():
        show(name, measured, given.at_once)
    series = []
    if idle:
        series = [Series("one schedule", idle), Series(f"{given.together} at once", crowd)]
        table("From due to the first cell executing", series)
        for one in series:
            print(f"  {one.name}: 99th percentile {percentile(one.seconds, 0.99):.2f} s")
    save(
        "throughput", (__doc__ or "").strip(), series, measured=found,
        p99={one.name: percentile(one.seconds, 0.99) for one in series},
    )  # fmt: skip


def show(name: str, measured: dict[str, list[dict[str, Any]]], at_once: int) -> None:
    """Print one notebook's runs per minute and processor seconds, of each contender."""
    print(f"\nRuns per minute of {name}, {at_once} at once; processor time of one run")
    per_minute = {
        version: statistics.median(one["runs_per_minute"] for one in some)
        for version, some in measured.items()
    }
    for version, some in measured.items():
        every = [one["runs_per_minute"] for one in some]
        seconds = {
            part: statistics.median(one["seconds"].get(part, 0.0) for one in some)
            for part in some[0]["seconds"]
        }
        parts = ", ".join(f"{part} {1000 * used:.0f}" for part, used in seconds.items())
        print(
            f"  {version:18} {per_minute[version]:7.1f}  ({min(every):.1f} to {max(every):.1f})  "
            f"{per_minute[version] / per_minute['papermill']:5.2f} times papermill; "
            f"{1000 * sum(seconds.values()):.0f} ms ({parts})"
        )


def percentile(values: list[float], share: float) -> float:
    """Return the smallest measurement that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
