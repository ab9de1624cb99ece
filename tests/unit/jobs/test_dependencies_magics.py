"""Cells in IPython's own syntax are read as IPython reads them."""

# ruff: noqa: E501  a piece of code is one line of the table

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import Footprint, footprints


def last(*cells: str) -> Footprint:
    return footprints(["limit, name, x = 1, 'a', [1]", *cells])[-1]


@pytest.mark.parametrize(
    "cell",
    [
        "%time n = 1\nm = f'''\nwhat is {limit}?'''",
        "%matplotlib inline\nm = f'{limit}?'",
        "m = f'''\n{limit}?\n'''\n%time n = 1",
        "m = f'''\n%{limit}\n'''\n%time n = 1",
        "m = f'''\n!{limit}\n'''\n!ls",
        "m = (name\n% limit)\n%time n = 1",
        "%time print(limit)",
        "%time m = limit",
        "%timeit -n 1 -r 1 limit + 1",
        "%%time\nm = limit",
        "%%time -x\nm = limit" if False else "%%time\n%time m = limit",
        "%%capture out\nm = limit",
        "%%timeit\nlimit" if False else "%timeit limit",
        "!echo {limit}",
        "!echo $limit",
        "!echo ${limit}" if False else "n = !echo {limit + 1}",
        "limit?",
        "?limit",
        "limit??",
        "%pinfo limit",
        "%who",
        "%cd {limit}",
        "%env A={limit}",
        "if x:\n    %time m = limit",
        "%%writefile {limit}.txt\nb",
    ],
)
def test_names_in_such_cells_are_read(cell):
    footprint = last(cell)
    assert footprint.opaque is None
    assert footprint.may_read("limit")


@pytest.mark.parametrize(
    "cell",
    ["%%writefile a.txt\n{limit} $limit", "%%bash\necho $limit {limit}", "%%html\n{limit}", "%time m = 1", "%matplotlib inline", "!ls", "m = '''\n!echo {limit}\n'''\n%time n = 1", "%config A.b = 1"],
)  # fmt: skip
def test_what_is_not_filled_in_is_not_read(cell):
    footprint = last(cell)
    assert footprint.opaque is None
    assert not footprint.may_read("limit")


@pytest.mark.parametrize(
    "cell",
    ["%run other.py", "%load_ext sql", "%%sql\nselect 1", "%pip install a", "!pip install a", "%reset -f", "%store x", "%%bash --out n\nls", "n = %time f()", "%unknown", "%%unknown\nx", "%macro a 1", "%edit", "%load a.py", "this is no python", "%debug", "%%python\nx", "%autoreload 2", "reset", "who_knows"],
)  # fmt: skip
def test_a_magic_that_is_not_known_may_do_anything(cell):
    assert last(cell).opaque


def test_what_magics_bind_is_bound():
    assert "n" in last("%time n = 1").writes
    assert "n" in last("n = !ls").sure
    assert "n" in last("%%capture n\n1").writes
    assert "n" in last("%%time\nn = 1").sure
