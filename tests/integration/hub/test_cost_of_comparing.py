"""What a promotion, its preview and a comparison cost follows from the size of valid notebooks."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from respawn_jobs.notebook.document import MAX_CELLS
from support.heartbeats import heartbeats
from support.lengths import quick
from support.lonely import TOKEN, LonelyService, cost
from support.runners import PlayedRunner

pytestmark = pytest.mark.integration
KILOBYTE, MEGABYTE = 1 << 10, 1 << 20
PEOPLE = {"Authorization": f"token {TOKEN}"}
Sources = list[tuple[str, str]]
"""The ids and sources of a notebook's cells."""


def _cells(size: int, each: int) -> int:
    """How many cells with sources of `each` bytes a notebook of `size` bytes has, and may have."""
    return min(MAX_CELLS, size // (each + 110))


def _mixed(sources: Sources) -> Sources:
    mixed = list(sources)
    random.Random(7).shuffle(mixed)
    return mixed


def _other_ids(sources: Sources) -> Sources:
    return [(f"n{place}", source) for place, (_, source) in enumerate(sources)]


def _small(size: int) -> Sources:
    return [(f"c{place}", f"a = {place}") for place in range(_cells(size, 8))]


def _alike(size: int) -> Sources:
    return [(f"c{place}", f"a = {place % 2}") for place in range(_cells(size, 8))]


def _long(size: int, line: Callable[[int], str]) -> Sources:
    count = size // (len(line(0)) + 3)
    return [("c0", "\n".join(line(number) for number in range(count)))]


SHAPES: dict[str, Callable[[int], tuple[Sources, Sources]]] = {
    "small cells, all edited": lambda size: (_small(size), [(key, text + "0") for key, text in _small(size)]),
    "small cells in another order": lambda size: (_small(size), _mixed(_small(size))),
    "small cells with other ids": lambda size: (_small(size), _other_ids(_mixed(_small(size)))),
    "two sources, many times": lambda size: (_alike(size), _other_ids(_alike(size)[1:])),
    "one cell of other lines": lambda size: (
        _long(size, lambda number: f"a = {number:07}"),
        _long(size, lambda number: f"b = {number:07}"),
    ),
    "one cell of lines in another order": lambda size: (
        _long(size, lambda number: f"a = {number:07}"),
        _long(size, lambda number: f"a = {(number * 7919) % 1_000_003:07}"),
    ),
    "one cell of two lines, many times": lambda size: (
        _long(size, lambda number: f"a = {number % 2}"),
        _long(size, lambda number: f"a = {number % 3}"),
    ),
}
"""Valid notebooks, the older and the newer one, that are worst to compare."""


def _text(sources: Sources) -> str:
    rest: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{"id": key, "source": source, **rest} for key, source in sources]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.long
@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("size", "seconds"), quick({0, 1}, [(64 * KILOBYTE, 2), (MEGABYTE, 8), (20 * MEGABYTE, 20)])
)
def test_valid_notebooks_are_compared_at_the_cost_of_their_size(
    service: LonelyService, runner: PlayedRunner, shape: str, size: int, seconds: float
) -> None:
    old, new = map(_text, SHAPES[shape](size))
    name = f"compared-{list(SHAPES).index(shape)}-{size}"
    body: dict[str, Any] = {"name": name, "notebook": new, "source": "work/report.ipynb"}
    with heartbeats(service, runner) as waits, httpx.Client(headers=PEOPLE, timeout=120) as client:
        api = f"{service.url}/api/v1"
        first = client.post(f"{api}/versions", json={**body, "notebook": old})
        assert first.status_code == 201, first.text[:300]
        ref = first.json()["job"]
        sent = {
            "preview": lambda: client.post(f"{api}/versions/preview", json=body),
            "promotion": lambda: client.post(f"{api}/versions", json={**body, "seen": 1}),
            "comparison": lambda: client.get(
                f"{api}/versions/comparison", params={"job": ref, "old": 1, "new": 2}
            ),
        }
        for what, send in sent.items():
            answer, used, grown = cost(service, send)
            told = f"{what}: {answer.status_code}, {used:.2f} s, {grown} MB, {len(answer.content)} bytes"
            assert answer.status_code in (200, 201), told + answer.text[:300]
            assert used < seconds, told
            assert grown < 100 + 30 * size // MEGABYTE, told
    assert max(waits) < 3
