"""What the benchmarks share: notebooks to run, a place for their data, medians, tables and result files."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
RESULTS = Path(__file__).parent / "results"

# The servers that tests start are the ones to measure.
sys.path.insert(0, str(ROOT / "tests"))


@dataclass(frozen=True)
class Series:
    """The measurements of one contender, in seconds."""

    name: str
    seconds: list[float]

    @property
    def median(self) -> float:
        """The middle measurement."""
        return statistics.median(self.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for the result file."""
        return {"name": self.name, "median": self.median, "seconds": self.seconds}


def trivial_notebook(path: Path, source: str = "print('hello')") -> Path:
    """Write a notebook of one code cell for the plain Python kernel, and return its path."""
    notebook = new_notebook(
        cells=[new_code_cell(source, id="only")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, path)
    return path


@contextmanager
def place() -> Iterator[Path]:
    """Give a directory that is removed afterwards, which programs take for the person's home."""
    with tempfile.TemporaryDirectory(prefix="respawn-bench-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        changed = {
            "HOME": home,
            "XDG_CACHE_HOME": home / "cache",
            "JUPYTER_DATA_DIR": home / "jupyter" / "data",
            "JUPYTER_CONFIG_DIR": home / "jupyter" / "config",
            "JUPYTER_RUNTIME_DIR": home / "jupyter" / "runtime",
            "IPYTHONDIR": home / "ipython",
            "RESPAWN_DATA": home / "respawn",
            "RESPAWN_RESTORE": home / "restore",
        }
        before = dict(os.environ)
        os.environ.update({name: str(value) for name, value in changed.items()})
        os.environ["PATH"] = f"{BIN}{os.pathsep}{before.get('PATH', '')}"
        try:
            yield home
        finally:
            os.environ.clear()
            os.environ.update(before)


def table(title: str, series: Sequence[Series]) -> None:
    """Print one line per contender: median, range, and how many times were measured."""
    print(f"\n{title}")
    width = max(len(one.name) for one in series)
    print(f"  {'':{width}}   median      min      max    n")
    for one in series:
        low, high = min(one.seconds), max(one.seconds)
        print(f"  {one.name:{width}} {one.median:7.3f} s {low:6.3f} s {high:6.3f} s {len(one.seconds):4d}")


def save(name: str, how: str, series: Sequence[Series], **more: Any) -> Path:
    """Write the measurements with what they were made on, and return the file.

    `how` says in words what was measured, so that the file can be read without this program.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {
        "benchmark": name,
        "how": how,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        },
        "series": [one.as_dict() for one in series],
        **more,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"  → {path.relative_to(ROOT)}")
    return path


def bound(ours: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Return the mean ratio of pairs and the upper end of its 95 % interval (Student's t over logarithms)."""
    from scipy.stats import t

    logarithms = [math.log(a / b) for a, b in zip(ours, others, strict=True)]
    mean, count = statistics.fmean(logarithms), len(logarithms)
    if count < 2:
        return math.exp(mean), math.inf
    error = statistics.stdev(logarithms) / math.sqrt(count)
    return math.exp(mean), math.exp(mean + float(t.ppf(0.975, count - 1)) * error)


@contextmanager
def sources_of(commit: str) -> Iterator[Path]:
    """Give a copy of the sources of a commit."""
    with tempfile.TemporaryDirectory(prefix="respawn-before-") as name:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", name], input=archive, check=True)
        yield Path(name)


def sleep_until(moment: float) -> None:
    """Wait for a time of the wall clock, in seconds since the epoch."""
    while (rest := moment - time.time()) > 0:
        time.sleep(rest)
