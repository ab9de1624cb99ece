import json

import nbformat
import pytest

from respawn_jobs.errors import InvalidInput
from respawn_jobs.notebook.document import (
    MAX_CELLS,
    TAG_INJECTED,
    cell_tags,
    code_cells,
    injected_cell,
    read_notebook,
    strip_debug,
    title,
    write_notebook,
)
from respawn_jobs.notebook.parameterization import parameterize
from support.notebooks import notebook, text


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "nbformat"),
        ("{}", "nbformat"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "cells"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [7]}', "cell 0"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"source": "x"}]}', "cell_type"),
        ('{"nbformat": 99, "metadata": {}, "cells": []}', "valid"),
        ('{"nbformat": 3, "worksheets": 1}', "valid"),
    ],
)
def test_what_is_no_notebook_is_refused_saying_why(bad, says):
    with pytest.raises(InvalidInput, match=says):
        read_notebook(bad)


def test_missing_and_doubled_cell_ids_are_filled_in_the_same_way_each_time():
    document = json.loads(text(notebook("a = 1", "a = 1", "b = 2")))
    document["nbformat_minor"] = 4
    del document["cells"][0]["id"]
    document["cells"][2]["id"] = document["cells"][1]["id"]
    first, second = (read_notebook(json.dumps(document)) for _ in range(2))
    ids = [cell.id for cell in first.cells]
    assert ids == [cell.id for cell in second.cells]
    assert len(set(ids)) == 3
    assert ids[1] == "cell-1"


def test_a_version_3_notebook_is_upgraded_with_stable_ids():
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell(input="a = 1")])]
    )
    stored = nbformat.v3.writes_json(old)
    assert read_notebook(stored).cells[0].source == "a = 1"
    assert read_notebook(stored).cells[0].id == read_notebook(stored).cells[0].id


def code(**more):
    return {
        "cell_type": "code",
        "source": "a = 1",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    } | more


@pytest.mark.parametrize(
    ("cell", "field", "read_as"),
    [
        (code(unknown={"a": 1}), "unknown", {"a": 1}),
        (code(id="no id at all \N{SNOWMAN}"), "id", None),
        (code(id=7), "id", None),
        (code(source=None), "source", ""),
        (code(source=["a\n", 7, "b"]), "source", "a\nb"),
        (code(execution_count="7"), "execution_count", None),
        (code(execution_count=True), "execution_count", None),
        (code(outputs=None), "outputs", []),
        (code(outputs=["x", {"foo": 1}, {"output_type": "pyout"}]), "outputs", []),
        (code(outputs=[{"output_type": "stream", "name": "stdout", "text": 5}]), "outputs", []),
        (code(outputs=[{"output_type": "error", "ename": "E", "evalue": ""}]), "outputs", []),
        (code(metadata=None), "metadata", {}),
        (code(metadata={"tags": None}), "metadata", {"tags": []}),
        (code(metadata={"tags": "one"}), "metadata", {"tags": ["one"]}),
        (code(metadata={"tags": ["a", 7, "a"], "respawn": 5}), "metadata", {"tags": ["a", "a"]}),
        ({"cell_type": "odd", "level": 2}, "level", 2),
    ],
)  # fmt: skip
def test_what_papermill_runs_is_read_whatever_the_schema_says_of_it(cell, field, read_as):
    stored = json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [cell, cell]})
    first, second = read_notebook(stored).cells
    assert first.id != second.id
    assert (first[field] == read_as) is (field != "id")
    again = read_notebook(write_notebook(read_notebook(stored)))
    assert again.cells == [first, second]
    assert again.nbformat_minor == 5


def test_metadata_of_tools_that_is_no_mapping_counts_as_missing():
    stored = json.dumps(
        {"nbformat": 4, "metadata": {"kernelspec": "python3", "papermill": [], "mine": 1}, "cells": []}
    )
    assert read_notebook(stored).metadata == {"mine": 1}


