"""Outputs in pages: text is escaped, pictures are data, everything else stays in its sandbox."""

from __future__ import annotations

import base64

from respawn_hub.rendering import LONGEST_TEXT, SANDBOX, prose, sandbox_document, shown

PIXEL = base64.b64encode(b"\x89PNG not really").decode()


def _display(**data: object) -> dict:
    return {"output_type": "display_data", "data": {k.replace("__", "/"): v for k, v in data.items()}}


def _stream(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text}


def test_text_is_escaped_and_keeps_its_colours() -> None:
    (output,) = shown([_stream("\x1b[32m<script>alert(1)</script>\x1b[0m")])

    assert output.kind == "text"
    assert "<script>" not in output.html
    assert "ansi-green-fg" in output.html


def test_pieces_of_one_stream_become_one_text() -> None:
    outputs = shown([_stream("a\n"), _stream("b\n"), _stream("oh\n", "stderr"), _stream("c\n")])

    assert [output.html for output in outputs] == ["a\nb\n", "oh\n", "c\n"]


def test_a_progress_bar_shows_its_last_state() -> None:
    (output,) = shown([_stream("10%\r50%\r"), _stream("100%\ndone\n")])

    assert output.html == "100%\ndone\n"


def test_a_traceback_is_an_error() -> None:
    traceback = {
        "output_type": "error",
        "ename": "KeyError",
        "evalue": "'x'",
        "traceback": ["<b>", "KeyError"],
    }

    (output,) = shown([traceback])

    assert output.kind == "error"
    assert output.html == "&lt;b&gt;\nKeyError"


def test_an_error_without_traceback_still_says_what_it_was() -> None:
    (output,) = shown([{"output_type": "error", "ename": "DeadKernel", "evalue": "gone", "traceback": []}])

    assert output.html == "DeadKernel: gone"


def test_a_picture_is_an_address_of_data() -> None:
    (output,) = shown([_display(image__png=PIXEL + "\n", text__plain="<Figure>")])

    assert output.kind == "image"
    assert output.image == f"data:image/png;base64,{PIXEL}"


def test_a_picture_that_is_none_cannot_leave_its_attribute() -> None:
    (output,) = shown([_display(image__png='x" onerror="alert(1)', text__plain="<Figure>")])

    assert output.kind == "text"
    assert output.html == "&lt;Figure&gt;"


def test_markup_and_scripts_are_only_framed() -> None:
    outputs = shown(
        [
            _display(text__html="<table></table>", text__plain="t"),
            _display(image__svg_xml="<svg/>") | {"data": {"image/svg+xml": "<svg onload='x'/>"}},
            _display(application__javascript="alert(1)"),
            _display(text__markdown="# hi"),
        ]
    )

    assert [output.kind for output in outputs] == ["frame"] * 4
    assert all(output.html == "" for output in outputs)


def test_the_frame_of_an_output_keeps_its_index_after_streams() -> None:
    outputs = shown([_stream("a"), _stream("b"), _display(text__html="<p>")])

    assert (outputs[-1].kind, outputs[-1].index) == ("frame", 2)


def test_a_framed_document_holds_the_markup_and_text_has_none() -> None:
    assert "<table>1</table>" in (sandbox_document(_display(text__html=["<table>", "1</table>"])) or "")
    assert sandbox_document(_stream("text")) is None
    assert sandbox_document(_display(text__plain="text")) is None


def test_a_script_cannot_end_its_element_early() -> None:
    document = sandbox_document(_display(application__javascript="x = '</script><p>out</p>'")) or ""

    assert "</script><p>" not in document


def test_the_sandbox_has_no_origin_and_no_network() -> None:
    assert "allow-same-origin" not in SANDBOX
    assert "default-src 'none'" in SANDBOX
    assert "connect-src" not in SANDBOX


def test_very_long_text_is_cut_and_says_so() -> None:
    (output,) = shown([_stream("x" * (LONGEST_TEXT + 7))])

    assert len(output.html) == LONGEST_TEXT
    assert output.cut == 7


def test_prose_shows_tags_as_text_and_drops_script_addresses() -> None:
    html = prose("# Title\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) **bold**")

    assert "<h1>Title</h1>" in html
    assert "<script>" not in html
    assert "javascript:" not in html
    assert "<strong>bold</strong>" in html
