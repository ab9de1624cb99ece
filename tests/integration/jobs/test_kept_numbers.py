"""Counters of libraries, the last error and clocks of the notebook go on over a resume."""

from __future__ import annotations

from typing import Any

import pytest

from support.notebooks import notebook

pytestmark = pytest.mark.integration


def resumed(bench: Any, *cells: str, edit: tuple[str, str] = ("", ""), tags: Any = None) -> tuple[Any, str]:
    """Fail before the last cell, resume with it edited away; return states and what the last cell printed."""
    failed = bench.run(*cells[:-1], "1/0", cells[-1], tags=tags or {})
    fixed = [cell.replace(*edit) if edit[0] else cell for cell in cells]
    done = bench.resume(failed.run.id, notebook(*fixed[:-1], "pass", fixed[-1], tags=tags or {}))
    assert done.run.state.value == "succeeded"
    return [one.state.value for one in done.cells], bench.printed(done.run.id, len(cells))


@pytest.mark.long
def test_ids_names_and_places_go_on(bench: Any) -> None:
    states, printed = resumed(
        bench,
        "import attr, threading\nfrom bokeh.models import Div\n"
        "from concurrent.futures import ThreadPoolExecutor",
        "first = Div(text='x')\nkey = attr.ib(); unit = attr.ib()\n"
        "thread = threading.Thread(target=len).name\npool = ThreadPoolExecutor()._thread_name_prefix",
        "second = Div(text='y')\n@attr.s\nclass Row:\n    val = attr.ib()\n    k, u = key, unit\n"
        "print(first.id != second.id, [one.name for one in attr.fields(Row)], "
        "thread == threading.Thread(target=len).name, pool == ThreadPoolExecutor()._thread_name_prefix)",
    )
    assert printed == "True ['k', 'u', 'val'] False False\n"
    assert states == ["reused", "reused", "executed", "executed"]


@pytest.mark.long
def test_the_last_error_is_that_of_the_cell_that_may_fail(bench: Any) -> None:
    look = "print(repr(sys.last_value), sys.last_type.__name__, sys.last_traceback is not None)"
    cells = ("import sys", "raise LookupError('row 7')", "x = 1", look)
    tags = {1: ["raises-exception"]}
    states, printed = resumed(bench, *cells, tags=tags)
    assert printed == "LookupError('row 7') LookupError True\n"
    assert states == ["reused", "reused", "reused", "executed", "executed"]
    _, printed = resumed(bench, *cells, tags=tags, edit=("row 7", "row 8"))
    assert printed == "LookupError('row 8') LookupError True\n"


@pytest.mark.long
def test_a_vocabulary_goes_on_counting(bench: Any) -> None:
    states, printed = resumed(
        bench,
        "from collections import defaultdict\nvocab = defaultdict()\nvocab.default_factory = vocab.__len__",
        "ids = [vocab[word] for word in 'a b a'.split()]",
        "print(ids, vocab['b'], vocab['new'], vocab.default_factory.__self__ is vocab)",
    )
    assert printed == "[0, 1, 0] 1 2 True\n"
    assert states == ["reused", "reused", "executed", "executed"]


@pytest.mark.long
def test_a_clock_of_the_notebook_is_asked_by_the_notebook_alone(bench: Any) -> None:
    _, printed = resumed(
        bench,
        "import itertools, time\nticks = itertools.count(1000)\n"
        "clock, time.perf_counter = time.perf_counter, lambda: next(ticks)",
        "begin = time.perf_counter()",
        "print(begin, time.perf_counter())\ntime.perf_counter = clock\nprint(type(time.perf_counter()))",
    )
    assert printed == "1000 1001\n<class 'float'>\n"


def test_what_was_replaced_is_the_librarys_own(bench: Any) -> None:
    _, printed = resumed(
        bench,
        "import datetime, random, statistics\nclass Frozen(datetime.datetime):\n    pass\n"
        "real = datetime.datetime, statistics.mean, random.random\nday = datetime.datetime(2020, 1, 2)\n"
        "datetime.datetime, statistics.mean, random.random = Frozen, len, lambda: 0.5",
        "told = random.random(), statistics.mean([1, 2, 3])",
        "datetime.datetime, statistics.mean, random.random = real\n"
        "import _datetime\nprint(told, type(day) is _datetime.datetime is datetime.datetime, "
        "statistics.mean is statistics.__dict__['mean'], statistics.mean([1, 3]), isinstance(day, Frozen))",
    )
    assert printed == "(0.5, 3) True True 2 False\n"
