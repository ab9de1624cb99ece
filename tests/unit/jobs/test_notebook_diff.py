"""How two notebooks differ: nothing is lost, nothing is made up, and large ones cost little."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from respawn_jobs.notebook_diff import MOST_SHOWN, compare, diff_lines, lacking, pair_cells
from respawn_jobs.notebooks import read_notebook
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


def test_a_moved_cell_is_removed_and_added():
    kinds = [change.kind for change in compare(book("a", "b", ids="xy"), book("b", "a", ids="yx"))]
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


def test_large_cells_cost_no_more_than_they_have_lines():
    began = time.monotonic()
    many = "\n".join("ab"[index % 2] for index in range(200_000))
    other = "\n".join("ba"[index % 3 > 0] for index in range(200_000))
    repeated = ["a\n" * 60 + f"{index}" for index in range(2_000)]
    compare(book(many, *repeated), book(other, *[f"b\n{one}" for one in repeated]))
    assert time.monotonic() - began < 20


def test_lines_beyond_what_one_comparison_may_hold_are_counted():
    (change,) = compare(book("a"), book("b\n" * MOST_SHOWN))
    assert (change.kind, change.lines, change.left_out) == ("changed", [], MOST_SHOWN + 2)
