"""Pictures among outputs: their bytes, and the size at which the notebook wants them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from respawn_hub.rendering.media import PICTURES, data_of, joined

_MAX_PIXELS = 20_000
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A picture."""

    kind: str
    """Its media type, one of `PICTURES`."""
    data: bytes
    width: int | None = None
    """In pixels of the page, as the notebook says it, else as a PNG does."""
    height: int | None = None


def picture_of(output: dict[str, Any]) -> Picture | None:
    """Return an output's picture; None where it has none, or one that is no base64."""
    data = data_of(output)
    kind = next((kind for kind in PICTURES if kind in data), None)
    if kind is None:
        return None
    try:
        content = base64.b64decode("".join(joined(data[kind]).split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if not content:
        return None
    width, height = _wanted_size(output.get("metadata"), kind)
    if width is None and height is None:
        width, height = _png_size(content)
    return Picture(kind, content, width, height)


def _wanted_size(metadata: Any, kind: str) -> tuple[int | None, int | None]:
    if not isinstance(metadata, dict):
        return None, None
    own = metadata.get(kind)
    given = own if isinstance(own, dict) else metadata
    return _pixels(given.get("width")), _pixels(given.get("height"))


def _pixels(value: Any) -> int | None:
    """Return a length that the notebook gives, `300` or `300px`; None for any other."""
    text = str(value).removesuffix("px").strip()
    if len(text) > 10 or not text.replace(".", "", 1).isdecimal():
        return None
    pixels = round(float(text))
    return pixels if 0 < pixels <= _MAX_PIXELS else None


def _png_size(content: bytes) -> tuple[int | None, int | None]:
    if not content.startswith(_PNG) or content[12:16] != b"IHDR" or len(content) < 24:
        return None, None
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    if not (0 < width <= _MAX_PIXELS and 0 < height <= _MAX_PIXELS):
        return None, None
    return width, height
