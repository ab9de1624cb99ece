"""Keeping and restoring a state beside an earlier commit of Respawn, by turns, in one run.

A turn is a fresh process with a fresh kernel, which imports one of the two trees. The ratio of a row is the
mean over the pairs of turns, its bound the upper end of the 95 % interval (Student's t over the logarithms).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from harness import ROOT, bound

_PACKAGES = ("benchmarks", "tests", "kernels", "papermill_jobs", "hub_ext")
_TURN = """
import json, sys
from pathlib import Path
import snapshot_ours
asked = json.loads(sys.stdin.read())
place = Path(asked['place'])
stored = snapshot_ours.store(place, asked['code'], asked['cells'])
def restored(how, *lines):
    return snapshot_ours.restore(place, stored.last, how, list(lines))['after'][-1]
print(json.dumps({
    'kernel kept waiting, all cells': sum(stored.waits),
    'first checkpoint, whole': stored.whole,
    'all later checkpoints': sum(stored.saves),
    'CPU seconds of the first': stored.cpu,
    'restore to first use of a small variable': restored('lazily', asked['small']),
    'restore of everything': restored('now', asked['small']),
}))
"""


@dataclass(frozen=True)
class Compared:
    """One row: seconds of both trees, and how many times as long the newer one takes."""

    name: str
    now: list[float]
    before: list[float]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for the result file."""
        ratio, upper = bound(self.now, self.before)
        return {
            "name": self.name,
            "now": self.now,
            "before": self.before,
            "median now": median(self.now),
            "median before": median(self.before),
            "ratio": ratio,
            "upper": upper,
        }


def compare(home: Path, before: Path, code: str, cells: list[str], small: str, rounds: int) -> list[Compared]:
    """Measure both trees, by turns.

    Args:
        home: where states are stored, one at a time.
        before: the sources of the earlier commit.
        code: what makes the state.
        cells: what follows, cell by cell.
        small: an expression of one small variable.
        rounds: pairs of turns.
    """
    found: list[tuple[dict[str, float], dict[str, float]]] = []
    for number in range(rounds):
        order = [ROOT, before] if number % 2 else [before, ROOT]
        turns = {tree: _turn(home / f"{number}-{tree.name}", tree, code, cells, small) for tree in order}
        found.append((turns[ROOT], turns[before]))
    return [
        Compared(name, [now[name] for now, _ in found], [old[name] for _, old in found])
        for name in found[0][0]
    ]


def tell(title: str, rows: list[Compared]) -> None:
    """Print a table: medians of both, the ratio and its bound."""
    print(f"\n{title} ({os.cpu_count()} cores, {len(rows[0].now)} pairs)")
    width = max(len(row.name) for row in rows)
    print(f"  {'':{width}}      now   before   ratio   bound")
    for row in rows:
        one = row.as_dict()
        print(
            f"  {row.name:{width}} {one['median now']:6.3f} s {one['median before']:6.3f} s"
            f" {one['ratio']:7.3f} {one['upper']:7.3f}"
        )


def _turn(place: Path, tree: Path, code: str, cells: list[str], small: str) -> dict[str, float]:
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _TURN],
        input=json.dumps({"place": str(place), "code": code, "cells": cells, "small": small}),
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(tree / part) for part in _PACKAGES)},
    )
    subprocess.run(["rm", "-rf", str(place)], check=True)
    if done.returncode:
        raise RuntimeError(f"{tree} could not take its turn:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
