"""Outputs in pages: text is escaped, pictures are data, everything else stays in its sandbox."""

from __future__ import annotations

import base64

import pytest

from respawn_hub.rendering import Frame, frame_of, policy, prose, prose_frame, shown, terminal_html
from respawn_hub.rendering.cdn import own_scripts
from respawn_hub.rendering.long_text import (
    MAX_WHOLE,
    PIECE,
    around,
    excerpt,
    piece,
    search,
    terminal_text,
    text_of,
)
from respawn_hub.rendering.media import PLOTLY, WIDGET
from respawn_hub.rendering.pictures import picture_of

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


def test_a_picture_is_shown_by_its_address() -> None:
    (output,) = shown([_display(image__png=PIXEL + "\n", text__plain="<Figure>")])

    assert output.kind == "image"
    assert output.picture is not None
    assert output.picture.data == base64.b64decode(PIXEL)


def test_a_picture_that_is_none_cannot_leave_its_attribute() -> None:
    (output,) = shown([_display(image__png='x" onerror="alert(1)', text__plain="<Figure>")])

    assert output.kind == "text"
    assert output.html == "&lt;Figure&gt;"
    assert "damaged" in output.why


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


def document(output: dict, widgets: dict | None = None) -> Frame:
    frame = frame_of([output], 0, "/static/", widgets)
    assert frame is not None
    return frame


def test_a_framed_document_holds_the_markup_and_text_has_none() -> None:
    assert "<table>1</table>" in document(_display(text__html=["<table>", "1</table>"])).html
    assert frame_of([_stream("text")], 0, "/static/") is None
    assert frame_of([_display(text__plain="text")], 0, "/static/") is None
    assert frame_of([], 3, "/static/") is None


def test_a_script_cannot_end_its_element_early() -> None:
    assert "</script><p>" not in document(_display(application__javascript="x = '</script><p>out</p>'")).html


HOSTILE = "</script><script>parent.document.title='x'</script><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "output",
    [
        _display() | {"data": {PLOTLY: {"layout": {"title": {"text": HOSTILE}}}}},
        _display() | {"data": {"application/vnd.vega.v5+json": {"description": HOSTILE}}},
        _display() | {"data": {"application/vnd.vegalite.v5.2.0+json": {"title": HOSTILE}}},
        _display(text__latex=HOSTILE),
    ],
)
def test_charts_and_formulas_are_data_and_none_of_it_is_a_script(output: dict) -> None:
    frame = document(output)

    assert frame.scripts == "ours"
    assert HOSTILE not in frame.html
    assert "<img" not in frame.html


def test_only_markup_runs_inline_and_only_widgets_evaluate() -> None:
    widget = _display(text__plain="w") | {"data": {WIDGET: {"model_id": "m"}, "text/plain": "<w>"}}
    state = {"m": {"model_module": "@jupyter-widgets/controls", "state": {"description": HOSTILE}}}

    assert document(_display(text__html="<p>")).scripts == "inline"
    assert document(_display(text__markdown="<script>alert(1)</script>")).scripts == "ours"
    assert prose_frame("$x$", "/static/").scripts == "ours"
    assert document(widget, state).scripts == "evaluated"
    assert HOSTILE not in document(widget, state).html


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({}, "was not kept"),
        ({"m": {"model_module": "anywidget", "state": {}}}, "does not draw widgets of anywidget"),
        (
            {"m": {"model_module": "anywidget", "state": {"_anywidget_id": "maps.Globe"}}},
            "Globe (anywidget): this page",
        ),
        ({"m": {"model_module": "maps", "model_name": "MapModel", "state": 3}}, "Map (maps): this page"),
        (
            {
                "m": {"model_module": "@jupyter-widgets/base", "state": {"children": ["IPY_MODEL_n"]}},
                "n": {"model_module": "<b>", "state": {}},
            },
            "does not draw widgets of &lt;b&gt;",
        ),
    ],
)
def test_a_widget_that_cannot_be_drawn_says_why_and_shows_its_text(state: dict, why: str) -> None:
    widget = _display() | {"data": {WIDGET: {"model_id": "m"}, "text/plain": "<w>"}}
    frame = document(widget, state)

    assert why in frame.html
    assert "&lt;w&gt;" in frame.html
    assert frame.scripts == "ours"


def test_a_frame_holds_only_the_widget_and_what_it_is_made_of() -> None:
    widget = _display() | {"data": {WIDGET: {"model_id": "m"}}}
    state = {
        "m": {"model_module": "@jupyter-widgets/controls", "state": {"layout": "IPY_MODEL_l"}},
        "l": {"model_module": "@jupyter-widgets/base", "state": {"layout": "IPY_MODEL_m"}},
        "other": {"model_module": "@jupyter-widgets/controls", "state": {"value": "secret"}},
    }

    assert "secret" not in document(widget, state).html


