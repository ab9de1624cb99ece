"""What is known unchanged is not looked at, and what could have changed always is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from support.checkpoints import Notebook, bring_back, main_module
from support.lengths import quick

BIG = "import numpy as np\nbig = np.random.default_rng(0).random(1_000_000)"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Notebook]:
    with main_module() as namespace:
        yield Notebook(namespace, tmp_path)


def _restored(book: Notebook) -> dict[str, Any]:
    with main_module() as namespace:
        assert not bring_back(book.spool, book.cell, namespace)
        return dict(namespace)


def _after(book: Notebook, *cells: str) -> Manifest:
    """Run a cell, take a checkpoint; run the others, take another."""
    book.run(cells[0])
    book.checkpoint()
    for cell in cells[1:]:
        book.run(cell)
    return book.checkpoint()


def test_untouched_variables_are_taken_over_without_a_look(book: Notebook, tmp_path: Path) -> None:
    manifest = _after(book, f"{BIG}\ntable = {{'a': [1]}}", "n = 1")
    assert manifest.parent == 0
    assert manifest.payload["written"] < 10_000
    # Proof that nobody looked: a change behind the notebook's back is not seen.
    book.namespace["big"][0] = -1
    book.run("n = 2")
    book.checkpoint()
    assert _restored(book)["big"][0] != -1


@pytest.mark.parametrize(
    ("made", "changed"),
    quick(
        {0, 3, 12, 15, 19},
        [
            ("a = [1]; b = [a]", "b[0].append(2)"),
            ("a = [1]\ndef f(x=a): x.append(2)", "f()"),
            ("a = [1]\ndef f(): a.append(2)", "f()"),
            ("a = [1]\ndef f(): a.append(2)\ndef g(): f()", "g()"),
            ("a = [1]\ndef make(x):\n    return lambda: x.append(2)\nadd = make(a)", "add()"),
            ("a = [1]\nclass C:\n    def go(self): a.append(2)\nc = C()", "c.go()"),
            ("a = [1]\nclass C:\n    held = a\nc = C()", "c.held.append(2)"),
            ("a = [1]", "exec('a' + '.append(2)')"),
            ("a = [1]", "globals()['a'].append(2)"),
            ("a = [1]", "eval('a').append(2)"),
            ("a = [1]", "import operator; operator.iadd(*[a], [2])"),
            ("a = [1]", "import sys; sys.modules['__main__'].a.append(2)"),
            ("import types; a = types.SimpleNamespace(v=[1])", "setattr(a, 'v', [1, 2])"),
            ("import types; m = types.ModuleType('m'); a = [1]; m.kept = a", "m.kept.append(2)"),
            ("import collections; a = collections.deque([1])", "a.append(2)"),
            ("import numpy as np; a = np.arange(50_000); v = a[5:]", "v[0] = 2"),
            ("import numpy as np; a = np.arange(50_000); v = a[5:]", "np.multiply(v, 2, out=v)"),
            ("import numpy as np; a = np.arange(50_000); m = memoryview(a)", "m[0] = 2"),
            ("import numpy as np; b = bytearray(100_000); a = np.frombuffer(b, 'u1')", "b[7] = 2"),
            (
                "import pandas as pd; a = pd.DataFrame({'x': range(9)}); q = a.x.to_numpy()",
                "a.loc[0, 'x'] = 2",
            ),
            ("import json as kept; a = [1]; kept.cache = a", "kept.cache.append(2); del kept.cache"),
            ("a = [1]; it = iter([a])", "next(it).append(2)"),
        ],
        "long",
    ),
)
def test_change_by_whatever_way_is_in_the_next_checkpoint(book: Notebook, made: str, changed: str) -> None:
    _after(book, made, "n = 1", changed)
    back, there = _restored(book)["a"], book.namespace["a"]
    assert repr(back) == repr(there)


def test_what_a_library_finds_by_a_name_that_no_cell_has_is_one_object_with_its_variable(
    book: Notebook,
) -> None:
    import_it = "import logging.config\nfound = logging.config.BaseConfigurator({}).convert(place)"
    _after(book, "rates = {'EUR': 1.0}; place = 'ext://__main__.' + 'rat' + 'es'", import_it)
    back = _restored(book)
    assert back["found"] is back["rates"]


def test_change_by_a_thread_is_in_the_next_checkpoint(book: Notebook) -> None:
    book.run(
        "import threading\na, go, done = [1], threading.Event(), threading.Event()\n"
        "def work():\n    go.wait()\n    a.append(2)\n    done.set()\n"
        "thread = threading.Thread(target=work); thread.start()"
    )
    book.checkpoint()
    book.run("go.set(); done.wait(); thread.join()")
    book.checkpoint()
    assert _restored(book)["a"] == [1, 2]


def test_tensor_on_an_arrays_memory_is_looked_at_when_the_array_was_touched(book: Notebook) -> None:
    pytest.importorskip("torch")
    _after(book, "import numpy as np, torch\na = np.zeros(50_000); t = torch.from_numpy(a)", "a[0] = 7")
    assert _restored(book)["t"][0] == 7


def test_arrow_table_on_an_arrays_memory_is_looked_at_when_the_array_was_touched(book: Notebook) -> None:
    pytest.importorskip("pyarrow")
    _after(book, "import numpy as np, pyarrow as pa\nb = np.zeros(50_000); a = pa.array(b)", "b[0] = 7")
    assert _restored(book)["a"][0].as_py() == 7


@pytest.mark.parametrize("change", ["f = {'k': 1}", "del f", "def f(): return 2"])
def test_name_that_a_group_refers_to_is_rebound(book: Notebook, change: str) -> None:
    book.run("def f(): return 1\na = {'call': f}")
    book.checkpoint()
    book.run(change)
    book.run("n = 1")
    book.checkpoint()
    assert _restored(book)["a"]["call"]() == 1


def test_rebound_and_deleted_names_are_what_they_are_now(book: Notebook) -> None:
    _after(book, "a, b, c = [1], [2], [3]", "a = [9]; del b")
    back = _restored(book)
    assert (back["a"], back["c"]) == ([9], [3])
    assert "b" not in back


def test_without_knowledge_of_the_parent_everything_is_looked_at(book: Notebook) -> None:
    book.run("a = [1]")
    book.checkpoint()
    for file in (book.spool / "baselines").iterdir():
        file.unlink()
    book.namespace["a"].append(2)
    book.run("n = 1")
    assert book.checkpoint().parent is None
    assert _restored(book)["a"] == [1, 2]


def test_blobs_that_the_parent_stored_are_not_written_again(book: Notebook) -> None:
    book.run(BIG)
    book.checkpoint()
    stored = list((book.spool / "blobs").iterdir())
    for file in stored:
        file.unlink()  # as the runner does with what it has stored
    book.run("big[:] = big[:]; exec('')")
    manifest = book.checkpoint()
    assert {blob.digest for blob in manifest.blobs} & {file.name for file in stored}
    assert sum(file.stat().st_size for file in (book.spool / "blobs").iterdir()) < 100_000


def test_packs_that_are_mostly_dead_are_not_kept_for_a_little(book: Notebook) -> None:
    book.run("small, large = [1], [str(n) for n in range(100_000)]")
    first = book.checkpoint()
    book.run("large = []")
    second = book.checkpoint()
    assert max(first.blobs, key=lambda blob: blob.size) not in second.blobs
    assert _restored(book)["small"] == [1]
