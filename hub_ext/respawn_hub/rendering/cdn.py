"""Libraries that notebooks ask of the web, which a frame gets from this service instead."""

from __future__ import annotations

import re

_PLOTLY = r"https://(?:cdn\.plot\.ly/plotly[\w.-]*\.js|[\w.-]+/(?:npm/|ajax/libs/)?plotly\.js[^\"'\s]*)"
_BOKEH = (
    r"https://(?:cdn\.bokeh\.org|cdn\.pydata\.org)/bokeh/(?:release|dev)/(bokeh[a-z-]*)-\d[\w.]*?\.min\.js"
)
_VEGA = r"https://[\w.-]+/(?:npm/)?{name}(?:@[\w.^~-]*)?(?:\?noext|/[^\"'\s]*)?"
ADDRESSES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(_PLOTLY), "plotly.min.js"),
    (re.compile(_BOKEH), "bokeh/$1.min.js"),
    (re.compile(_VEGA.format(name="vega-embed")), "vega-embed.min.js"),
    (re.compile(_VEGA.format(name="vega-lite")), "vega-lite.min.js"),
    (re.compile(_VEGA.format(name="vega")), "vega.min.js"),
)
"""Addresses, as Python and JavaScript match them whole, and our file; `$1` is the first group."""
_SCRIPT = re.compile(
    r"<script\b[^>]*\bsrc\s*=\s*(?P<quote>[\"'])(?P<address>https://[^\"'\s]*)(?P=quote)[^>]*>", re.I
)
_INTEGRITY = re.compile(r"\s+(?:integrity|crossorigin)(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]*))?", re.I)


def own_file(address: str) -> str | None:
    """Return which of our files stands for an address; None where none does."""
    for pattern, path in ADDRESSES:
        if found := pattern.fullmatch(address):
            return path.replace("$1", found[1]) if "$1" in path else path
    return None


def own_scripts(html: str, vendor: str) -> str:
    """Return markup whose script elements load our files where we have the library.

    Args:
        html: markup of a notebook.
        vendor: address of our files, with a slash at the end.
    """

    def ours(found: re.Match[str]) -> str:
        path = own_file(found["address"])
        if path is None:
            return found[0]
        return _INTEGRITY.sub("", found[0].replace(found["address"], vendor + path))

    return _SCRIPT.sub(ours, html)
