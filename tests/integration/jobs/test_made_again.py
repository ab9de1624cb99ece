"""What a cell makes again after a restore shares objects with what was restored, or is said to be lost."""

from __future__ import annotations

import pytest

from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.debug.notebook import debug_notebook
from respawn_jobs.model.runs import CellState, RunState
from support.lengths import quick
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

TAGS = {1: ["respawn:always"]}
CLASS = "class Holds:\n    def __init__(self, rows): self.rows = rows\nrows = [1, 2]"
SHARES = [
    (CLASS, "made = (row for row in rows)", "rows.append(3)\nprint(list(made))", "[1, 2, 3]"),
    (
        CLASS,
        "import threading\nmade = Holds(rows)\nmade.lock = threading.Lock(); made.lock.acquire()",
        "rows.append(3)\nprint(made.rows is rows, isinstance(made, Holds))",
        "True True",
    ),
    (
        CLASS,
        "class Mine(Holds):\n    pass\nkept = Mine(rows)\nmade = (one for one in [kept, rows])",
        "first, second = made\nprint(first is kept, type(first) is Mine, second is rows)",
        "True True True",
    ),
    (
        CLASS + "\nimport numpy as np\ntable = np.zeros(100_000)",
        "view = table[10:]\nmade = (view for _ in rows)",
        "table[10] = 5\nprint(next(made)[0], len(list(made)))",
        "5.0 1",
    ),
    (
        CLASS + "\ndef double(row): return row * factor\nfactor = 2",
        "made = map(double, rows)",
        "factor = 3\nrows.append(3)\nprint(list(made))",
        "[3, 6, 9]",
    ),
    (
        CLASS + "\nimport re\npattern = re.compile('a')",
        "import sqlite3\nmade = sqlite3.connect(':memory:')\nmade.row_factory = lambda _, row: Holds(row)",
        "print(isinstance(made.execute('select 1').fetchone(), Holds))",
        "True",
    ),
]


@pytest.mark.parametrize(("before", "makes", "uses", "printed"), quick({0}, SHARES))
def test_it_shares_what_its_cell_left_as_it_was(
    bench, before: str, makes: str, uses: str, printed: str
) -> None:
    failed = bench.run(before, makes, "1/0", tags=TAGS)
    resumed = bench.resume(failed.run.id, notebook(before, makes, uses, tags=TAGS))
    assert resumed.run.state == RunState.SUCCEEDED
    assert bench.printed(resumed.run.id, 2) == f"{printed}\n"


@pytest.mark.long
def test_names_are_in_the_order_in_which_the_notebook_made_them(bench) -> None:
    first = "RATE = 0.1; COLS = ['a']\nMADE = (one for one in COLS); NAME = 'x'"
    second = "import gzip\nOPTS = {'n': 1}; LIMIT = 5"
    looks = "LATE = 1\nprint([name for name in globals() if name.isupper()])"
    failed = bench.run(first, second, "1/0", tags={0: ["respawn:always"]})
    resumed = bench.resume(failed.run.id, notebook(first, second, looks, tags={0: ["respawn:always"]}))
    assert resumed.run.state == RunState.SUCCEEDED
    assert bench.printed(resumed.run.id, 2) == "['RATE', 'COLS', 'MADE', 'NAME', 'OPTS', 'LIMIT', 'LATE']\n"


@pytest.mark.long
def test_names_that_an_edit_adds_or_moves_are_where_a_run_from_the_top_has_them(bench) -> None:
    cells = ["ONE = 1", "TWO = 2; MOVES = 0", "THREE = 3", "FOUR = TWO", "FIVE = 5; MOVES = 5; ONE = 1"]
    looks = "LATE = 1\nprint([name for name in globals() if name.isupper()])"
    failed = bench.run(*cells, "1/0")
    fixed = [*cells, looks]
    fixed[1] = "NEW = 1; TWO = 2; NEWER = 2"
    fixed[2:2] = ["BETWEEN = 0"]
    resumed = bench.resume(failed.run.id, notebook(*fixed))
    assert resumed.run.state == RunState.SUCCEEDED
    reused = [cell.index for cell in resumed.cells if cell.state is CellState.REUSED]
    assert {0, 3} <= set(reused)
    order = ["ONE", "NEW", "TWO", "NEWER", "BETWEEN", "THREE", "FOUR", "FIVE", "MOVES", "LATE"]
    assert bench.printed(resumed.run.id, 6) == f"{order}\n"


@pytest.mark.long
@pytest.mark.parametrize(
    ("makes", "reused"),
    quick(
        {0},
        [
            ("rows.append(5)\nmade = (row for row in rows)", "more = 1"),
            ("rows = [4]\nmade = (row for row in rows)", "rows.append(5)"),
            ("rows = [4]\nmade = (one for one in [{'in': rows}])", "rows.append(5)"),
        ],
    ),
)
def test_what_it_changed_has_its_value_again_and_what_refers_to_it_is_lost(
    bench, makes: str, reused: str
) -> None:
    failed = bench.run(CLASS, makes, reused, "1/0", tags=TAGS)
    refused = bench.resume(failed.run.id, notebook(CLASS, makes, reused, "print(list(made))", tags=TAGS))
    assert refused.run.state == RunState.FAILED
    assert "cell 3 reads made" in refused.run.error.value
    assert "it was made again from rows" in refused.run.error.value
    unread = bench.resume(refused.run.id, notebook(CLASS, makes, reused, "print(rows[-1])", tags=TAGS))
    assert bench.printed(unread.run.id, 3) == "5\n"
    assert any("not restored: made" in (cell.note or "") for cell in unread.cells)