def test_error_markers_of_an_earlier_run_are_left_out():
    nb = notebook("md:An Exception was encountered", "a = 1")
    nb.cells[0].metadata["tags"] = ["papermill-error-cell-tag"]
    assert [cell.id for cell in parameterize(nb, {}, "python3", "python").cells] == ["cell-1"]
    assert [cell.id for cell in strip_debug(nb).cells] == ["cell-1"]


def test_a_notebook_without_parameters_gets_no_injected_cell():
    nb = notebook("a = 1", parameters="rows = 1")
    assert parameterize(nb, {}, "python3", "python") == nb


def test_parameters_are_injected_after_the_parameters_cell_with_a_fixed_id():
    nb = notebook("a = rows", parameters="rows = 1")
    result = parameterize(nb, {"rows": 5}, "python3", "python")
    assert [cell.id for cell in result.cells] == ["parameters", "injected-parameters", "cell-0"]
    assert "rows = 5" in result.cells[1].source
    assert cell_tags(result.cells[1]) == [TAG_INJECTED]
    assert "tags" not in result.cells[2].metadata
    assert len(nb.cells) == 2
    nbformat.validate(result)


def test_parameters_for_a_language_that_papermill_cannot_write_are_refused():
    with pytest.raises(InvalidInput, match="cobol"):
        parameterize(notebook("a"), {"rows": 5}, "cobol", "cobol")


def test_a_debug_notebook_is_stripped_to_the_version_it_stands_for():
    nb = notebook("a = rows", parameters="rows = 1")
    opened = parameterize(nb, {"rows": 5}, "python3", "python")
    opened.cells[2].outputs = [nbformat.v4.new_output("stream", text="x")]
    opened.cells[2].execution_count = 3
    opened.cells[2].metadata["papermill"] = {"status": "failed"}
    opened.metadata["respawn"] = {"run": "run-1"}
    header = nbformat.v4.new_markdown_cell("# failed", metadata={"respawn": {"role": "header"}})
    restore = nbformat.v4.new_code_cell("%respawn restore", metadata={"respawn": {"role": "restore"}})
    opened.cells = [header, restore, *opened.cells]
    assert write_notebook(strip_debug(opened)) == write_notebook(nb)
    assert injected_cell(opened) is not None


def test_code_cells_keep_their_places_among_all_cells():
    assert [index for index, _ in code_cells(notebook("md:# x", "a", "md:y", "b"))] == [1, 3]


def test_a_title_is_the_first_line_that_says_something():
    assert title(notebook("\n\n  # load\nx = 1").cells[0]) == "# load"
    assert len(title(notebook("x" * 200).cells[0])) == 80


def test_halves_of_characters_become_question_marks():
    document = json.loads(text(notebook("a = '\N{GRINNING FACE}'", "b = 'x'")))
    document["cells"][1]["source"] = "b = '\ud800'"
    document["metadata"]["\udfff"] = ["\udc00"]
    read = read_notebook(json.dumps(document))
    assert [cell.source for cell in read.cells] == ["a = '\N{GRINNING FACE}'", "b = '?'"]
    write_notebook(read).encode()
    with pytest.raises(InvalidInput, match="half a character"):
        read_notebook(json.dumps(document, ensure_ascii=False))


@pytest.mark.parametrize("depth", [150, 100_000])
def test_a_notebook_nested_too_deeply_is_refused(depth):
    nested = "[" * depth + "]" * depth
    with pytest.raises(InvalidInput, match="nested"):
        read_notebook(f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{"x": {nested}}}, "cells": []}}')


def test_a_notebook_of_too_many_cells_is_refused_by_their_number():
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "source": "", "outputs": []}
    old = {"cell_type": "code", "language": "python", "input": "", "outputs": []}
    for document in (
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell] * (MAX_CELLS + 1)},
        {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [old] * 5001}] * 2},
    ):
        with pytest.raises(InvalidInput, match=r"has 10,00[12] cells; 10,000 are the most"):
            read_notebook(json.dumps(document))
