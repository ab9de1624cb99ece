"""What cells read and write, as far as their code tells; where it does not, everything."""

# ruff: noqa: E501  a piece of code is one line of the table

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import Footprint, footprints

IMPORTS = "import numpy as np\nimport pandas as pd\nimport random, os, helpers, copy, json\nimport matplotlib.pyplot as plt"
MADE = (
    "n, m, text = 1, 2, 'a'",
    "x = [[1], [2]]",
    "y = x",
    "box = {'x': x}",
    "apart = [1, 2]",
    "df = pd.DataFrame({'a': [1, 2]})",
    "array = np.zeros(3)",
)


def last(*cells: str) -> Footprint:
    """The footprint of the last cell, after the usual ones and those before it."""
    return footprints([IMPORTS, *MADE, *cells])[-1]


def variables(names: frozenset[str]) -> set[str]:
    return {name for name in names if not name.startswith("#")} & {
        *("n", "m", "text", "x", "y", "box", "apart", "df", "array", "new", "f", "g", "it", "obj", "part")
    }


@pytest.mark.parametrize(
    "cell",
    [
        "x.append(1)", "y.append(1)", "x[0] = 1", "x[0][0] = 5", "x += [1]", "del x[0]", "box['x'].clear()",
        "for item in box.values():\n    item.append(1)", "part = x[0]\npart.append(1)", "[i.append(1) for i in x]",
        "def f(v):\n    v.append(1)\nf(x)", "def f():\n    x.append(1)\nf()", "(lambda v: v.pop())(y)",
        "first, *rest = x\nfirst.append(1)", "np.fill_diagonal(x, 0)", "random.shuffle(x)", "helpers.change(x)",
        "z = (x, 1)\nz[0].append(2)", "sorted(x, key=lambda v: v.append(1))", "list(map(lambda v: v.pop(), x))",
        "def f(v=x):\n    v.append(1)\nf()", "while x[0]:\n    x[0].pop()", "x[0], n = 1, 2", "x.sort()",
        "if n:\n    x.append(1)", "try:\n    x.append(1)\nfinally:\n    pass", "with open('a') as o:\n    x.append(o)",
        "from helpers import change\nchange(x)", "getattr(x, 'append')(1)", "add = x.append\nadd(1)",
    ],
)  # fmt: skip
def test_what_is_changed_in_place_is_changed_under_all_its_names(cell: str) -> None:
    footprint = last(cell)
    assert footprint.opaque is None
    assert {"x", "y", "box"} <= variables(footprint.writes)
    assert {"x", "y", "box"} <= variables(footprint.reads)
    assert "apart" not in footprint.writes


@pytest.mark.parametrize(
    "cell",
    [
        "new = len(x)", "new = [v for v in x]", "print(x, y)", "new = x[0]", "new = x", "new = {'k': x}", "x == y",
        "for item in x:\n    n", "new = sum(apart) / len(apart)", "new = f'{x}'", "new = list(x)", "x",
        "def f(v):\n    return len(v)\nnew = f(x)", "new = box.get('x')", "new = sorted(apart)", "assert x, 'no'",
        "new = df.a.mean() + len(x)", "df2 = df[df.a > 1]", "df2 = df.assign(b=1).groupby('a').sum()",
        "new = np.sqrt(array) + array.mean()", "df2 = df.merge(df, on='a')", "df2 = df.apply(lambda r: r.a + n)",
        "new = copy.deepcopy(x)\nnew.append(1)", "new = json.dumps(x)", "plt.plot(array)", "df.to_csv('a.csv')",
        "class Kept:\n    def __init__(self, v):\n        self.v = v\nobj = Kept(1)\nobj.v = 2", "new = x * 2",
    ],
)  # fmt: skip
def test_looking_at_something_does_not_change_it(cell: str) -> None:
    footprint = last(cell)
    assert footprint.opaque is None
    assert variables(footprint.writes) <= {"new", "f", "n", "obj", "df2"} - (
        {"n"} if "n =" not in cell else set()
    )


@pytest.mark.parametrize(
    "cell",
    [
        "df['b'] = 1", "df.drop(columns='a', inplace=True)", "df.loc[0, 'a'] = 3", "df.pop('a')", "df += 1",
        "view = df['a']\nview[0] = 9", "df.columns = ['b']", "df.insert(0, 'c', 1)", "df.a.fillna(0, None, None, True)",
        "def fix(t):\n    t['b'] = 1\n    return t\nnew = fix(df)", "df.eval('c = a', inplace=True)",
        "df.apply(lambda r: df.pop('a'))", "df.a.values[:] = 0",
    ],
)  # fmt: skip
def test_tables_are_changed_by_what_changes_tables(cell: str) -> None:
    assert "df" in last(cell).writes


@pytest.mark.parametrize(
    "cell",
    ["array[0] = 1", "array.sort()", "array.fill(2)", "np.add(array, 1, out=array)", "np.sqrt(array, array)",
     "flat = array.ravel()\nflat[0] = 1", "array.T[0] = 1", "np.add.at(array, 0, 1)", "np.random.shuffle(array)",
     "array.round(2, array)", "np.asarray(array)[0] = 1"],
)  # fmt: skip
def test_arrays_are_changed_through_views_and_out(cell: str) -> None:
    assert "array" in last(cell).writes


