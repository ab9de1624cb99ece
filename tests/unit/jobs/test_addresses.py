"""Cells that ask for addresses, which are others in another process."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow.addresses import asks_for_addresses, describe_addresses
from respawn_kernels.evidence import CellEvidence


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("seen = {id(row)}", "id"),
        ("def key(x):\n    return id(x)", "id"),
        ("d[id(x)] = 1", "id"),
        ("keys = list(map(id, rows))", "id"),
        ("rows.sort(key=id)", "id"),
        ("!ls\nkeys = [id(row) for row in rows]", "id"),
        ("where = a.__array_interface__['data'][0]", "__array_interface__"),
        ("where = {a.ctypes.data: a}", "ctypes.data"),
        ("where = t.data_ptr()", "data_ptr"),
        ("where, n = array('d').buffer_info()", "buffer_info"),
        ("import ctypes\nwhere = ctypes.addressof(c)", "addressof"),
    ],
)
def test_a_cell_that_asks_where_objects_lie_says_how(source: str, how: str) -> None:
    assert asks_for_addresses(source) == [how]


def test_what_was_seen_of_results_is_told_too() -> None:
    seen = CellEvidence(addresses=("hash of Node", "text in keys"))
    assert asks_for_addresses("x = 1", seen) == ["hash of Node", "text in keys"]


@pytest.mark.parametrize(
    "source",
    [
        "id = 3",
        "df['id']",
        "df.id(3)",
        "id = make\nid(3)",
        "for id in ids:\n    print(id)",
        "%magic id(",
        "def of(id):\n    return rows[id]",
        "a.ctypes.shape",
        "lib.f(a.data)",
        "from x import id\nid(3)",
        "hash('a')",
    ],
)
def test_other_things_do_not(source: str) -> None:
    assert not asks_for_addresses(source)


def test_id_of_another_cell_does_not() -> None:
    assert not asks_for_addresses("print(id)", None, {"id"})


def test_each_cell_is_named() -> None:
    assert [line.split(",")[0] for line in describe_addresses([(2, ["id"]), (3, []), (5, ["id"])])] == [
        "cell 2",
        "cell 5",
    ]
