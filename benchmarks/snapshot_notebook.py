"""A notebook of 20 cells of half a second each over 1 GB, as `papermill` and as `respawn run` execute it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import nbformat
import numpy as np
from harness import BIN, Series, table
from nbformat.v4 import new_code_cell, new_notebook

_CELL_SECONDS = 0.5
_STEP = (
    "for _ in range({times}):\n    part = big[{start}:{start} + 2_000_000]\n    part += part.mean() * 0.001"
)


def twenty_cells(home: Path, quick: bool, rounds: int) -> list[Series]:
    """Measure both commands, in turn. Every cell writes to another part of the array."""
    floats = 5_000_000 if quick else 125_000_000
    cells, seconds = (4, 0.1) if quick else (20, _CELL_SECONDS)
    times = _times(seconds)
    sources = [f"import numpy as np\nbig = np.random.default_rng(0).random({floats})"]
    sources += [_STEP.format(times=times, start=n * 6_000_000 % (floats - 2_000_000)) for n in range(cells)]
    path = home / "cells.ipynb"
    notebook = new_notebook(
        cells=[new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, path)
    commands = {
        "papermill": [str(BIN / "papermill"), path.name, "out.ipynb"],
        "respawn run": [str(BIN / "respawn"), "run", path.name],
    }
    measured: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(max(rounds, 1 if quick else 3) + 1):
        for name in sorted(commands, reverse=number % 2 == 1):
            started = time.perf_counter()
            subprocess.run(commands[name], cwd=home, check=True, capture_output=True)
            if number:  # the first fills caches
                measured[name].append(time.perf_counter() - started)
    series = [Series(name, times) for name, times in measured.items()]
    table(f"{cells} cells of {seconds:g} s over {floats * 8 / 1e9:g} GB, the whole command", series)
    print(f"  respawn run / papermill = {series[1].median / series[0].median:.3f}")
    return series


def _times(seconds: float) -> int:
    """Return how often a step is done in the time that a cell is to take here."""
    part, done = np.random.default_rng(0).random(2_000_000), 0
    started = time.perf_counter()
    while time.perf_counter() - started < 1.0:
        part += part.mean() * 0.001
        done += 1
    return max(1, round(done * seconds))