@pytest.mark.parametrize(
    "cell",
    [
        "exec('x = 1')", "eval(text)", "globals()['x'] = 1", "%run other.py", "%load_ext sql", "from helpers import *",
        "this is no python", "get_ipython().run_line_magic('time', 'x')", "np.mean = None", "pd.DataFrame.head = 1",
        "import sys\nsys.modules['a'] = x", "setattr(x, 'a', 1)", "x.__dict__['a'] = 1", "import threading\nthreading.Thread()",
        "%%sql\nselect 1", "locals()", "vars()", "_ + 1", "Out[3]", "In", "!pip install x",
        "import gc\ngc.get_objects()", "__import__('x')", "import ctypes\nctypes.memset(1, 2, 3)",
    ],
)  # fmt: skip
def test_code_that_cannot_be_followed_may_do_anything(cell: str) -> None:
    footprint = last(cell)
    assert footprint.opaque is not None
    assert footprint.may_read("x")
    assert footprint.may_write("x")


def test_after_such_code_nothing_is_taken_for_what_it_was() -> None:
    footprint = last("exec(text)", "new = len(x)")
    assert "x" in footprint.writes, "`len` may be another by now"


def test_a_function_reads_what_it_reads_when_it_is_called() -> None:
    made, called = footprints([IMPORTS, *MADE, "def f(v):\n    return v * m", "new = f(n)"])[-2:]
    assert variables(made.reads) == set()
    assert variables(called.reads) == {"f", "n", "m"}


def test_a_function_that_is_kept_somewhere_is_followed() -> None:
    assert "m" in last("def f():\n    return m", "g = [f]", "new = g[0]()").reads
    assert "m" in last("it = map(lambda v: v + m, x)", "new = list(it)").reads
    assert "m" in last("it = (v + m for v in x)", "new = next(it)").reads
    assert "x" in last("def f():\n    x.append(1)", "helpers.call_later(f)").writes


def test_globals_are_written_by_whoever_calls() -> None:
    assert "n" in last("def f():\n    global n\n    n += 1", "f()").writes
    assert "n" in last("def f():\n    global n\n    n = 1", "def g():\n    f()", "g()").writes
    assert "n" not in last("def f():\n    global n\n    n = 1").writes


def test_what_a_closure_keeps_changes_with_it() -> None:
    maker = "def make():\n    kept = []\n    def add(v):\n        kept.append(v)\n        return kept\n    return add"
    assert {"f", "g"} <= last(maker, "f = make()", "g = f", "f(1)").writes
    assert "new" in last(maker, "f = make()", "new = f(1)", "f(2)").writes


def test_going_through_an_iterator_uses_it_up() -> None:
    for cell in ("next(it)", "list(it)", "1 in it", "for _ in it: pass", "sum(it)", "first, second = it"):
        assert "it" in last("it = iter(x)", cell).writes


def test_a_method_of_a_class_of_the_notebook_does_what_its_code_does() -> None:
    made = "class K:\n    seen = []\n    def __init__(self):\n        self.v = 0\n    def look(self):\n        return self.v\n    def count(self):\n        self.v += 1\n    def note(self, v):\n        self.seen.append(v)"
    assert "obj" not in last(made, "obj = K()", "obj.look()").writes
    assert "obj" in last(made, "obj = K()", "obj.count()").writes
    assert {"obj", "K", "g"} <= last(made, "obj = K()", "g = K()", "obj.note(1)").writes


def test_operators_of_the_notebooks_own_classes_are_run() -> None:
    made = "class Sum:\n    def __init__(self):\n        self.all = []\n    def __add__(self, other):\n        self.all.append(other)\n        return self"
    assert "obj" in last(made, "obj = Sum()", "new = obj + n").writes


def test_random_numbers_depend_on_those_before_them() -> None:
    seeded, drawn, again = footprints(
        [IMPORTS, "np.random.seed(1)", "new = np.random.rand(3)", "df2 = new.mean()"]
    )[1:]
    assert seeded.sure == {"#numpy.random"}
    assert "#numpy.random" in drawn.reads & drawn.writes
    assert not any(name.startswith("#") for name in again.reads | again.writes)
    own = last("rng = np.random.default_rng(1)", "new = rng.normal()")
    assert "rng" in own.writes
    assert "#numpy.random" not in own.writes


def test_the_working_directory_and_the_environment_count() -> None:
    assert "#cwd" in last("os.chdir('data')").writes
    assert "#cwd" in last("new = pd.read_csv('a.csv')").reads
    assert "#env" in last("os.environ['A'] = '1'").writes
    assert "#env" in last("new = os.environ['A']").reads


def test_names_in_queries_and_formulas_are_read() -> None:
    assert "m" in last("new = df.query('a > @m')").reads
    assert last("import duckdb\nnew = duckdb.sql('select * from df')").may_read("df")


def test_a_library_that_is_not_known_may_keep_what_it_was_given() -> None:
    footprint = last("helpers.keep(x)", "new = helpers.count()")
    assert {"x", "y", "box"} <= footprint.writes
    assert "#libraries" in footprint.reads & footprint.writes
    assert "apart" not in footprint.writes


def test_a_name_that_hides_a_builtin_is_that_name() -> None:
    assert "x" in last("def len(v):\n    v.append(1)", "new = len(x)").writes


def test_what_may_not_be_reached_is_not_bound_for_sure() -> None:
    assert "new" not in last("if n:\n    new = 1").sure
    assert "new" not in last("for new in x:\n    pass").sure
    assert last("new = 1").sure == {"new"}
    assert footprints(["new = 1"], may_raise=[True])[0].sure == frozenset()


def test_a_shell_line_reads_what_it_is_filled_in_with() -> None:
    assert variables(last("!echo {n} $m").reads) == {"n", "m"}
    assert "new" in last("new = !ls").writes
    assert variables(last("%time new = len(x)").writes) == {"new"}
