"""Outputs of notebooks as something that a page may show.

Text is escaped and shown in the page; pictures become `data:` images; whatever can carry markup or scripts
is shown only in a sandboxed frame, whose document `sandbox_document` makes. Nothing here is ever executed
or trusted with the hub's origin.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup, escape

LONGEST_TEXT = 100_000
"""Characters of one text output that a page shows; the notebook has them all."""
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_FRAMED = ("text/html", "image/svg+xml", "text/markdown", "text/latex", "application/javascript")
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


@dataclass(frozen=True)
class ShownOutput:
    """One output as a page shows it."""

    kind: Literal["text", "error", "image", "frame"]
    index: int
    """Place among the cell's outputs; names the frame's document."""
    html: Markup = field(default_factory=Markup)
    """Escaped already."""
    image: str = ""
    """A `data:` address."""
    cut: int = 0
    """Characters left out."""


def shown(outputs: list[dict[str, Any]]) -> list[ShownOutput]:
    """Return a cell's outputs for a page, in order; pieces of one stream become one text."""
    found: list[ShownOutput] = []
    pieces: list[str] = []
    for index, output in enumerate(outputs):
        if output.get("output_type") == "stream":
            pieces.append(_text(output.get("text")))
            following = outputs[index + 1] if index + 1 < len(outputs) else {}
            if following.get("output_type") != "stream" or following.get("name") != output.get("name"):
                found.append(_shown_text(index, _overwritten("".join(pieces))))
                pieces = []
        else:
            found.append(_shown(index, output))
    return found


def ansi(text: str) -> Markup:
    """Return text with terminal colours as escaped HTML."""
    from nbconvert.filters.ansi import ansi2html  # nbconvert takes long to import

    convert: Callable[[str], str] = ansi2html
    return Markup(convert(text))  # noqa: S704 - ansi2html escapes the text


def prose(markdown: str) -> Markup:
    """Return Markdown as HTML for the page: tags in it become text, addresses of scripts are dropped."""
    import mistune

    convert = mistune.create_markdown(escape=True, plugins=["table", "strikethrough"])
    return Markup(convert(markdown))  # noqa: S704 - escape=True


def sandbox_document(output: dict[str, Any]) -> str | None:
    """Return the document of a framed output; None for an output that is not framed."""
    data = output.get("data") or {}
    kind = _richest(data)
    if kind not in _FRAMED:
        return None
    source = _text(data[kind])
    if kind == "application/javascript":
        body = f"<div id='element'></div><script>{_script(source)}</script>"
    elif kind == "text/markdown":
        from nbconvert.filters.markdown import markdown2html

        body = str(markdown2html(source))
    elif kind == "text/latex":
        body = f"<pre>{escape(source)}</pre>"
    else:
        body = source
    return _FRAME.replace("{body}", body)


def _shown(index: int, output: dict[str, Any]) -> ShownOutput:
    if output.get("output_type") == "error":
        lines = output.get("traceback") or []
        said = "\n".join(lines) or f"{output.get('ename')}: {output.get('evalue')}"
        return _shown_text(index, said, kind="error")
    data = output.get("data") or {}
    kind = _richest(data)
    if kind in _IMAGES:
        address = _image(kind, _text(data[kind]))
        if address:
            return ShownOutput("image", index, image=address)
    if kind in _FRAMED:
        return ShownOutput("frame", index)
    if kind == "application/json":
        return _shown_text(index, json.dumps(data[kind], indent=2, ensure_ascii=False))
    return _shown_text(index, _text(data.get("text/plain", "")))


def _richest(data: dict[str, Any]) -> str | None:
    for kind in ("text/html", *_IMAGES, *_FRAMED, "application/json"):
        if kind in data:
            return kind
    return None


def _shown_text(index: int, text: str, kind: Literal["text", "error"] = "text") -> ShownOutput:
    cut = max(0, len(text) - LONGEST_TEXT)
    return ShownOutput(kind, index, html=ansi(text[:LONGEST_TEXT]), cut=cut)


def _overwritten(text: str) -> str:
    """Return what a terminal would show after carriage returns, such as those of progress bars."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "\n".join(lines) if "\r" in text else text


def _image(kind: str, data: str) -> str | None:
    if not _BASE64.fullmatch(data):
        return None
    packed = "".join(data.split())
    try:
        base64.b64decode(packed, validate=True)
    except binascii.Error:
        return None
    return f"data:{kind};base64,{packed}"


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _script(source: str) -> str:
    # A script element ends at the first closing tag, whatever the script means by it.
    return re.sub(r"</(script)", r"<\\/\1", source, flags=re.IGNORECASE)


_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Output</title><style>
body { margin: 0; font: 14px/1.4 system-ui, "Liberation Sans", sans-serif; color: #212529; background: #fff; }
table { border: 0; border-collapse: collapse; font-size: 13px; }
th, td { padding: 3px 8px; text-align: right; border: 0; }
thead th { border-bottom: 1px solid #adb5bd; }
tbody tr:nth-child(even) { background: #f4f5f6; }
img, svg { max-width: 100%; }
pre { white-space: pre-wrap; }
</style></head><body>
{body}
<script>
(function () {
  function tell() { parent.postMessage({ respawnHeight: document.documentElement.offsetHeight }, "*"); }
  new ResizeObserver(tell).observe(document.documentElement);
  addEventListener("load", tell);
  tell();
})();
</script></body></html>
"""