@pytest.mark.long
@pytest.mark.parametrize("way", ["resume", "retry"])
def test_what_it_is_made_from_now_and_what_others_did_to_it_is_said_first(bench, way: str) -> None:
    cells = ["path = 'a'", "made = iter(open(path, 'a+'))\nplace = path * 2", "next(made, None)\npath = 'b'"]
    fails = "import os\nif not os.path.exists('again'): open('again', 'w').close(); 1/0"
    failed = bench.run(*cells, fails, "print(made.name)", tags=TAGS)
    if way == "resume":
        done = bench.resume(failed.run.id, notebook(*cells, "more = 1", "print(made.name)", tags=TAGS))
    else:
        done = bench.execute(bench.service.retry(failed.run.id).id)
    assert bench.printed(done.run.id, 4) == "b\n"
    said = " ".join(cell.note or "" for cell in done.cells)
    assert "cell 1 makes made again with path as cell 2 left it" in said
    assert "cell 1 makes made again, without what cell 2, which is reused, may have done to it" in said


FEED = """
import os, socket, threading
def feed(what):
    yield what
name, rows = 'a', [1]
os.environ['WHAT'] = 'a'
"""
TOLD = {
    "a variable that is bound anew": ("made = feed(name)", "name = 'b'", "with name as cell 2 left it"),
    "a variable that is gone": ("made = feed(name)", "del name", "with name as cell 2 left it"),
    "a function": (
        "made = feed(0)",
        "def feed(what):\n    yield 5",
        "with feed as cell 2 left it",
    ),
    "a list": ("made = feed(len(rows))", "rows.append(2)", "with rows as cell 2 left it"),
    "the environment": (
        "made = feed(os.environ['WHAT'])",
        "os.environ['WHAT'] = 'b'",
        "with environment variables as cell 2 left it",
    ),
    "what it changes itself": (
        "rows.append(2)\nmade = feed(len(rows))",
        "more = 1",
        "with rows as cell 1 left it",
    ),
    "an object that others use": (
        "class Box: pass\nmade = Box(); made.rows = (row for row in []); made.n = 0",
        "made.n = 5",
        "without what cell 2, which is reused, may have done to it",
    ),
    "a method that others call": (
        "made = feed(1).__next__",
        "first = made()",
        "without what cell 2, which is reused, may have done to it",
    ),
    "what is stored beside it": (
        "made = socket.create_server(('127.0.0.1', 0)); port = made.getsockname()[1]",
        "more = 1",
        "cell 1 makes made again; port, which it sets too, keeps the stored value",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", quick({0, 4, 6, 8}, TOLD))
def test_what_may_be_otherwise_than_from_the_top_is_said_in_plan_record_and_debug_notebook(
    bench, kind: str
) -> None:
    makes, reused, told = TOLD[kind]
    cells = [FEED, makes, reused]
    failed = bench.run(*cells, "1/0", "more = type(made)", tags=TAGS)
    fixed = notebook(*cells, "more = 2", "more = type(made)", tags=TAGS)
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed)))
    assert told in " ".join(plan.notices)
    assert told in debug_notebook(bench.service.debug(failed.run.id)).cells[0].source
    if "gone" not in kind:  # the cell fails then
        assert told in " ".join(cell.note or "" for cell in bench.resume(failed.run.id, fixed).cells)


@pytest.mark.long
def test_results_of_cells_that_make_things_again_are_nobodys(bench) -> None:
    cells = ["rows = [1]\nrows", "made = (n for n in rows)\n5", "7"]
    look = "print(_, __, Out[1] is rows, sorted(Out), '_4' in globals())"
    failed = bench.run(*cells, "1/0", look, tags=TAGS)
    fixed = notebook(*cells, "more = 2", look, tags=TAGS)
    done = bench.resume(failed.run.id, fixed)
    assert bench.printed(done.run.id, 4) == "7 5 True [1, 2, 3] False\n"


@pytest.mark.long
def test_what_a_cell_tagged_once_made_is_made_again_where_both_are_agreed(bench) -> None:
    cells, tags = (
        ["feed = 'abc'", "made = (one for one in feed)", "first = next(made)"],
        {1: ["respawn:once"]},
    )
    failed = bench.run(*cells, "1/0", "print(first, next(made))", tags=tags)
    fixed = notebook(*cells, "more = 1", "print(first, next(made))", tags=tags)
    plan = bench.service.plan(failed.run.id, ResumeRequest(notebook=text(fixed), rerun_once=True))
    assert plan.problems
    assert plan.producers
    done = bench.resume(failed.run.id, fixed, rerun_once=True, rerun_producers=True)
    assert bench.printed(done.run.id, 4) == "a b\n"
