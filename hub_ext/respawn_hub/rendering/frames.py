"""Documents of the sandboxed frames: what draws an output, and the policy that its document is given.

A frame has no origin and no network: it loads our own scripts, styles and fonts below `static/frames/`, and
nothing else. Only markup and scripts of the notebook run inline; charts and formulas come as data, so
nothing of the notebook's is a script there. The widgets' manager compiles its schemas: its frames may too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import escape

from respawn_hub.rendering.cdn import ADDRESSES, own_scripts
from respawn_hub.rendering.markdown import framed_html
from respawn_hub.rendering.media import (
    BOKEH_RUN,
    MARKUP,
    PLOTLY,
    WIDGET,
    WIDGET_STATE,
    bokeh_root,
    data_of,
    is_vega,
    joined,
    richest,
)
from respawn_hub.rendering.terminal import storable

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")
_WIDGET_MODULES = {"@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output"}
_MODEL = re.compile(r"IPY_MODEL_([\w-]+)")
_BOKEH = ("bokeh", "bokeh-gl", "bokeh-widgets", "bokeh-tables")

Scripts = Literal["ours", "inline", "evaluated"]


@dataclass(frozen=True)
class Frame:
    """A frame's document."""

    html: str
    scripts: Scripts
    """Which scripts may run in it besides our own files."""


