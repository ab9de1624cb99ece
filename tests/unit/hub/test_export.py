"""A run's notebook as a page: it shows what it can without scripts, and asks nothing of anybody."""

from __future__ import annotations

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from respawn_hub.rendering import export
from respawn_hub.rendering.export import clean, page_of
from respawn_jobs.errors import InvalidInput

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<meta http-equiv="refresh" content="0;url=https://evil.org">',
    '<base href="https://evil.org/">',
    "<iframe src=https://evil.org></iframe>",
    "<form action=https://evil.org><button>x</button></form>",
    "<svg><script>alert(1)</script><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;<img src=x onerror=alert(1)>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<link rel=stylesheet href=https://evil.org/x.css>",
    "<p style=\"background: url('https://evil.org/x.png')\">x</p>",
]
_FETCHES = re.compile(r"<(script|meta http|base|iframe|form|link|object|embed)\b", re.IGNORECASE)


def notebook_of(*outputs: dict, prose: str = "# Title\n\nwords") -> str:
    made = [new_output("display_data", data=data) for data in outputs]
    return nbformat.writes(
        new_notebook(cells=[new_markdown_cell(prose), new_code_cell("x = 1", outputs=made)])
    )


def body_of(page: bytes) -> str:
    head, _, body = page.decode().partition("<body")
    assert head.index("Content-Security-Policy") < head.index("<style")
    assert "default-src 'none'" in head
    assert "<script" not in head
    return body


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_of_outputs_and_prose_only_shows_something(attack: str) -> None:
    body = body_of(page_of(notebook_of({"text/html": f"<b>bold</b>{attack}"}, prose=f"*soft* {attack}"), "t"))

    assert "<b>bold</b>" in body
    assert "<em>soft</em>" in body
    assert not _FETCHES.search(body)
    assert not re.search(r"<[^>]*\s(on\w+|formaction)\s*=", body)
    assert "javascript:" not in body
    assert "evil.org/x" not in body


def test_tables_and_headings_stay_what_they_are() -> None:
    style = "<style scoped>td { color: red }</style>"
    table = f"{style}<table border='1' class='dataframe'><thead><tr><th>a</th></tr></thead>"
    kept = clean(f"<h1>Title</h1>{table}<tbody><tr><td colspan='2'>1</td></tr></tbody></table>")

    assert "<h1>Title</h1>" in kept
    assert '<td colspan="2">1</td>' in kept
    assert "color: red" not in kept


def test_what_needs_scripts_is_shown_as_text() -> None:
    widget = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "m"},
        "text/plain": "IntSlider(value=7)",
    }
    script = {"application/javascript": "alert(1)", "text/plain": "a script"}
    body = body_of(page_of(notebook_of(widget, script), "t"))

    assert "IntSlider(value=7)" in body
    assert "a script" in body


def test_a_larger_notebook_is_made_a_page_by_another_process() -> None:
    text = notebook_of({"text/plain": "long " * 30_000 + "end"})
    assert len(text) > export.SMALL

    assert "long end" in body_of(page_of(text, "t"))


def test_a_notebook_of_no_use_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MAX_SIZE", 200_000)
    for text in ("[]", json.dumps({"cells": 3}), "x" * 150_000, "x" * 250_000):
        with pytest.raises(InvalidInput, match="download the notebook"):
            page_of(text, "t")
