"""The icon of an environment: `icon.svg` beside its environment.toml, else letters on a colour of its own."""

from __future__ import annotations

import hashlib
from html import escape
from pathlib import Path

from respawn_environments.definition import EnvironmentSource
from respawn_environments.errors import InvalidEnvironment
from respawn_environments.kernelspecs import LOGO
from respawn_kernels.sizes import how_large

ICON = "icon.svg"
"""What a person may lay beside environment.toml."""
_MAX_BYTES = 64 << 10
_COLOURS = ("#1f6699", "#2e7d4f", "#8a3a6b", "#9a4a10", "#5a4fa3", "#0b7285", "#a3352b", "#4d5b66")
"""On all of them white letters can be read: a contrast of 4.5 or more (WCAG 2, AA)."""


def icon(source: EnvironmentSource) -> bytes:
    """Return the icon of an environment, an SVG.

    Raises:
        InvalidEnvironment: its `icon.svg` is no SVG, or too large.
        OSError: it cannot be read.
    """
    path = source.directory / ICON
    if not path.exists():
        return drawn(source.name, source.display_name)
    picture = path.read_bytes()
    if len(picture) > _MAX_BYTES:
        raise InvalidEnvironment(
            f"{path} has {how_large(len(picture))}: an icon may have {how_large(_MAX_BYTES)}"
        )
    if b"<svg" not in picture:
        raise InvalidEnvironment(f"{path} is no SVG picture: save one there, or remove it")
    return picture


def drawn(name: str, display_name: str) -> bytes:
    """Return an icon with the first letters of how people call an environment.

    Args:
        name: the environment's name, which decides on the colour.
        display_name: how JupyterLab shows it.
    """
    letters = "".join(letter for letter in display_name if letter.isalnum())[:2].capitalize() or "?"
    colour = _COLOURS[hashlib.sha256(name.encode()).digest()[0] % len(_COLOURS)]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">'
        f'<rect width="64" height="64" rx="12" fill="{colour}"/>'
        '<text x="32" y="42" text-anchor="middle" font-family="sans-serif" font-size="28" font-weight="600" '
        f'fill="#fff">{escape(letters)}</text></svg>\n'
    ).encode()


def icon_of_kernelspec(directory: Path) -> bytes | None:
    """Return the icon in the directory of a kernelspec; None where there is none that can be shown."""
    try:
        picture = (directory / LOGO).read_bytes()
    except OSError:
        return None
    return picture if len(picture) <= _MAX_BYTES else None
