"""A cell's outputs in the order in which a page shows them, each as what the page's template needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from markupsafe import Markup

from respawn_hub.rendering.long_text import Excerpt, excerpt, stream, terminal_text
from respawn_hub.rendering.media import (
    BOKEH_LOAD,
    JSON,
    PICTURES,
    bokeh_root,
    data_of,
    fills_bokeh_root,
    is_framed,
    richest,
)
from respawn_hub.rendering.pictures import Picture, picture_of
from respawn_hub.rendering.terminal import storable, terminal_html

_KNOWN = ("text/plain", JSON, BOKEH_LOAD)
"""What a page shows without a frame, or has no need to show."""


@dataclass(frozen=True)
class ShownOutput:
    """One output as a page shows it."""

    kind: Literal["text", "error", "image", "frame"]
    index: int
    """Place among the cell's outputs, of a stream that of its first piece; names what is fetched of it."""
    html: Markup = field(default_factory=Markup)
    """Escaped already: all of a short text, the head of a long one."""
    tail: Markup = field(default_factory=Markup)
    excerpt: Excerpt | None = None
    """How long the text is, and what of it is left out."""
    stderr: bool = False
    picture: Picture | None = None
    alt: str = ""
    """What the notebook says that a picture shows."""
    version: str = ""
    """Changes with what a frame or a picture shows, as when a display is updated."""
    why: str = ""
    """Why more than this cannot be shown; empty when all is."""


def shown(outputs: Sequence[dict[str, Any]]) -> list[ShownOutput]:
    """Return a cell's outputs for a page, in order; pieces of one stream become one text."""
    found: list[ShownOutput] = []
    scripts = [at for at, output in enumerate(outputs) if fills_bokeh_root(output)]
    drawn_into = {bokeh_root(outputs, at) for at in scripts}
    index = 0
    while index < len(outputs):
        output = outputs[index]
        if output.get("output_type") == "stream":
            stderr = output.get("name") == "stderr"
            found.append(_text(outputs, index, "text", stderr=stderr))
            index += len(stream(outputs, index))
            continue
        if index not in drawn_into:
            found += _shown(outputs, index)
        index += 1
    return found


def _shown(outputs: Sequence[dict[str, Any]], index: int) -> list[ShownOutput]:
    output = outputs[index]
    if output.get("output_type") == "error":
        return [_text(outputs, index, "error")]
    data = data_of(output)
    kind = richest(data)
    if kind == BOKEH_LOAD or not data:  # the former only loads the library, as each frame does for itself
        return []
    if is_framed(kind):
        return [ShownOutput("frame", index, version=_version(data))]
    if kind in PICTURES:
        picture = picture_of(output)
        if picture is not None:
            alt, version = _alt(output), _version(data)
            return [ShownOutput("image", index, picture=picture, alt=alt, version=version)]
    return [_text(outputs, index, "text", why=_why(data, kind))]


def _text(
    outputs: Sequence[dict[str, Any]],
    index: int,
    kind: Literal["text", "error"],
    *,
    stderr: bool = False,
    why: str = "",
) -> ShownOutput:
    part = excerpt(terminal_text(outputs, index) or "")
    return ShownOutput(
        kind,
        index,
        html=terminal_html(part.head),
        tail=terminal_html(part.tail),
        excerpt=part,
        stderr=stderr,
        why=why,
    )


def _why(data: dict[str, Any], kind: str | None) -> str:
    """Return why an output's plain text is all that is shown of it; empty when it is all that there is."""
    if kind in PICTURES:
        return "The picture is damaged: it is no base64."
    foreign = sorted(name for name in map(str, data) if name not in _KNOWN)
    if not foreign:
        return ""
    return f"This page cannot show {', '.join(foreign)[:300]}. Open the notebook in JupyterLab to see it."


def _version(data: dict[str, Any]) -> str:
    return blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=8).hexdigest()


def _alt(output: dict[str, Any]) -> str:
    metadata = output.get("metadata")
    alt = metadata.get("alt") if isinstance(metadata, dict) else None
    return storable(alt)[:1000] if isinstance(alt, str) else ""