@pytest.mark.parametrize("scripts", ["ours", "inline", "evaluated"])
def test_a_frame_has_no_origin_and_no_network(scripts: str) -> None:
    rules = policy(scripts, "hub.example.org:8000", "/services/respawn/")  # type: ignore[arg-type]

    assert "allow-same-origin" not in rules
    assert "default-src 'none'" in rules
    assert "connect-src 'none'" in rules
    assert "http" not in rules
    own = "hub.example.org:8000/services/respawn/static/frames/"
    for rule in rules.split("; "):
        sources = rule.split()[1:]
        assert not {source for source in sources if "/" in source} - {own}
    assert ("'unsafe-inline'" in rules.split("script-src")[1]) == (scripts == "inline")
    assert ("'unsafe-eval'" in rules) == (scripts == "evaluated")


@pytest.mark.parametrize("host", ["", "evil.org; script-src *", "a b", "[::1]:80", "x/../"])
def test_a_strange_host_adds_no_rule(host: str) -> None:
    rules = policy("ours", host, "/services/respawn/")

    assert "script-src 'self';" in rules
    assert "evil" not in rules


def test_what_bokeh_displays_is_one_frame_and_its_logo_none() -> None:
    script = _display() | {
        "data": {"application/javascript": "draw()", "application/vnd.bokehjs_exec.v0+json": ""}
    }
    outputs = [
        _display(text__html='<a class="bk-notebook-logo">'),
        _display()
        | {"data": {"application/vnd.bokehjs_load.v0+json": "", "application/javascript": "load()"}},
        _display(text__html='<div id="e" data-root-id="p1">'),
        script,
    ]

    assert [(output.kind, output.index) for output in shown(outputs)] == [("frame", 3)]
    frame = frame_of(outputs, 3, "/static/")
    assert frame is not None
    assert frame.html.index("bokeh.min.js") < frame.html.index("data-root-id") < frame.html.index("draw()")


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("https://cdn.plot.ly/plotly-3.0.1.min.js", "plotly.min.js"),
        ("https://cdn.plot.ly/plotly-latest.min.js", "plotly.min.js"),
        ("https://cdnjs.cloudflare.com/ajax/libs/plotly.js/2.1.0/plotly.min.js", "plotly.min.js"),
        ("https://cdn.bokeh.org/bokeh/release/bokeh-3.9.0.min.js", "bokeh/bokeh.min.js"),
        ("https://cdn.bokeh.org/bokeh/release/bokeh-widgets-3.9.0.min.js", "bokeh/bokeh-widgets.min.js"),
        ("https://cdn.jsdelivr.net/npm/vega@5", "vega.min.js"),
        ("https://cdn.jsdelivr.net/npm/vega-lite@5.20.1?noext", "vega-lite.min.js"),
        ("https://cdn.jsdelivr.net/npm/vega-embed@6", "vega-embed.min.js"),
        ("https://charts.example.org/plotly-3.0.1.min.js", None),
        ("https://cdn.plot.ly.evil.org/plotly-3.0.1.min.js", None),
    ],
)
def test_libraries_of_the_web_are_ours_where_we_have_them(address: str, file: str | None) -> None:
    element = (
        f'<script charset="utf-8" src="{address}" integrity="sha256-a=" crossorigin="anonymous"></script>'
    )

    expected = f'<script charset="utf-8" src="/v/{file}"></script>' if file else element
    assert own_scripts(element, "/v/") == expected


def test_an_updated_display_has_another_version_and_others_keep_theirs() -> None:
    before = shown([_display(text__html="<p>1"), _display(image__png=PIXEL)])
    after = shown([_display(text__html="<p>2"), _display(image__png=PIXEL), _stream("more")])

    assert before[0].version != after[0].version
    assert before[1].version == after[1].version != ""


def test_what_cannot_be_shown_says_why() -> None:
    outputs = shown([_display() | {"data": {"application/geo+json": {}, "text/plain": "<GeoJSON>"}}])

    assert outputs[0].html == "&lt;GeoJSON&gt;"
    assert "application/geo+json" in outputs[0].why


@pytest.mark.parametrize(
    ("metadata", "size"),
    [
        ({"image/png": {"width": 300, "height": "150px"}}, (300, 150)),
        ({"width": 300.4}, (300, None)),
        ({"image/png": {"width": "50%"}}, (None, None)),
        ({"image/png": {"width": "1' onload='x", "height": -3}}, (None, None)),
        ({"image/png": {"width": 10**9, "height": "9" * 400}}, (None, None)),
        (None, (None, None)),
    ],
)
def test_a_picture_has_the_size_that_its_notebook_gives(metadata: object, size: tuple) -> None:
    found = picture_of(_display(image__png=PIXEL) | {"metadata": metadata})

    assert found is not None
    assert (found.width, found.height) == size


