"""A fix written back reaches the cells that still have the old text, and nothing of the file is lost."""

from __future__ import annotations

import copy

import nbformat
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode, v4

from respawn_server.fixes import merge, pairs
from support.notebooks import notebook


def sources(nb: NotebookNode) -> list[str]:
    return [cell.source for cell in nb.cells]


def edited(nb: NotebookNode, **texts: str) -> NotebookNode:
    """Return a copy with other texts of cells, by `cN`."""
    result = copy.deepcopy(nb)
    for name, text in texts.items():
        result.cells[int(name[1:])].source = text
    return result


OLD = notebook("a = 1", "1 / 0", "print(a)")
FIXED = edited(OLD, c1="1 / 1")


def test_cell_of_the_fix_is_written_and_the_rest_of_the_file_stays() -> None:
    mine = edited(OLD, c0="a = 2  # mine")
    mine.cells[0].outputs = [v4.new_output("stream", text="kept")]
    mine.cells[1].outputs = [v4.new_output("stream", text="of the old text")]
    mine.cells[1].execution_count = 7
    mine.cells.append(v4.new_markdown_cell("My notes"))
    result = merge(OLD, FIXED, mine)
    assert sources(result.notebook) == ["a = 2  # mine", "1 / 1", "print(a)", "My notes"]
    assert result.notebook.cells[0].outputs[0].text == "kept"
    assert (result.notebook.cells[1].outputs, result.notebook.cells[1].execution_count) == ([], None)
    assert [(one.kind, one.state, one.cell) for one in result.cells] == [("changed", "write", 1)]
    assert [(line.kind, line.text) for line in result.cells[0].lines] == [
        ("removed", "1 / 0"),
        ("added", "1 / 1"),
    ]


def test_cell_that_was_changed_otherwise_is_told_and_left() -> None:
    mine = edited(OLD, c1="1 / 2  # my own fix")
    result = merge(OLD, FIXED, mine)
    assert sources(result.notebook) == sources(mine)
    assert [(one.state, one.cell) for one in result.cells] == [("otherwise", 1)]
    assert [line.text for line in result.cells[0].lines] == ["1 / 2  # my own fix", "1 / 1"]


def test_file_that_holds_the_fix_has_nothing_to_write() -> None:
    result = merge(OLD, FIXED, copy.deepcopy(FIXED))
    assert [one.state for one in result.cells] == ["there"]
    assert sources(result.notebook) == sources(FIXED)


def test_cell_that_the_file_lost_is_told() -> None:
    mine = copy.deepcopy(OLD)
    del mine.cells[1]
    result = merge(OLD, FIXED, mine)
    assert sources(result.notebook) == ["a = 1", "print(a)"]
    assert [(one.state, one.cell, one.fixed) for one in result.cells] == [("otherwise", None, 1)]


def test_added_cells_follow_those_that_they_follow_in_the_fix() -> None:
    fixed = copy.deepcopy(OLD)
    fixed.cells.insert(1, v4.new_code_cell("b = a"))
    fixed.cells.insert(2, v4.new_code_cell("c = b"))
    mine = copy.deepcopy(OLD)
    mine.cells.insert(0, v4.new_markdown_cell("# Title"))
    result = merge(OLD, fixed, mine)
    assert sources(result.notebook) == ["# Title", "a = 1", "b = a", "c = b", "1 / 0", "print(a)"]
    assert [one.state for one in merge(OLD, fixed, result.notebook).cells] == ["there", "there"]


def test_removed_cell_goes_only_where_it_is_as_it_was() -> None:
    fixed = copy.deepcopy(OLD)
    del fixed.cells[2]
    assert sources(merge(OLD, fixed, copy.deepcopy(OLD)).notebook) == ["a = 1", "1 / 0"]
    mine = edited(OLD, c2="print(a, a)")
    result = merge(OLD, fixed, mine)
    assert sources(result.notebook) == ["a = 1", "1 / 0", "print(a, a)"]
    assert [(one.kind, one.state) for one in result.cells] == [("removed", "otherwise")]


def test_tags_are_part_of_the_fix() -> None:
    fixed = copy.deepcopy(OLD)
    fixed.cells[0].metadata["tags"] = ["respawn:once"]
    mine = copy.deepcopy(OLD)
    mine.cells[0].outputs = [v4.new_output("stream", text="of the same text")]
    result = merge(OLD, fixed, mine)
    assert result.notebook.cells[0].metadata["tags"] == ["respawn:once"]
    assert result.notebook.cells[0].outputs


def test_file_without_ids_gets_the_fix_and_no_ids() -> None:
    mine = copy.deepcopy(OLD)
    mine.nbformat_minor = 4
    for cell in mine.cells:
        del cell["id"]
    fixed = copy.deepcopy(FIXED)
    fixed.cells.append(v4.new_code_cell("done = True"))
    result = merge(OLD, fixed, mine).notebook
    assert sources(result) == ["a = 1", "1 / 1", "print(a)", "done = True"]
    assert all("id" not in cell for cell in result.cells)
    nbformat.validate(result)


def test_cell_that_was_edited_and_has_another_id_is_paired_by_its_place() -> None:
    other = edited(OLD, c1="1 / 3")
    other.cells[1].id = "another"
    assert pairs(OLD.cells, other.cells) == {0: 0, 1: 1, 2: 2}


def test_file_that_holds_an_earlier_fix_gets_the_later_one() -> None:
    first = edited(OLD, c1="1 / 1")
    first.cells.append(v4.new_code_cell("done = 1", id="done"))
    last = edited(first, c1="1 / 2", c3="done = 2")
    result = merge(OLD, last, copy.deepcopy(first), [first])
    assert sources(result.notebook) == ["a = 1", "1 / 2", "print(a)", "done = 2"]
    assert [(one.kind, one.state, one.cell) for one in result.cells] == [
        ("changed", "write", 1),
        ("changed", "write", 3),
    ]
    back = merge(OLD, edited(OLD, c2="print(2)"), copy.deepcopy(first), [first])
    assert sources(back.notebook)[:3] == ["a = 1", "1 / 0", "print(2)"]


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d\ne"]), max_size=5)


@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_no_text_of_the_file_is_lost_that_the_old_version_did_not_have(
    old: list[str], fixed: list[str], mine: list[str], ids: bool
) -> None:
    three = [notebook(*texts) for texts in (old, fixed, mine)]
    if not ids:
        for nb in three:
            nb.nbformat_minor = 4
            for cell in nb.cells:
                del cell["id"]
    before = sources(three[2])
    result = merge(*three)
    assert {text for text in before if text not in old} <= set(sources(result.notebook))
    nbformat.validate(result.notebook)
    if mine == old:
        assert sources(result.notebook) == fixed
