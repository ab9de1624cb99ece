"""Markdown between the cells: in the page where it is plain, in a sandboxed frame where it is more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from html import unescape
from typing import Any

import mistune
from markupsafe import Markup
from mistune.plugins.math import math, math_in_list, math_in_quote

from respawn_hub.rendering.terminal import storable

_PLAIN_TAG = re.compile(r"<(br|hr)\s*/?>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
"""Markup that needs no frame: it opens nothing that could stay open."""
_PLUGINS: Any = ["table", "strikethrough", "url"]


@dataclass(frozen=True)
class Prose:
    """A text cell as the page shows it."""

    html: Markup
    framed: bool
    """It has formulas or markup, and is shown in a frame; `html` is empty."""
    headings: tuple[tuple[int, str], ...]
    """Its headings, each with its level from 1."""
    links: tuple[tuple[str, str], ...] = ()
    """Address and text of its links to the web, which cannot be followed from within a frame."""


def prose(markdown: str) -> Prose:
    """Return Markdown for the page: tags are markup only in its frame, addresses of scripts are dropped."""
    renderer = _Renderer()
    html = _convert(renderer, storable(markdown))
    if renderer.framed:
        return Prose(Markup(""), True, tuple(renderer.headings), tuple(renderer.links))
    return Prose(Markup(html), False, tuple(renderer.headings))  # noqa: S704 - the renderer escapes all tags


def framed_html(markdown: str) -> str:
    """Return Markdown as HTML for a sandboxed frame: its markup as it is, its formulas marked for KaTeX."""
    return _convert(mistune.HTMLRenderer(escape=False), storable(markdown))


class _Renderer(mistune.HTMLRenderer):
    """Escapes tags, and notes whether the text needs a frame, and its headings."""

    def __init__(self) -> None:
        super().__init__(escape=True)
        self.framed = False
        self.headings: list[tuple[int, str]] = []
        self.links: list[tuple[str, str]] = []

    def link(self, text: str, url: str, title: str | None = None) -> str:
        address = self.safe_url(url)
        if address.startswith(("https://", "http://")):
            self.links.append((unescape(address), _plain(text)))
        return super().link(text, url, title)

    def inline_html(self, html: str) -> str:
        return self._markup(html)

    def block_html(self, html: str) -> str:
        return self._markup(html)

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        self.headings.append((level, _plain(text)))
        # The page's own headings are of levels 1 and 2.
        return super().heading(text, min(level + 1, 6), **attrs)

    def _markup(self, html: str) -> str:
        if _PLAIN_TAG.fullmatch(html.strip()):
            return "" if html.strip().startswith("<!--") else f"<{html.strip()[1:3].lower()}>\n"
        self.framed = True
        return ""


def _plain(html: str) -> str:
    return Markup(html).striptags()  # noqa: S704 - nothing is left that is markup


def _convert(renderer: mistune.HTMLRenderer, markdown: str) -> str:
    plugins = [*_PLUGINS, math, math_in_quote, math_in_list]
    convert = mistune.create_markdown(renderer=renderer, plugins=plugins)
    if isinstance(renderer, _Renderer):
        for kind in ("block_math", "inline_math"):
            renderer.register(kind, partial(_formula, renderer))
    return str(convert(markdown))


def _formula(page: _Renderer, _renderer: Any, _text: str) -> str:
    page.framed = True
    return ""
