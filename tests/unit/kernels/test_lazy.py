"""Pending variables are loaded by the first use, whatever it is, and by nothing else."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Collection
from typing import Any

import pytest

from respawn_kernels.host.lazy_variables import LazyNames, NotLoaded, lazy_names


class Shelf:
    """A store that says what was asked of it; names in one group come together."""

    def __init__(self, values: dict[str, Any], *groups: set[str], broken: tuple[str, ...] = ()) -> None:
        self.values = values
        self.groups = groups
        self.broken = broken
        self.asked: list[str] = []

    def load(self, names: Collection[str]) -> dict[str, Any]:
        self.asked += sorted(names)
        found = set(names).union(*(group for group in self.groups if group & set(names)))
        return {name: self.values[name] for name in found if name not in self.broken}

    def release(self) -> None:
        self.released = True

    def reason(self, name: str) -> str:
        return f"the blob of {name} is damaged"


def notebook(shelf: Shelf) -> tuple[dict[str, Any], LazyNames]:
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    lazy = lazy_names(namespace)
    lazy.begin(shelf.values, shelf)
    return namespace, lazy


USES = {
    "cell": "seen = big + 1",
    "function": "def f():\n    return big + 1\nseen = f()",
    "method": "class A:\n    def f(self):\n        return big + 1\nseen = A().f()",
    "class body": "class A:\n    x = big + 1\nseen = A.x",
    "comprehension": "seen = [big + n for n in [1]][0]",
    "generator": "seen = next(big + n for n in [1])",
    "lambda": "seen = (lambda: big + 1)()",
    "default": "def f(n=big):\n    return n + 1\nseen = f()",
    "eval": "seen = eval('big + 1')",
    "exec": "exec('seen = big + 1')",
    "nested function": "def f():\n    def g():\n        return big + 1\n    return g\nseen = f()()",
    "in place": "big += 1\nseen = big",
    "global in a function": "def f():\n    global big\n    big += 1\nf()\nseen = big",
}


@pytest.mark.parametrize("code", USES.values(), ids=USES)
def test_first_use_loads_and_later_ones_find_it(code: str) -> None:
    shelf = Shelf({"big": 41, "other": 1})
    namespace, lazy = notebook(shelf)
    exec(code, namespace)
    exec(code.replace("big += 1", "big += 0"), namespace)
    assert namespace["seen"] == 42
    assert shelf.asked == ["big"]
    assert lazy.pending == ["other"]


def test_builtins_are_found_and_unknown_names_are_name_errors() -> None:
    namespace, _ = notebook(Shelf({"big": 1}))
    exec("import math\nclass A: pass\nseen = len([1]), math.floor(1.5)", namespace)
    assert namespace["seen"] == (1, 1)
    with pytest.raises(NameError, match="name 'bigger' is not defined"):
        exec("bigger", namespace)


def test_builtin_that_changes_meanwhile_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace, lazy = notebook(Shelf({"big": 1}))
    monkeypatch.setattr(builtins, "brand_new", 5, raising=False)
    exec("seen = brand_new", namespace)
    monkeypatch.setattr(builtins, "brand_new", 6)
    lazy.refresh()
    exec("seen = seen, brand_new", namespace)
    assert namespace["seen"] == (5, 6)


def test_variable_that_hides_a_builtin_is_loaded_at_once() -> None:
    shelf = Shelf({"sum": "mine", "big": 1})
    namespace, lazy = notebook(shelf)
    assert namespace["sum"] == "mine"
    assert lazy.pending == ["big"]


def test_names_that_share_objects_come_together() -> None:
    rows = [1]
    shelf = Shelf({"rows": rows, "holder": {"rows": rows}, "other": 1}, {"rows", "holder"})
    namespace, lazy = notebook(shelf)
    exec("rows.append(2)", namespace)
    assert namespace["holder"]["rows"] == [1, 2]
    assert lazy.pending == ["other"]


def test_name_that_was_bound_meanwhile_is_the_user_s() -> None:
    shelf = Shelf({"rows": [1], "holder": {}, "other": 1}, {"rows", "holder"})
    namespace, lazy = notebook(shelf)
    exec("rows = 'mine'\nholder", namespace)
    assert namespace["rows"] == "mine"
    lazy.load(["rows"])
    assert namespace["rows"] == "mine"
    lazy.prune()
    assert lazy.pending == ["other"]


def test_own_builtins_come_back_when_nothing_is_pending() -> None:
    namespace, lazy = notebook(Shelf({"a": 1, "b": 2}))
    told: list[int] = []
    lazy.settled.append(lambda: told.append(1))
    exec("def late():\n    return a + b\nlate()", namespace)
    lazy.prune()
    assert namespace["__builtins__"] is builtins
    assert told == [1]
    assert namespace["late"]() == 3
    lazy.begin(["a"], Shelf({"a": 10}))
    assert namespace["late"]() == 12, "a function made before finds what is pending later"


def test_what_cannot_be_loaded_says_so_at_each_use_and_harms_no_other() -> None:
    shelf = Shelf({"big": 1, "other": 2}, broken=("big",))
    namespace, _ = notebook(shelf)
    for _ in range(2):
        with pytest.raises(NotLoaded, match="big could not be loaded: the blob of big is damaged"):
            exec("big", namespace)
    exec("seen = other", namespace)
    shelf.broken = ()
    exec("seen = big", namespace)
    assert namespace["seen"] == 1


def test_error_of_the_store_passes_through() -> None:
    class Interrupted(Shelf):
        def load(self, names: Collection[str]) -> dict[str, Any]:
            raise KeyboardInterrupt

    namespace, lazy = notebook(Interrupted({"big": 1}))
    with pytest.raises(KeyboardInterrupt):
        exec("big", namespace)
    assert lazy.pending == ["big"]


def test_loading_that_needs_the_name_itself_ends() -> None:
    class Circle(Shelf):
        def load(self, names: Collection[str]) -> dict[str, Any]:
            exec("big", namespace)
            return {}

    namespace, _ = notebook(Circle({"big": 1}))
    with pytest.raises(NameError):
        exec("big", namespace)


def test_many_threads_load_once() -> None:
    shelf = Shelf({"big": object()})
    namespace, _ = notebook(shelf)
    code, seen = compile("seen.append(big)", "cell", "exec"), []
    namespace["seen"] = seen
    threads = [threading.Thread(target=exec, args=(code, namespace)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, seen))) == 1
    assert len(seen) == 8
    assert shelf.asked == ["big"]


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("big + 1", "big"),
        ("x = 1", ""),
        ("big = 1", ""),
        ("del big", "big"),
        ("try:\n    1 / 0\nexcept Exception as big:\n    pass", "big"),
        ("frame.query('price > @big')", "big"),
        ("pool.submit(lambda: big)", "big"),
        ("globals()['big']", "big other uses"),
        ("get_ipython().run_line_magic('timeit', 'big + 1')", "big"),
        ("get_ipython().run_cell_magic('time', '', 'other')", "other"),
        ("get_ipython().run_line_magic('who', '')", "big other uses"),
        ("get_ipython().user_ns", "big other uses"),
        ("get_ipython().Completer.global_matches('b')", "big other uses"),
        ("uses()", "big uses"),
        ("made_before()", "other"),
        ("this is no python big", "big"),
    ],
)
def test_what_a_cell_mentions_is_loaded_before_it_runs(code: str, loaded: str) -> None:
    functions: dict[str, Any] = {"__name__": "__main__"}
    exec("def uses():\n    return big\ndef made_before():\n    return other", functions)
    shelf = Shelf({"big": 1, "other": 2, "uses": functions["uses"]})
    namespace, lazy = notebook(shelf)
    namespace["made_before"] = functions["made_before"]
    lazy.load_for(code)
    assert sorted(shelf.values.keys() - set(lazy.pending)) == loaded.split()


def test_what_does_not_load_before_the_cell_stops_nothing() -> None:
    namespace, lazy = notebook(Shelf({"big": 1}, broken=("big",)))
    lazy.load_for("if False: big")
    exec("if False: big", namespace)
