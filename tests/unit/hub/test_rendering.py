"""Outputs in pages: text is escaped, pictures are data, everything else stays in its sandbox."""

from __future__ import annotations

import base64

import pytest

from respawn_hub.rendering import Frame, frame_of, policy, prose, prose_frame, shown
from respawn_hub.rendering.cdn import own_scripts
from respawn_hub.rendering.media import PLOTLY, WIDGET
from respawn_hub.rendering.pictures import picture_of
from support.outputs import display, stream

PIXEL = base64.b64encode(b"\x89PNG not really").decode()


def test_text_is_escaped_and_keeps_its_colours() -> None:
    (output,) = shown([stream("\x1b[32m<script>alert(1)</script>\x1b[0m")])

    assert output.kind == "text"
    assert "<script>" not in output.html
    assert "ansi-green-fg" in output.html


def test_pieces_of_one_stream_become_one_text() -> None:
    outputs = shown([stream("a\n"), stream("b\n"), stream("oh\n", "stderr"), stream("c\n")])

    assert [output.html for output in outputs] == ["a\nb\n", "oh\n", "c\n"]


def test_a_progress_bar_shows_its_last_state() -> None:
    (output,) = shown([stream("10%\r50%\r"), stream("100%\ndone\n")])

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
    (output,) = shown([display(image__png=PIXEL + "\n", text__plain="<Figure>")])

    assert output.kind == "image"
    assert output.picture is not None
    assert output.picture.data == base64.b64decode(PIXEL)


def test_a_picture_that_is_none_cannot_leave_its_attribute() -> None:
    (output,) = shown([display(image__png='x" onerror="alert(1)', text__plain="<Figure>")])

    assert output.kind == "text"
    assert output.html == "&lt;Figure&gt;"
    assert "damaged" in output.why


def test_markup_and_scripts_are_only_framed() -> None:
    outputs = shown(
        [
            display(text__html="<table></table>", text__plain="t"),
            display(image__svg_xml="<svg/>") | {"data": {"image/svg+xml": "<svg onload='x'/>"}},
            display(application__javascript="alert(1)"),
            display(text__markdown="# hi"),
        ]
    )

    assert [output.kind for output in outputs] == ["frame"] * 4
    assert all(output.html == "" for output in outputs)


def test_the_frame_of_an_output_keeps_its_index_after_streams() -> None:
    outputs = shown([stream("a"), stream("b"), display(text__html="<p>")])

    assert (outputs[-1].kind, outputs[-1].index) == ("frame", 2)


def document(output: dict, widgets: dict | None = None) -> Frame:
    frame = frame_of([output], 0, "/static/", widgets)
    assert frame is not None
    return frame


def test_a_framed_document_holds_the_markup_and_text_has_none() -> None:
    assert "<table>1</table>" in document(display(text__html=["<table>", "1</table>"])).html
    assert frame_of([stream("text")], 0, "/static/") is None
    assert frame_of([display(text__plain="text")], 0, "/static/") is None
    assert frame_of([], 3, "/static/") is None


def test_a_script_cannot_end_its_element_early() -> None:
    assert "</script><p>" not in document(display(application__javascript="x = '</script><p>out</p>'")).html


HOSTILE = "</script><script>parent.document.title='x'</script><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "output",
    [
        display() | {"data": {PLOTLY: {"layout": {"title": {"text": HOSTILE}}}}},
        display() | {"data": {"application/vnd.vega.v5+json": {"description": HOSTILE}}},
        display() | {"data": {"application/vnd.vegalite.v5.2.0+json": {"title": HOSTILE}}},
        display(text__latex=HOSTILE),
    ],
)
def test_charts_and_formulas_are_data_and_none_of_it_is_a_script(output: dict) -> None:
    frame = document(output)

    assert frame.scripts == "ours"
    assert HOSTILE not in frame.html
    assert "<img" not in frame.html


def test_only_markup_runs_inline_and_only_widgets_evaluate() -> None:
    widget = display(text__plain="w") | {"data": {WIDGET: {"model_id": "m"}, "text/plain": "<w>"}}
    state = {"m": {"model_module": "@jupyter-widgets/controls", "state": {"description": HOSTILE}}}

    assert document(display(text__html="<p>")).scripts == "inline"
    assert document(display(text__markdown="<script>alert(1)</script>")).scripts == "ours"
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
    widget = display() | {"data": {WIDGET: {"model_id": "m"}, "text/plain": "<w>"}}
    frame = document(widget, state)

    assert why in frame.html
    assert "&lt;w&gt;" in frame.html
    assert frame.scripts == "ours"


def test_a_frame_holds_only_the_widget_and_what_it_is_made_of() -> None:
    widget = display() | {"data": {WIDGET: {"model_id": "m"}}}
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
    script = display() | {
        "data": {"application/javascript": "draw()", "application/vnd.bokehjs_exec.v0+json": ""}
    }
    outputs = [
        display(text__html='<a class="bk-notebook-logo">'),
        display()
        | {"data": {"application/vnd.bokehjs_load.v0+json": "", "application/javascript": "load()"}},
        display(text__html='<div id="e" data-root-id="p1">'),
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
    before = shown([display(text__html="<p>1"), display(image__png=PIXEL)])
    after = shown([display(text__html="<p>2"), display(image__png=PIXEL), stream("more")])

    assert before[0].version != after[0].version
    assert before[1].version == after[1].version != ""


def test_what_cannot_be_shown_says_why() -> None:
    outputs = shown([display() | {"data": {"application/geo+json": {}, "text/plain": "<GeoJSON>"}}])

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
    found = picture_of(display(image__png=PIXEL) | {"metadata": metadata})

    assert found is not None
    assert (found.width, found.height) == size


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
