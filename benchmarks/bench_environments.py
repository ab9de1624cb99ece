"""`respawn kernels build science`: from a warm package cache, and a second time; beside venv and pip.

All are the whole command, from start to exit; what processors did is told beside, for a busy machine. The
first round does not count: it fills the package caches. Each build is in a directory of its own, so that
nothing of the one before is there. `--environment base` is quicker.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness import BIN, ROOT, Series, place, save, table


def seconds_of(*commands: list[str]) -> tuple[float, float]:
    """Run commands one after the other; return the seconds that passed, and those of processors."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


def build(name: str, directory: Path) -> list[str]:
    """Return the command that builds the environment and installs its kernel, all below a directory."""
    places = ["--root", str(directory / "envs"), "--prefix", str(directory / "prefix")]
    return [str(BIN / "respawn"), "kernels", "build", name, *places]


def by_hand(name: str, directory: Path) -> tuple[list[str], list[str]]:
    """Return the commands that install the same lock by venv and pip."""
    lock = ROOT / "images" / name / "requirements.lock"
    pip = [str(directory / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    return ([sys.executable, "-m", "venv", str(directory / "venv")], [*pip, "--no-deps", "-r", str(lock)])


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environment", default="science")
    options = parser.parse_args()
    rounds, environment = options.rounds, options.environment

    names = ("venv and pip", "respawn kernels build", "… a second time")
    measured: dict[str, list[float]] = {name: [] for name in names}
    processors: dict[str, list[float]] = {name: [] for name in names}
    with place() as home:
        for number in range(rounds + 1):
            directory = home / str(number)
            taken = (
                seconds_of(*by_hand(environment, directory)),
                seconds_of(build(environment, directory)),
                seconds_of(build(environment, directory)),
            )
            shutil.rmtree(directory)
            if number:
                for name, (seconds, used) in zip(names, taken, strict=True):
                    measured[name].append(seconds)
                    processors[name].append(used)

    series = [Series(name, times) for name, times in measured.items()]
    ratio = series[1].median / series[0].median
    table(f"The environment {environment}, the whole command ({os.cpu_count()} cores)", series)
    print(f"  respawn kernels build / venv and pip = {ratio:.2f}")
    used = {name: statistics.median(times) for name, times in processors.items()}
    print("  seconds of processors: " + ", ".join(f"{name} {one:.2f}" for name, one in used.items()))
    more = {"ratio": ratio, "environment": environment, "processor_seconds": used}
    save("environments", (__doc__ or "").strip(), series, **more)


if __name__ == "__main__":
    main()
