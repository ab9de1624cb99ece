"""Which variables a cell may have written, and when that is unknown."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from respawn_kernels.cell_code.write_set import WriteSet, write_set_of


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("a.append(b)", {"a", "append", "b"}),
        ("def f(x=c):\n    global g\n    g = d", {"f", "x", "c", "g", "d"} - {"x"}),
        ("df.query('price > @limit')", {"df", "query", "price", "limit"}),
        ("from m import n as o, p", {"n", "o", "p"}),
        ("import a.b", {"a", "b"}),
        (
            "match x:\n    case {'k': v, **rest}: pass\n    case [*tail]: pass",
            {"x", "k", "v", "rest", "tail"},
        ),
        ("try: pass\nexcept E as e: pass", {"E", "e"}),
        ("del a", {"a"}),
        ("[y for y in z]", {"y", "z"}),
        ("b'from bytes'", {"from", "bytes"}),
    ],
)
def test_names_are_all_that_code_names_anywhere(code: str, names: set[str]) -> None:
    assert write_set_of(code) == names


@pytest.mark.parametrize(
    "code",
    [
        "exec(s)",
        "x = eval('y')",
        "globals()['a'] = 1",
        "sys.modules['__main__'].a = 1",
        "import __main__",
        "f.__globals__",
        "get_ipython().run_line_magic('run', 'x.py')",
        "import gc",
        "inspect.currentframe()",
        "this is no Python",
    ],
)
def test_code_that_can_reach_anything_may_write_everything(code: str) -> None:
    assert write_set_of(code) is None


def test_names_add_up_from_boundary_to_boundary() -> None:
    written = WriteSet({})
    for cell, code in enumerate(["a = 1", "b = 1", "c = 1"]):
        written.note(code)
        written.mark(cell)
    assert written.since(0) == {"b", "c"}
    assert written.since(2) == set()
    written.note("d = 1")
    assert written.since(1) == {"c", "d"}
    assert written.since(7) is None, "a boundary that was never passed"


def test_one_cell_with_an_unknown_write_set_hides_all_that_came_with_it() -> None:
    written = WriteSet({})
    written.mark(0)
    written.note("a = 1")
    written.note("exec('b = 1')")
    written.mark(1)
    written.mark(2)
    assert written.since(0) is None
    assert written.since(1) == set()


def test_a_thread_may_write_everything_while_it_runs_and_in_the_cell_that_it_ends_in() -> None:
    written, go_on = WriteSet({}), threading.Event()
    written.mark(0)
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    written.mark(1)
    go_on.set()
    thread.join()
    written.mark(2)
    written.mark(3)
    assert [written.since(cell) for cell in (0, 1, 2)] == [None, None, set()]


def test_tasks_and_callbacks_of_the_notebook_may_write_everything() -> None:
    namespace: dict[str, Any] = {}
    exec("import asyncio\nasync def wait():\n    await asyncio.sleep(60)\ndef later(): pass", namespace)

    async def cells() -> list[set[str] | None]:
        written, found = WriteSet(namespace), []
        written.mark(0)
        task = asyncio.ensure_future(namespace["wait"]())
        await asyncio.sleep(0)
        written.mark(1)
        found.append(written.since(0))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        written.mark(2)
        written.mark(3)
        found.append(written.since(2))
        handle = asyncio.get_running_loop().call_later(60, namespace["later"])
        written.mark(4)
        found.append(written.since(3))
        handle.cancel()
        return found

    assert asyncio.run(cells()) == [None, set(), None]
