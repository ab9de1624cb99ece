"""How two notebooks differ: nothing is lost, nothing is made up, and large ones cost little."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respawn_jobs.notebook.diff import MAX_SHOWN, compare, diff_lines, lacking, pair_cells
from respawn_jobs.notebook.document import read_notebook
from support.notebooks import notebook, text

SOURCES = st.lists(st.text("ab\n", max_size=6), max_size=8)
IDS = st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True)


def book(*sources, ids=()):
    made = read_notebook(text(notebook(*sources)))
    for cell, one in zip(made.cells, ids, strict=False):
        cell["id"] = f"cell-{one}"
    return made


@given(SOURCES, SOURCES, IDS, IDS)
def test_each_cell_is_told_once_and_in_the_order_of_both(old, new, old_ids, new_ids):
    before, after = book(*old, ids=old_ids), book(*new, ids=new_ids)
    pairs = pair_cells(before.cells, after.cells)
    assert [left for left, _ in pairs if left is not None] == list(range(len(before.cells)))
    assert [right for _, right in pairs if right is not None] == list(range(len(after.cells)))


@given(st.text("ab\n", max_size=60), st.text("ab\n", max_size=60))
def test_the_lines_of_both_texts_are_all_there(old, new):
    lines = diff_lines(old, new)
    assert "\n".join(line.text for line in lines if line.kind != "added") == old
    assert "\n".join(line.text for line in lines if line.kind != "removed") == new


@given(SOURCES, IDS)
def test_a_notebook_does_not_differ_from_itself(sources, ids):
    one = book(*sources, ids=ids)
    assert {change.kind for change in compare(one, one)} <= {"same"}
    assert lacking(one, one, one) == []


@given(SOURCES, SOURCES, IDS, IDS)
def test_what_holds_a_fix_lacks_none_of_it(old, new, old_ids, new_ids):
    base, fixed = book(*old, ids=old_ids), book(*new, ids=new_ids)
    assert lacking(base, fixed, fixed) == []


def test_an_edited_cell_without_an_id_of_its_own_is_told_as_changed():
    kinds = [change.kind for change in compare(book("a", "b", "c"), book("a", "B", "c"))]
    assert kinds == ["same", "changed", "same"]


def told(old, new):
    return [(change.kind, change.old, change.new, change.moved) for change in compare(old, new)]


@given(SOURCES, SOURCES, IDS, IDS)
def test_a_comparison_tells_each_cell_once(old, new, old_ids, new_ids):
    changes = compare(book(*old, ids=old_ids), book(*new, ids=new_ids))
    assert sorted(one.old for one in changes if one.old is not None) == list(range(len(old)))
    assert [one.new for one in changes if one.new is not None] == list(range(len(new)))


def test_a_moved_cell_is_told_once_where_it_is_now():
    old = book("a = 1", "b = 2", "c = 3", ids="xyz")
    assert told(old, book("b = 2", "c = 3", "a = 1", ids="yzx")) == [
        ("same", 1, 0, False), ("same", 2, 1, False), ("moved", 0, 2, True),
    ]  # fmt: skip


def test_a_moved_cell_that_was_edited_too_shows_its_edit():
    old = book("a = 1\nq = 0", "b = 2", "c = 3", ids="xyz")
    changes = compare(old, book("b = 2", "c = 3", "a = 4\nq = 0", ids="yzx"))
    assert [(one.kind, one.old, one.new, one.moved) for one in changes][-1] == ("changed", 0, 2, True)
    assert [(line.kind, line.text) for line in changes[-1].lines] == [
        ("removed", "a = 1"), ("added", "a = 4"), ("same", "q = 0"),
    ]  # fmt: skip


def test_a_cell_whose_id_is_another_is_found_moved_by_its_source():
    old = book("a = 1", "b = 2", "c = 3", "d = 4", "c = 3", ids="abcde")
    assert told(old, book("b = 2", "c = 3", "d = 4", "c = 3", "a = 1", ids="vwxyz"))[-1] == (
        "moved",
        0,
        4,
        True,
    )


def test_a_new_cell_in_the_place_of_one_that_was_moved_is_no_edit_of_it():
    old = book("a = 1", "b = 2", "c = 3", ids="xyz")
    assert told(old, book("n = 0", "b = 2", "c = 3", "a = 1", ids="nyzx")) == [
        ("added", None, 0, False), ("same", 1, 1, False), ("same", 2, 2, False), ("moved", 0, 3, True),
    ]  # fmt: skip


def test_cells_without_text_are_not_told_as_moved():
    kinds = [change.kind for change in compare(book("", "b = 2", ids="ab"), book("b = 2", "", ids="yz"))]
    assert sorted(kinds) == ["added", "removed", "same"]


def test_tags_alone_make_a_cell_another():
    tagged = book("a")
    tagged.cells[0].metadata["tags"] = ["respawn:once"]
    (change,) = compare(book("a"), tagged)
    assert (change.kind, change.lines, change.tags) == ("changed", [], ["respawn:once"])
    assert [cell.index for cell in lacking(book("a"), tagged, book("a"))] == [0]


def test_a_fixed_cell_that_stands_elsewhere_in_the_file_holds_the_fix():
    base, fixed = book("a", "bad", "c", ids="xyz"), book("a", "good", "c", ids="xyz")
    assert lacking(base, fixed, book("good", "a", "c", ids="yxz")) == []


def test_a_file_without_the_cell_that_a_fix_added_lacks_it():
    found = lacking(book("a", "c", ids="xz"), book("a", "b", "c", ids="xyz"), book("a", "c", ids="xz"))
    assert [(cell.index, cell.otherwise) for cell in found] == [(1, False)]


def test_a_file_that_has_a_cell_which_a_fix_removed_lacks_the_fix():
    found = lacking(book("a", "b", "c", ids="xyz"), book("a", "c", ids="xz"), book("a", "b", "c", ids="xyz"))
    assert [cell.index for cell in found] == [1]


@pytest.mark.long
def test_large_cells_cost_no_more_than_they_have_lines():
    began = time.monotonic()
    many = "\n".join("ab"[index % 2] for index in range(200_000))
    other = "\n".join("ba"[index % 3 > 0] for index in range(200_000))
    repeated = ["a\n" * 60 + f"{index}" for index in range(2_000)]
    compare(book(many, *repeated), book(other, *[f"b\n{one}" for one in repeated]))
    assert time.monotonic() - began < 20


def test_lines_beyond_what_one_comparison_may_hold_are_counted():
    (change,) = compare(book("a"), book("b\n" * MAX_SHOWN))
    assert (change.kind, change.lines, change.left_out) == ("changed", [], MAX_SHOWN + 2)
