"""A resume never gives another result than the notebook run from the top, or it says so first.

The short form of `make truth`: notebooks of a fixed seed. What is known to be wrong stands in `known.txt`, a
story or part of the session on each line. The list is right in both directions: what is fixed leaves it. A
line `notebook N: why` names a notebook that is not played.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from truth.__main__ import played
from truth.commands import found
from truth.composing import PYTHONS
from truth.results import label, losses
from truth.story import library

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]
SEED, NOTEBOOKS, WORKERS = 22, 12, 2


def known() -> set[str]:
    lines = Path(__file__).with_name("known.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def numbers() -> list[int]:
    left_out = {line.partition(":")[0] for line in known()}
    return [number for number in range(NOTEBOOKS) if f"notebook {number}" not in left_out]


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    stories = library()
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda number: played(stories, SEED, number, {}), numbers()))


def test_every_notebook_was_compared(lines: list[dict[str, Any]]) -> None:
    assert [line["stuck"] for line in lines] == [""] * len(numbers())
    assert sum(len(line["skipped"]) for line in lines) <= 3, "stories that papermill cannot run prove nothing"


def test_no_difference_is_unannounced_but_those_that_are_known(lines: list[dict[str, Any]]) -> None:
    wrong = {name for line in lines for one in line["wrong"] for name in label(one).split("; ")}
    told = [
        f"{one['name']}: {one['expected']} became {one['got']}" for line in lines for one in line["wrong"]
    ]
    assert wrong <= known(), "\n".join(told)
    if found() == PYTHONS:
        over = {name for name in known() if not name.startswith("notebook ")} - wrong
        assert not over, "these are right now: take them from known.txt"


def test_warnings_are_at_most_twice_the_losses(lines: list[dict[str, Any]]) -> None:
    named, lost = losses(lines)
    assert named <= 2 * lost, [name for line in lines for name in line["named_wrongly"]]
