"""Cells have one number each, their place in the executed notebook, wherever people are told of one."""

from __future__ import annotations

import pytest

from respawn_jobs.model.runs import CellRecord, CellState
from respawn_jobs.notebook.cell_numbers import cells_in_words, executions_as_cells


def record(index: int, count: int | None) -> CellRecord:
    return CellRecord(
        index=index, cell_id=f"c{index}", state=CellState.EXECUTED, source_hash="", execution_count=count
    )


@pytest.mark.parametrize(
    ("traceback", "says"),
    [
        ("Cell In[8], line 3\n  x", "In[8] is cell 12"),
        ("\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[8]\x1b[39m\x1b[32m, line 1", "In[8] is cell 12"),
        ("Cell In [1], line 3\nCell In[8], line 1\nCell In[1]", "In[1] is cell 2, In[8] is cell 12"),
        ("Cell In[9], line 3", ""),
        ("In[x]", ""),
    ],
)
def test_executions_in_a_traceback_are_told_as_cells(traceback, says):
    assert executions_as_cells(traceback, [record(2, 1), record(12, 8), record(13, None)]) == says


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([3], "cell 3"), ([8, 3, 5, 6, 7, 7], "cells 3, 5–8"), ([1, 2], "cells 1–2"), ([0, 2], "cells 0, 2")],
)
def test_several_cells_are_named_as_ranges(numbers: list[int], words: str) -> None:
    assert cells_in_words(numbers) == words
