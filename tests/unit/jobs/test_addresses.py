"""Cells that ask for addresses, which are others in another process."""

from __future__ import annotations

import pytest

from respawn_jobs.addresses import asks_for_addresses, told_addresses


@pytest.mark.parametrize("source", ["seen = {id(row)}", "def key(x):\n    return id(x)", "d[id(x)] = 1"])
def test_a_cell_that_calls_id_asks_for_addresses(source: str) -> None:
    assert asks_for_addresses(source)


@pytest.mark.parametrize(
    "source",
    ["id = 3", "df['id']", "df.id(3)", "id = make\nid(3)", "for id in ids:\n    print(id)", "%magic id("],
)
def test_other_things_that_are_called_id_do_not(source: str) -> None:
    assert not asks_for_addresses(source)


def test_each_cell_is_named() -> None:
    assert [line.split(",")[0] for line in told_addresses([2, 5])] == ["cell 2", "cell 5"]
