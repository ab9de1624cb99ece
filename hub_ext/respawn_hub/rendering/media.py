"""Media types of outputs, and which of those that an output has tells most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
BOKEH_RUN = "application/vnd.bokehjs_exec.v0+json"
BOKEH_LOAD = "application/vnd.bokehjs_load.v0+json"
JSON = "application/json"
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MARKUP = ("text/html", "image/svg+xml", "application/javascript")
_VEGA = re.compile(r"application/vnd\.vega(lite)?\.v\d+(\.\d+)*\+json")
_BY_WEALTH = (
    "text/html",
    *PICTURES,
    "image/svg+xml",
    "text/markdown",
    "text/latex",
    "application/javascript",
    JSON,
)


def data_of(output: dict[str, Any]) -> dict[str, Any]:
    """Return what an output displays, by media type; nothing for text and errors."""
    data = output.get("data")
    return data if isinstance(data, dict) else {}


def is_vega(kind: str) -> bool:
    """Return whether a media type is that of a Vega or Vega-Lite chart."""
    return _VEGA.fullmatch(kind) is not None


def richest(data: dict[str, Any]) -> str | None:
    """Return the media type of an output that tells most; None where a page shows its plain text."""
    for kind in (WIDGET, PLOTLY, *filter(is_vega, data), BOKEH_RUN, BOKEH_LOAD, *_BY_WEALTH):
        if kind in data:
            return kind
    return None


def is_framed(kind: str | None) -> bool:
    """Return whether outputs of a media type are shown in a frame."""
    framed = (*MARKUP, "text/markdown", "text/latex", PLOTLY, WIDGET, BOKEH_RUN)
    return kind is not None and (kind in framed or is_vega(kind))


def shows_widget(output: dict[str, Any]) -> bool:
    """Return whether an output is shown by the widgets' manager."""
    return richest(data_of(output)) == WIDGET


def joined(value: Any) -> str:
    """Return a text of nbformat, which may be a list of its lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def bokeh_root(outputs: Sequence[dict[str, Any]], index: int) -> int | None:
    """Return the place of the output that holds the element which the Bokeh script at `index` fills.

    That is the chart's element, or where the library is loaded, that of its logo.
    """
    for place in range(index - 1, -1, -1):
        if data := data_of(outputs[place]):
            html = joined(data.get("text/html"))
            return place if "data-root-id" in html or "bk-notebook-logo" in html else None
    return None


def fills_bokeh_root(output: dict[str, Any]) -> bool:
    """Return whether an output is a script of Bokeh's, which fills the element of an output before it."""
    return richest(data_of(output)) in (BOKEH_RUN, BOKEH_LOAD)
