"""`papermill` and `respawn run` on the same trivial notebook: the whole command, from start to exit.

Both run in the same environment with the same kernel, one after the other, the order turned round each time,
after one run of each that does not count (it fills file caches and makes Respawn's store).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from pathlib import Path

from harness import BIN, Series, place, save, table, trivial_notebook


def seconds_of(command: list[str], directory: Path) -> float:
    """Run a command to its end and return how long it took."""
    start = time.perf_counter()
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds

    with place() as home:
        notebook = trivial_notebook(home / "trivial.ipynb")
        commands = {
            "papermill": [str(BIN / "papermill"), notebook.name, "out.ipynb"],
            "respawn run": [str(BIN / "respawn"), "run", notebook.name],
        }
        first = {name: seconds_of(command, home) for name, command in commands.items()}
        measured: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds):
            for name in sorted(commands, reverse=number % 2 == 1):
                measured[name].append(seconds_of(commands[name], home))

    series = [Series(name, times) for name, times in measured.items()]
    ratio = series[1].median / series[0].median
    table(f"A trivial notebook, the whole command ({os.cpu_count()} cores)", series)
    print(f"  respawn run / papermill = {ratio:.2f}")
    save("run", (__doc__ or "").strip(), series, ratio=ratio, first=first)


if __name__ == "__main__":
    main()