def test_styles_and_links_of_a_terminal_are_shown() -> None:
    html = terminal_html("\x1b[3mslanted\x1b[0m \x1b[7mturned\x1b[0m \x1b[7;31mred\x1b[0m \x1b[9mout\x1b[0m")

    assert 'class="ansi-italic">slanted' in html
    assert 'class="ansi-inverse">turned' in html
    assert 'class="ansi-red-bg">red' in html
    assert 'class="ansi-strike">out' in html


def test_addresses_in_text_can_be_followed_and_no_other_scheme() -> None:
    html = terminal_html('see https://a.org/x?b=1&c="d". \x1b]8;;javascript:alert(1)\x1b\\x\x1b]8;;\x1b\\')

    assert 'href="https://a.org/x?b=1&amp;c="' in html
    assert html.count("<a ") == 1
    assert "javascript" not in html
    link = terminal_html("\x1b]8;;https://a.org\x07name\x1b]8;;\x07")
    assert '<a href="https://a.org" target="_blank" rel="noopener noreferrer nofollow">name</a>' in link


@pytest.mark.parametrize(
    "text", ["\x1b]" * 40_000, "\x1b[" + "9" * 50_000 + "m", "\x1b[31m" * 20_000, "\x1b(" * 30_000, "\ud800"]
)
def test_hostile_escape_codes_are_text_and_cost_what_their_size_says(text: str) -> None:
    (output,) = shown([_stream("a" + text + "b")])

    assert output.html.encode()
    assert "a" in output.html


def test_stderr_is_told_from_stdout() -> None:
    assert [output.stderr for output in shown([_stream("a"), _stream("b", "stderr")])] == [False, True]


def test_a_long_text_shows_its_beginning_and_its_end() -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    (output,) = shown([_stream(text[:5]), _stream(text[5:])])

    assert output.excerpt is not None
    assert not output.excerpt.whole
    assert output.html.startswith("line 0\n")
    assert output.tail.endswith("line 99999\n")
    assert output.excerpt.lines == 100_000
    start, end = output.excerpt.gap
    assert text == text[:start] + text[start:end] + text[end:]
    assert text[:start] == output.html
    assert text[end:] == output.tail


@pytest.mark.parametrize(
    "text", ["x" * 500_000, "line of text\n" * 50_000, "x" * (MAX_WHOLE + 1), "\n" * 300_000]
)
@pytest.mark.parametrize("backwards", [False, True])
def test_all_of_a_gap_is_reached_piece_by_piece(text: str, backwards: bool) -> None:
    part = excerpt(text)
    start, end = part.gap
    before, after = part.head, part.tail
    while start < end:
        first, last = piece(text, start, end, backwards=backwards)
        assert 0 < last - first <= PIECE + 2000
        if backwards:
            assert last == end
            after, end = text[first:last] + after, first
        else:
            assert first == start
            before, start = before + text[first:last], last
    assert before + after == text


def test_a_search_finds_each_line_once_with_its_number() -> None:
    text = "one\nTwo two\nthree\n" * 1000
    found, count = search(text, "two")

    assert count == 1000
    assert [line.line for line in found[:3]] == [2, 5, 8]
    assert (found[0].before, found[0].match, found[0].after) == ("", "Two", " two")
    start, end = around(text, found[-1].position)
    assert start <= found[-1].position < end
    assert search(text, "(.*") == ([], 0)


def test_positions_are_those_of_the_text_without_what_was_overwritten() -> None:
    outputs = [_stream("10%\r50%\r"), _stream("100%\ndone\n")]

    assert terminal_text(outputs, 0) == "100%\ndone\n"
    assert text_of(outputs, 0) == "10%\r50%\r100%\ndone\n"
    assert text_of([_display(text__html="<p>")], 0) is None


def test_prose_is_in_the_page_without_tags_and_script_addresses() -> None:
    plain = prose("# Title\n\n[x](javascript:alert(1)) **bold** a<br>b")

    assert not plain.framed
    assert "<h2>Title</h2>" in plain.html
    assert plain.headings == ((1, "Title"),)
    assert "javascript:" not in plain.html
    assert "<strong>bold</strong>" in plain.html
    assert "a<br>" in plain.html


@pytest.mark.parametrize("markdown", ["<script>alert(1)</script>", "a <b>c</b>", "area $x^2$", "$$\nx\n$$"])
def test_prose_with_markup_or_formulas_is_framed(markdown: str) -> None:
    found = prose(f"# Title\n\n{markdown}\n\n[notes](https://a.org/n?b=1&c=2)")

    assert found.framed
    assert found.html == ""
    assert found.headings == ((1, "Title"),)
    assert found.links == (("https://a.org/n?b=1&c=2", "notes"),)
