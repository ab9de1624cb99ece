"""Random notebooks: what a checkpoint gives back is what was there, whatever the cells did; nothing older.

`make test` tries the same 10 programs each time, `make test-all` 60. `RESPAWN_PROPERTY=long` tries thousands
of new ones. Hypothesis prints the program that failed, shrunk, and how to run it again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count, zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from support.programs.grammar import Cell, programs
from support.programs.link import Worker

LONG = os.environ.get("RESPAWN_PROPERTY") == "long"


@pytest.fixture(scope="module")
def notebook() -> Iterator[Worker]:
    with Worker("run") as worker:
        yield worker


@pytest.fixture(scope="module")
def restorer() -> Iterator[Worker]:
    with Worker("restore") as worker:
        yield worker


def _tries(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=not LONG,
        database=None,
        print_blob=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def test_every_checkpoint_of_a_random_notebook_is_its_true_state(notebook: Worker, restorer: Worker) -> None:
    _try_programs(10, notebook, restorer)


@pytest.mark.slow
@pytest.mark.timeout(24 * 3600 if LONG else 300)
def test_so_is_that_of_many_more(notebook: Worker, restorer: Worker) -> None:
    _try_programs(20_000 if LONG else 60, notebook, restorer)


def _try_programs(number: int, notebook: Worker, restorer: Worker) -> None:
    """Check so many programs; without boundaries that took something over they would prove little."""
    boundaries: list[bool] = []

    @_tries(number)
    @given(cells=programs(), seed=st.integers(0, 3))
    def check(cells: list[Cell], seed: int) -> None:
        boundaries.extend(_check(notebook, restorer, cells, seed))

    check()
    assert len(boundaries) > 3 * number
    assert sum(boundaries) > 0.2 * len(boundaries)


def _check(notebook: Worker, restorer: Worker, cells: list[Cell], seed: int) -> list[bool]:
    """Return for each boundary of a program whether its checkpoint took something over unread."""
    spool = Path(tempfile.mkdtemp(prefix="respawn-property-"))
    try:
        return _compare(notebook, restorer, cells, seed, spool / "spool")
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def _compare(notebook: Worker, restorer: Worker, cells: list[Cell], seed: int, spool: Path) -> list[bool]:
    for number, (source, how) in zip(count(1), cells, strict=False):
        note(f"# cell {number}, {how or 'not stored'}\n{source}")
    truths = notebook.ask(cells=cells, seed=seed, spool=str(spool))["truths"]
    for truth in truths:
        note(f"boundary {truth['cell']}")
        _same(truth["told"], truth["after"], "was changed by taking the checkpoint")
        assert truth["stored"] == sorted(truth["names"]), truth["unstored"]
        found = restorer.ask(cell=truth["cell"], groups=[], spool=str(spool))
        assert not found["failed"]
        _same(truth["told"], found["told"], "was not restored as it was")
        assert truth["random"] == found["random"], "the random generators are not as they were"
    return [truth["taken_over"] for truth in truths]


def _same(truth: list[str], found: list[str], what: str) -> None:
    wrong = [pair for pair in zip_longest(truth, found) if pair[0] != pair[1]]
    if wrong:
        told = "\n".join(f"  was {was}\n  is  {now}" for was, now in wrong[:4])
        pytest.fail(f"{what}:\n{told}")
