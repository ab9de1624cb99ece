"""A fix is written into a notebook's text, and every byte that it does not change stays."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respawn_jobs.errors import InvalidInput
from respawn_jobs.notebook.document import read_notebook
from respawn_server.fixes import merge
from respawn_server.notebook_text import Kept, with_cells
from support.notebooks import notebook, text

BY_HAND = """\
{ "nbformat_minor": 4, "nbformat": 4, "extra": 1.50e0,
  "metadata": {"kernelspec": {"name": "python3", "display_name": "Caf\\u00e9"}},
  "cells": [
    {"cell_type": "code", "source": "a = 1", "metadata": {}, "outputs": [ ], "execution_count": 7},
    {"cell_type": "code",   "source": ["1 /", " 0"], "metadata": {"tags": ["x"], "mine": 1.0},
     "unknown": true, "outputs": [{"output_type": "stream", "name": "stdout", "text": "é"}],
     "execution_count": 8}
  ]
}"""


def formatted(document: Any, **form: Any) -> str:
    return json.dumps(document, **form)


def test_only_the_fields_of_the_fixed_cell_change() -> None:
    fields = {"source": "1 / 1", "outputs": [], "execution_count": None}
    found = with_cells(BY_HAND, [Kept(0, {}), Kept(1, fields)])
    expected = BY_HAND.replace('["1 /", " 0"]', '[\n        "1 / 1"\n      ]')
    expected = expected.replace('"execution_count": 8', '"execution_count": null')
    start = expected.index('"outputs": [{') + len('"outputs": ')
    end = expected.index('\n     "execution_count": null') - 1
    expected = expected[:start] + "[]" + expected[end:]
    assert json.loads(found) == json.loads(expected)
    before, after = BY_HAND.split('["1 /", " 0"]')
    assert found.startswith(before)
    assert '"metadata": {"tags": ["x"], "mine": 1.0},\n     "unknown": true' in found
    assert found.endswith("\n  ]\n}")
    assert after.startswith(', "metadata"')


def test_tags_change_and_other_metadata_stay() -> None:
    found = with_cells(BY_HAND, [Kept(0, {}), Kept(1, {}, ["x", "respawn:once"])])
    assert json.loads(found)["cells"][1]["metadata"] == {"mine": 1.0, "tags": ["x", "respawn:once"]}
    bare = with_cells(BY_HAND, [Kept(0, {}), Kept(1, {}, [])])
    assert json.loads(bare)["cells"][1]["metadata"] == {"mine": 1.0}


def test_text_without_a_change_is_the_same() -> None:
    assert with_cells(BY_HAND, [Kept(0, {}), Kept(1, {})]) == BY_HAND


def test_text_of_an_old_format_is_refused() -> None:
    with pytest.raises(InvalidInput, match="old version"):
        with_cells('{"nbformat": 3, "worksheets": []}', [])


def test_cell_is_put_in_as_nbformat_would_write_it() -> None:
    old, fixed = notebook("a = 1\nb = 2", "c"), notebook("a = 1\nb = 2", "c")
    fixed.cells.insert(1, nbformat.v4.new_code_cell("new = 1\nmore", id="new"))
    merged = merge(old, fixed, read_notebook(text(old)))
    assert with_cells(text(old), merged.edits) == text(fixed)


FORMS: list[dict[str, Any]] = [
    {},
    {"indent": 1},
    {"indent": 4, "ensure_ascii": False},
    {"indent": "\t"},
    {"separators": (",", ":")},
    {"indent": 2, "sort_keys": True},
]
SOURCES = st.lists(st.sampled_from(["a", "b\nc", "é = 'ü'", "", "x\u2028y\n"]), max_size=4)


@given(SOURCES, SOURCES, SOURCES, st.sampled_from(FORMS), st.booleans(), st.booleans())
def test_text_with_the_fix_reads_as_the_merged_notebook_in_the_form_of_the_file(
    old: list[str], fixed: list[str], mine: list[str], form: dict[str, Any], lines: bool, ids: bool
) -> None:
    document = json.loads(text(notebook(*mine))) if lines else dict(notebook(*mine))
    if not ids:
        document["nbformat_minor"] = 4
        for cell in document["cells"]:
            del cell["id"]
    written = formatted(document, **form)
    merged = merge(notebook(*old), notebook(*fixed), read_notebook(written))
    found = with_cells(written, merged.edits)
    again = read_notebook(found)
    assert [cell.source for cell in again.cells] == [cell.source for cell in merged.notebook.cells]
    assert [cell.outputs for cell in again.cells] == [cell.outputs for cell in merged.notebook.cells]
    raw = json.loads(found)
    nbformat.validate(raw)
    assert {key: value for key, value in raw.items() if key != "cells"} == {
        key: value for key, value in document.items() if key != "cells"
    }
    # A text without a letter beyond ASCII does not tell how it would write one.
    expected = [formatted(raw, **{**form, "ensure_ascii": escaped}) for escaped in (True, False)]
    assert found in expected
    if merged.edits == [Kept(place, {}) for place in range(len(mine))]:
        assert found == written