def policy(scripts: Scripts, host: str, prefix: str) -> str:
    """Return the Content-Security-Policy of a frame.

    Args:
        scripts: of the frame.
        host: the `Host` that the browser asked, which pins the paths that the frame may load from.
        prefix: of the service, with slashes at both ends.
    """
    own = f"{host}{prefix}static/frames/" if _HOST.fullmatch(host) else "'self'"
    allowed = {"ours": own, "inline": f"{own} 'unsafe-inline'", "evaluated": f"{own} 'unsafe-eval'"}
    return (
        f"sandbox allow-scripts; default-src 'none'; img-src data: blob:; font-src data: {own}; "
        f"style-src 'unsafe-inline' {own}; script-src {allowed[scripts]}; connect-src 'none'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )


def frame_of(
    outputs: Sequence[dict[str, Any]], index: int, static: str, widgets: dict[str, Any] | None = None
) -> Frame | None:
    """Return the document of a framed output; None for an output that is not framed.

    Args:
        outputs: all outputs of the cell.
        index: the place of the output.
        static: address of the service's static files, with a slash at the end.
        widgets: the states of the run's widgets, as a notebook's metadata hold them, by the model's id.
    """
    data = data_of(outputs[index]) if 0 <= index < len(outputs) else {}
    kind = richest(data)
    if kind == WIDGET:
        return _widget(data, static, widgets or {})
    if kind == PLOTLY:
        return _chart("plotly", ["plotly.min.js"], data[kind], static)
    if kind is not None and is_vega(kind):
        scripts = ["vega.min.js", "vega-lite.min.js", "vega-embed.min.js"]
        return _chart("vega", scripts, data[kind], static)
    if kind == BOKEH_RUN:
        return _bokeh(outputs, index, static)
    if kind == "text/latex":
        return _chart(
            "latex", ["katex/katex.min.js"], _text(data[kind]), static, styles=["katex/katex.min.css"]
        )
    if kind == "text/markdown":
        return prose_frame(_text(data[kind]), static)
    if kind in MARKUP:
        return _markup(kind, _text(data[kind]), static)
    return None


def prose_frame(markdown: str, static: str) -> Frame:
    """Return the document of Markdown with formulas or markup, in which no script of its own runs."""
    body = f'<div class="prose">{framed_html(markdown)}</div>'
    loaded = [_script(f"{static}frames/vendor/katex/katex.min.js"), _script(f"{static}frames/prose.js")]
    styles = [f"{static}frames/vendor/katex/katex.min.css"]
    return Frame(_document(static, body, loaded, styles), "ours")


def _chart(name: str, vendored: list[str], value: Any, static: str, styles: Sequence[str] = ()) -> Frame:
    files = [*(f"vendor/{script}" for script in vendored), f"{name}.js"]
    loaded = [_script(f"{static}frames/{file}", defer=True) for file in files]
    body = f'<div id="output"></div>{_data(value)}'
    links = [f"{static}frames/vendor/{style}" for style in styles]
    return Frame(_document(static, body, loaded, links), "ours")


def _bokeh(outputs: Sequence[dict[str, Any]], index: int, static: str) -> Frame:
    """Return the document of a chart that Bokeh displays: its element, the library, its script."""
    script = _text(outputs[index]["data"].get("application/javascript"))
    place = bokeh_root(outputs, index)
    element = _text(outputs[place]["data"]["text/html"]) if place is not None else ""
    names = [*_BOKEH, *(["bokeh-mathjax"] if "$$" in script or "MathText" in script else [])]
    loaded = [_script(f"{static}frames/vendor/bokeh/{name}.min.js") for name in names]
    body = f"{element}<script>{_inline(script)}</script>"
    scripts = [*loaded, _script(f"{static}frames/bokeh.js")]
    return Frame(_document(static, body, scripts, raw=True), "inline")


def _markup(kind: str, source: str, static: str) -> Frame:
    if kind == "application/javascript":
        body = f"<div id='element'></div><script>{_inline(source)}</script>"
    else:
        body = own_scripts(source, f"{static}frames/vendor/")
    addresses = json.dumps(
        [[pattern.pattern, f"{static}frames/vendor/{path}"] for pattern, path in ADDRESSES]
    )
    cdn = f'<script src="{static}frames/cdn.js" data-addresses="{escape(addresses)}"></script>'
    return Frame(_document(static, body, [cdn], raw=True), "inline")


def _widget(data: dict[str, Any], static: str, widgets: dict[str, Any]) -> Frame:
    view = data[WIDGET]
    model = str(view.get("model_id", "")) if isinstance(view, dict) else ""
    plain = f"<pre>{escape(_text(data.get('text/plain')))}</pre>"
    states = _reachable(model, widgets)
    foreign = {str(state.get("model_module")) for state in states.values()} - _WIDGET_MODULES
    if not states:
        why = "This widget's state was not kept with the run, so only its text is shown."
        return Frame(_document(static, plain + _why(why), []), "ours")
    if foreign:
        packages = ", ".join(sorted(foreign))[:300]
        why = (
            f"{_named(states.get(model))}: this page does not draw widgets of {packages}, so only its text "
            "is shown. Open the notebook in JupyterLab and run its cell to see it."
        )
        return Frame(_document(static, plain + _why(why), []), "ours")
    state = {"version_major": 2, "version_minor": 0, "state": states}
    body = (
        f'{_data(state, WIDGET_STATE)}<div id="output">'
        f"{_data({'version_major': 2, 'version_minor': 0, 'model_id': model}, WIDGET)}</div>"
    )
    loaded = [_script(f"{static}frames/vendor/widgets/embed.js"), _script(f"{static}frames/widget.js")]
    return Frame(_document(static, body, loaded), "evaluated")


def _named(state: dict[str, Any] | None) -> str:
    """Return what a widget is called, such as `LeafletMap (jupyter-leaflet)`."""
    saved = state or {}
    inner = saved.get("state")
    own = inner.get("_anywidget_id") if isinstance(inner, dict) else None
    name = str(own).rpartition(".")[2] if own else str(saved.get("model_name") or "").removesuffix("Model")
    return f"{name[:100] or 'Widget'} ({str(saved.get('model_module'))[:100]})"


def _reachable(model: str, widgets: dict[str, Any]) -> dict[str, Any]:
    """Return the states of a widget and of all that it is made of."""
    found: dict[str, Any] = {}
    left = [model]
    while left:
        name = left.pop()
        state = widgets.get(name)
        if name in found or not isinstance(state, dict):
            continue
        found[name] = state
        left += _MODEL.findall(json.dumps(state.get("state", {})))
    return found


def _document(
    static: str, body: str, scripts: Sequence[str], styles: Sequence[str] = (), *, raw: bool = False
) -> str:
    """Return a document; in a raw one the notebook draws by itself, and knows nothing of the page's theme."""
    links = "".join(
        f'<link rel="stylesheet" href="{href}">' for href in (f"{static}frames/frame.css", *styles)
    )
    start = '<body class="raw">' if raw else "<body>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Output</title>'
        f"{links}{_script(f'{static}frames/frame.js')}{''.join(scripts)}</head>{start}\n{body}\n</body></html>\n"
    )


def _script(address: str, *, defer: bool = False) -> str:
    return f'<script{" defer" if defer else ""} src="{address}"></script>'


def _why(reason: str) -> str:
    return f'<p class="respawn-why" role="note">{escape(reason)}</p>'


def _data(value: Any, kind: str = "application/json") -> str:
    """Return a value as an element that no browser executes, and that nothing in the value can end."""
    text = storable(json.dumps(value)).replace("<", "\\u003c")
    return f'<script type="{kind}">{text}</script>'


def _inline(source: str) -> str:
    # A script element ends at the first closing tag, whatever the script means by it.
    return re.sub(r"</(script)", r"<\\/\1", source, flags=re.IGNORECASE)


def _text(value: Any) -> str:
    return storable(joined(value))
