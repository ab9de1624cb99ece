"""The commonest lines of notebooks: each touches what it names, so that a plan runs little again."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import Footprint, footprints

IMPORTS = """
import json, logging, re
import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
from pathlib import Path
from tqdm import tqdm, trange
import tqdm as bars
"""
MADE = """
rate, rows = 0.5, [1, 2]
df = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})
def noisy(x): return x * rate
"""

USUAL = [
    "display(df)",
    "display(df.head(), rate)",
    "handle = display('one', display_id=True)",
    "for row in tqdm(rows):\n    print(row)",
    "for row in tqdm(rows, desc='rows', total=2):\n    print(row)",
    "found = [row for row in bars.tqdm(rows)]",
    "for number in trange(3):\n    print(number)",
    "for index, row in tqdm(df.iterrows(), total=len(df)):\n    print(row)",
    "print(df.describe())",
    "logging.info('so many: %d', len(df))",
    "logger = logging.getLogger(__name__)\nlogger.warning('few')",
    "text = Path('a.txt').read_text()",
    "with open('a.json') as file:\n    given = json.load(file)",
]


def last(*cells: str) -> Footprint:
    return footprints([IMPORTS, MADE, *cells])[-1]


@pytest.mark.parametrize("cell", USUAL)
def test_a_usual_line_does_not_touch_what_libraries_keep(cell: str) -> None:
    found = last(cell)
    assert found.opaque is None
    assert not {"#libraries", "#files"} & (found.reads | found.writes)
    assert not {"rate", "rows", "df"} & found.writes


@pytest.mark.parametrize("cell", USUAL)
def test_what_was_shown_or_gone_through_is_nobody_elses_afterwards(cell: str) -> None:
    found = last(cell, "df['c'] = df['a'] * rate\ntotal = df['c'].sum()")
    parts = {"index", "row"}  # of the table
    assert {name for name in found.writes if not name.startswith("#")} - parts == {"df", "total"}
    assert not {"#libraries", "#random"} & (found.reads | found.writes)


@pytest.mark.parametrize(
    "cell",
    [
        "class Shown:\n    def _repr_html_(self): return str(rate)\ndisplay(Shown())",
        "for row in tqdm([noisy]):\n    row(1)",
        "for row in tqdm(map(noisy, rows)):\n    print(row)",
        "tqdm.pandas()\ndf['a'].progress_apply(noisy)",
    ],
)
def test_code_of_the_notebook_that_they_run_is_followed(cell: str) -> None:
    found = last(cell)
    assert found.opaque or "rate" in found.reads


@pytest.mark.parametrize(
    "gives",
    [
        "logging.getLogger().addHandler(Own())",
        "logging.basicConfig(handlers=[Own()])",
        "logging.getLogger('a').handlers.append(Own())",
        "from logging import getLogger\nlog = getLogger('a')\nlog.addFilter(noisy)",
        "logging.setLogRecordFactory(noisy)",
    ],
)
@pytest.mark.parametrize("says", ["logging.info('a')", "logging.getLogger('a').error('a')"])
def test_handlers_of_the_notebook_run_when_something_is_logged(gives: str, says: str) -> None:
    own = "class Own(logging.Handler):\n    def emit(self, record): rows.append(rate)"
    found = last(own, gives, says)
    assert found.opaque or {"rate", "#libraries"} & found.reads
    assert found.opaque or {"rows", "#libraries"} & found.writes


@pytest.mark.parametrize(
    "sets",
    ["logging.basicConfig(level=10)", "logging.getLogger('a').setLevel(10)", "logger.propagate = False"],
)
def test_who_sets_up_logging_changes_it(sets: str) -> None:
    found = last("logger = logging.getLogger('a')", sets)
    assert found.may_write("#logging")
    assert last("logger = logging.getLogger('a')", "logger.info('x')").may_read("#logging")


def test_a_bar_that_patches_pandas_changes_what_libraries_keep() -> None:
    found = last("tqdm.pandas()")
    assert found.opaque or "#libraries" in found.writes


def test_a_notebooks_own_display_is_no_display_of_ipython() -> None:
    found = last("def display(one): rows.append(one)", "display(1)")
    assert "rows" in found.writes
