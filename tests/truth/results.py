"""The lines of results, and what they say together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from truth.commands import found as found_pythons
from truth.composing import CAPTURES, STARTS, WAYS
from truth.story import Story

Line = dict[str, Any]
DIMENSIONS = ("python", "capture", "way", "start")


def read(path: Path) -> list[Line]:
    """Return the results of a file; a line that a kill cut off is passed over."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            lines.append({"start": "plain", **json.loads(text)})  # older lines do not say
        except ValueError:
            continue
    return lines


def losses(lines: Iterable[Line]) -> tuple[int, int]:
    """Return how many variables were named as lost, and how many of them truly were.

    A retry asks nobody: it starts over where its state lacks something, which is there again then. So what it
    names does not count.
    """
    named, wrongly = 0, 0
    for line in (one for one in lines if one["way"] != "retry"):
        named, wrongly = named + len(line["named"]), wrongly + len(line["named_wrongly"])
    return named, named - wrongly


def label(one: dict[str, Any]) -> str:
    """Return what a difference is counted under: its story, or the part of the session."""
    return str(one["title"] or one["name"])


def report(lines: Sequence[Line], stories: Sequence[Story]) -> str:
    """Return what was found, for people."""
    compared = [line for line in lines if not line["stuck"]]
    instances = sum(len(line["titles"]) for line in compared)
    wrong = [line for line in compared if line["wrong"]]
    ran, cells = (sum(line[name] for line in compared) for name in ("ran", "cells"))
    told = [
        f"{len(lines)} notebooks, {instances} stories compared; {len(lines) - len(compared)} notebooks stuck",
        f"wrong: {sum(len(_stories(line, 'wrong')) for line in wrong)} stories in {len(wrong)} notebooks",
        f"announced: {sum(len(_stories(line, 'announced')) for line in compared)} stories",
        "variables named as lost: {}, of which {} truly were".format(*losses(compared)),
        f"left out: {sum(len(_stories(line, 'left_out')) for line in compared)} stories",
        f"cells run in resumes: {ran} of {cells}",
        f"seconds a notebook: {_mean(lines, 'seconds'):.1f}, of the processor {_mean(lines, 'cpu'):.1f}",
    ]
    for name in (*DIMENSIONS, "kinds"):
        told += [f"by {name}:", *_by(compared, name)]
    told += ["wrong by story:", *_counted(label(one) for line in wrong for one in line["wrong"])]
    told += ["announced by story:", *_counted(label(one) for line in compared for one in line["announced"])]
    told += ["left out by story:", *_counted(label(one) for line in compared for one in line["left_out"])]
    told += ["stuck:", *_counted(line["stuck"][:150] for line in lines if line["stuck"])]
    missing = uncovered(compared, {story.kind for story in stories})
    told.append(f"pairs not covered: {len(missing)} {'; '.join(missing[:10])}")
    return "\n".join(told)


def uncovered(lines: Iterable[Line], kinds: Iterable[str]) -> list[str]:
    """Return the pairs of Python, capture, way, start and kind that no compared case has."""
    values = {"python": found_pythons(), "capture": CAPTURES, "way": WAYS, "start": STARTS}
    values["kind"] = tuple(sorted(kinds))
    wanted = {
        ((one, a), (two, b)) for one, two in combinations(values, 2) for a in values[one] for b in values[two]
    }
    for line in lines:
        have = {name: (line[name],) for name in DIMENSIONS} | {"kind": tuple(line["kinds"])}
        wanted -= {
            ((one, a), (two, b)) for one, two in combinations(have, 2) for a in have[one] for b in have[two]
        }
    return sorted(f"{a} with {b}" for (_, a), (_, b) in wanted)


def _mean(lines: Sequence[Line], name: str) -> float:
    return sum(line[name] for line in lines) / max(1, len(lines))


def _stories(line: Line, what: str) -> set[str]:
    return {label(one) for one in line[what]}


def _by(lines: Sequence[Line], name: str) -> list[str]:
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for line in lines:
        for value in [line[name]] if isinstance(line[name], str) else _kinds(line):
            counts[value] += 1 if name == "kinds" else len(line["titles"])
        for title in _stories(line, "wrong"):
            wrong[line[name] if isinstance(line[name], str) else title.partition(": ")[0]] += 1
    return [f"  {value}: {wrong[value]} wrong of {counts[value]}" for value in sorted({*counts, *wrong})]


def _kinds(line: Line) -> list[str]:
    return [title.partition(": ")[0] for title in line["titles"]]


def _counted(words: Iterable[str]) -> list[str]:
    return [f"  {count} × {word}" for word, count in Counter(words).most_common()]
