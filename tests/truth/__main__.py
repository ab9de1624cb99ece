"""Run the differential harness: `python -m truth --number 1000 --seed 1`, or `make truth N=1000 SEED=1`.

Results are lines of JSON in `.respawn/truth`; a second call with the same seed goes on where the first
stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from support.sources import ROOT
from truth import results
from truth.commands import found
from truth.composing import STORIES, Case, case, hostile_case
from truth.harness import judge
from truth.story import Story, hostile, library

RESULTS = ROOT / ".respawn" / "truth"


def main(arguments: Sequence[str]) -> int:
    """Run cases until there are as many instances of stories as asked for; 1 when any is wrong."""
    given = _parser().parse_args(arguments)
    stories = _chosen(hostile() if given.hostile else library(), given.only)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = given.results or RESULTS / f"{'hostile-' if given.hostile else ''}{given.seed}.jsonl"
    have = {line["number"] for line in results.read(path)}
    notebooks = given.number if given.hostile else -(-given.number // STORIES)
    wanted = [n for n in range(notebooks) if n not in have]
    fixed = {"hostile": "yes"} if given.hostile else {}
    fixed |= {name: value for name in results.DIMENSIONS if (value := getattr(given, name))}
    if not given.report:
        _run([(given.seed, n, fixed) for n in wanted], stories, path, given.workers)
    lines = results.read(path)
    print(results.report(lines, stories))
    return int(any(line["wrong"] or line["stuck"] for line in lines))


def _run(
    wanted: Sequence[tuple[int, int, dict[str, str]]], stories: Sequence[Story], path: Path, workers: int
) -> None:
    """Play cases with a few workers, a line of results for each as it ends."""
    with path.open("a") as file, ProcessPoolExecutor(workers) as pool:
        left = iter(wanted)
        running = {pool.submit(played, stories, *one) for one in islice(left, workers)}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            line = done.result()
            file.write(json.dumps(line) + "\n")
            file.flush()
            _tell(line)
            running |= {pool.submit(played, stories, *one) for one in islice(left, 1)}


def played(stories: Sequence[Story], seed: int, number: int, fixed: dict[str, str]) -> dict[str, Any]:
    """Play the case of a number; with another Python where its own is not there."""
    if fixed.get("hostile"):
        return play_one(hostile_case(seed, number, stories))
    made = case(seed, number, stories, **fixed)
    if made.python not in found():
        made = case(seed, number, stories, **{**fixed, "python": found()[0]})
    return play_one(made)


def play_one(made: Case) -> dict[str, Any]:
    """Play one case in a directory that goes afterwards; return its line of results."""
    root = Path(tempfile.mkdtemp(prefix="truth-"))
    try:
        return asdict(judge(made, root))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _tell(line: dict[str, Any]) -> None:
    wrong = sorted({results.label(one) for one in line["wrong"]})
    told = f"stuck: {line['stuck'][:200]}" if line["stuck"] else f"{len(wrong)} wrong {'; '.join(wrong)}"
    where = ", ".join(line[name] for name in results.DIMENSIONS)
    print(f"{line['number']} ({where}; {line['seconds']:.0f} s): {told}", flush=True)


def _chosen(stories: list[Story], only: str) -> list[Story]:
    return [story for story in stories if only in story.title]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m truth", description=__doc__)
    parser.add_argument("--number", type=int, default=1000, help="instances of stories")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="stories whose title has these words")
    parser.add_argument("--hostile", action="store_true", help="the notebooks made by hand instead")
    parser.add_argument("--report", action="store_true", help="only tell what was found before")
    parser.add_argument("--results", type=Path, help="the file of results")
    for name in results.DIMENSIONS:
        parser.add_argument(f"--{name}", default="", help=f"one {name} for all cases")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
