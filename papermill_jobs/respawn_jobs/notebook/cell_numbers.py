"""How cells are numbered for people: one way everywhere.

A cell's number is its place in the executed notebook, from 0, over all of its cells: Markdown, raw and
injected ones count. A traceback counts executions instead (`In[8]`), so whoever shows one says which cells
these are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from respawn_kernels.counting import noun

if TYPE_CHECKING:
    from respawn_jobs.model.runs import CellRecord

_EXECUTION = re.compile(r"(?:\b|(?<=m))In ?\[(?:\x1b\[[0-9;]*m)*(\d+)(?:\x1b\[[0-9;]*m)*\]")
_MAX_NAMED = 8


def executions_as_cells(traceback: str, cells: Iterable[CellRecord]) -> str:
    """Return which cells the executions are that a traceback names, such as `In[8] is cell 12`.

    Args:
        traceback: A Python traceback as IPython writes it.
        cells: The run's.

    Returns:
        The words; empty when it names none that are known.
    """
    places = {cell.execution_count: cell.index for cell in cells if cell.execution_count is not None}
    named = dict.fromkeys(int(number) for number in _EXECUTION.findall(traceback))
    known = [f"In[{number}] is cell {places[number]}" for number in named if number in places]
    return ", ".join(known[:_MAX_NAMED])


def cells_in_words(numbers: Iterable[int]) -> str:
    """Return how several cells are named in a sentence: `cell 3`, or `cells 3, 5–8`.

    Args:
        numbers: The cells' numbers, at least one.
    """
    found = sorted(set(numbers))
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
    return f"{noun(len(found), 'cell')} {words}"
