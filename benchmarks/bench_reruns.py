"""How many finished cells a resume runs again after an edit, beside the fewest that would do.

Each notebook of `reruns_notebooks.py` runs as it was, in IPython's shell, and fails in its last cell; one
cell is edited. *Perfect* is found by brute force: of all states and all choices of cells above them, the
one with the fewest executed cells that leaves the outputs, variables, session state and files that the
fixed notebook leaves from the top. Each plan is executed in the same way and compared in the same way: a
plan that leaves anything else is *wrong*. Counted are the cells before the failing one. Plans are made with
what was seen of the cells, without it (as on an interpreter on which code cannot be watched), and as an
earlier commit makes them, from a copy of its sources.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import ROOT, save, sources_of
from reruns_notebooks import EDITS, Edit
from reruns_process import Played, Told, played

BEFORE = "4ce5c87"
"""The last commit whose plans rest on the analysis alone and on a list of what matters."""
_KINDS = ("seen", "alone", "before")
_FAILS, _WORKS = "1 / 0", "finished = True"


@dataclass(frozen=True)
class Planned:
    """What a plan costs, and whether it leaves what it must."""

    again: int
    right: bool


class Planner:
    """The Respawn in a directory of sources, which makes plans."""

    def __init__(self, sources: Path) -> None:
        path = os.pathsep.join(str(sources / part) for part in ("papermill_jobs", "kernels"))
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("reruns_plan.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def plan(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the plan of a case."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the planner has no pipes")
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End it."""
        self._process.communicate()


class Trial:
    """One notebook, its fixed form, and what running that from the top leaves."""

    def __init__(self, edit: Edit, old: Played, truth: Told) -> None:
        self.edit, self.old, self.truth = edit, old, truth
        self.cells = [*edit.cells, _WORKS]
        self.cells[edit.place] = edit.source
        self.done = len(edit.cells)

    def execute(self, point: int, above: Sequence[int], removed: Sequence[str] = ()) -> bool:
        """Go on from a state, with cells above it; tell whether that leaves what it must."""
        order = [*above, *range(point, len(self.cells))]
        found = self.old.attempt(
            point, removed, [(place, self.cells[place]) for place in order], self.truth.names
        )
        outputs = {**self.old.told.outputs, **found.outputs}
        return found.same(self.truth) and all(outputs[p] == self.truth.outputs[p] for p in range(self.done))

    def fewest(self) -> int:
        """Return the fewest of the finished cells that must run again."""
        for count in range(1, self.done + 1):
            for point in range(self.done, self.done - count - 1, -1):
                below = self.done - point
                places = [place for place in range(point) if place != self.edit.place]
                needed = [self.edit.place] if self.edit.place < point else []
                for chosen in (
                    itertools.combinations(places, count - below - len(needed))
                    if (count >= below + len(needed))
                    else ()
                ):
                    if self.execute(point, sorted([*needed, *chosen])):
                        return count
        return self.done

    def judge(self, plan: dict[str, Any]) -> Planned:
        """Execute a plan."""
        point = plan["point"]
        right = self.execute(point, plan["rerun"], plan["stale"])
        return Planned(len(plan["rerun"]) + self.done - point, right)


def cases_of(edit: Edit, evidence: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Return what a plan is made from."""
    new = [*edit.cells, _WORKS]
    new[edit.place] = edit.source
    return {"old": [*edit.cells, _FAILS], "new": new, "done": len(edit.cells), "evidence": evidence}


def measured(edit: Edit, now: Planner, before: Planner) -> dict[str, Any] | None:
    """Return what one edit costs; None for a notebook that is not the same twice."""
    fixed = cases_of(edit, None)["new"]
    with played(fixed) as top, played(fixed) as twice:
        truth, same = top.told, top.told.same(twice.told) and top.told.outputs == twice.told.outputs
    if not same:
        return None
    with played([*edit.cells, _FAILS], truth.names) as old:
        trial = Trial(edit, old, truth)
        evidence = old.evidence
        found: dict[str, Any] = {"name": edit.name, "ordinary": edit.ordinary, "cells": trial.done}
        found["perfect"] = trial.fewest()
        kinds = {"seen": now.plan(cases_of(edit, evidence)), "alone": now.plan(cases_of(edit, None))}
        kinds["before"] = before.plan(cases_of(edit, None))
        for kind, plan in kinds.items():
            judged = trial.judge(plan)
            found[kind] = {"again": judged.again, "right": judged.right, "why": plan["why"]}
        found["watched"] = all(one.get("unwatched") is None for one in evidence[: trial.done])
    return found


def summary(rows: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return wrong plans, and the cells that run again as ratios and as a share."""
    mine = [row for row in rows if kind in row]
    right_before = [row for row in mine if row.get("before", {}).get("right")]
    again = sum(row[kind]["again"] for row in mine)
    ordinary = [row for row in mine if row["ordinary"]]
    total_before = sum(row["before"]["again"] for row in right_before)
    return {
        "wrong": [row["name"] for row in mine if not row[kind]["right"]],
        "to perfect": round(again / sum(row["perfect"] for row in mine), 2),
        "to perfect, ordinary": round(
            sum(row[kind]["again"] for row in ordinary) / max(1, sum(row["perfect"] for row in ordinary)), 2
        ),
        "to before, where that is right": round(
            sum(row[kind]["again"] for row in right_before) / total_before, 2
        )
        if total_before
        else None,
        "share of all cells": round(again / sum(row["cells"] for row in mine), 2),
    }


def main() -> None:
    """Measure, print and save."""
    import IPython  # noqa: F401  once, and not in each of the processes that are forked
    import pandas  # noqa: F401

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", default=BEFORE, help="the commit to compare with")
    parser.add_argument("--only", default="", help="names of notebooks that contain this")
    parser.add_argument("--kind", choices=("ordinary", "hidden"), help="only notebooks of this kind")
    options = parser.parse_args()
    with sources_of(options.before) as sources:
        now, before = Planner(ROOT), Planner(sources)
        rows = []
        for edit in EDITS:
            if options.only in edit.name and options.kind in (
                None,
                "ordinary" if edit.ordinary else "hidden",
            ):
                rows.append(measured(edit, now, before))
                print(_line(edit, rows[-1]), flush=True)
        now.close()
        before.close()
    found = [row for row in rows if row is not None]
    summaries = {kind: summary(found, kind) for kind in _KINDS}
    for kind, one in summaries.items():
        print(f"{kind}: " + ", ".join(f"{name} {value}" for name, value in one.items()))
    left_out = len(rows) - len(found)
    save("reruns", (__doc__ or "").strip(), [], edits=found, summaries=summaries, left_out=left_out)


def _line(edit: Edit, row: dict[str, Any] | None) -> str:
    if row is None:
        return f"{edit.name:34} is not the same twice"
    told = [f"{kind} {row[kind]['again']}{'' if row[kind]['right'] else ' WRONG'}" for kind in _KINDS]
    return f"{edit.name:34} perfect {row['perfect']}, {', '.join(told)}, of {row['cells']}"


if __name__ == "__main__":
    main()
