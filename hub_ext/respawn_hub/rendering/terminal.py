"""Text as a terminal shows it: colours, weights, links. The result is escaped, whatever the text holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape
from rich.ansi import AnsiDecoder
from rich.color import Color, ColorType
from rich.style import Style

_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_OSC = re.compile(r"\x1b\](?:([^\x07\x1b\n]*)(?:\x07|\x1b\\))?")
"""An OSC command, of which only links (8) mean something here. Linear, also where none ends."""
_CSI = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~]?)")
_MAX_PARAMETERS = 64
"""Characters of a colour's parameters: more is no colour, and rich makes numbers of them."""
_URL = re.compile(r"https?://[^\s<>\"'`\x00-\x1f]+")
_AFTER_A_URL = ".,;:!?)]}"


def terminal_html(text: str) -> Markup:
    """Return text with the colours, styles and links that its escape codes ask for, as escaped HTML.

    Args:
        text: what a program printed. Codes that move a cursor are dropped.
    """
    if "\x1b" not in text:
        return _linked(text)
    decoder = AnsiDecoder()
    lines = _only_styles(text).split("\n")
    return Markup("\n").join(Markup("").join(_segments(decoder, line)) for line in lines)


def overwritten(text: str) -> str:
    """Return what a terminal would show after carriage returns, such as those of progress bars."""
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def storable(text: str) -> str:
    """Return text with half surrogate pairs, which no answer can hold, replaced by `?`."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _only_styles(text: str) -> str:
    """Return text with no escape codes but those of links and styles, each one whole and short."""

    def link(found: re.Match[str]) -> str:
        command = found[1] or ""
        return f"\x1b]{command}\x1b\\" if command.startswith("8;") else ""

    def style(found: re.Match[str]) -> str:
        return found[0] if found[2] == "m" and len(found[1]) <= _MAX_PARAMETERS else ""

    return _CSI.sub(style, _OSC.sub(link, text))


def _segments(decoder: AnsiDecoder, line: str) -> Iterator[Markup]:
    decoded = decoder.decode_line(line)
    plain, done = decoded.plain, 0
    for span in decoded.spans:
        if span.start > done:
            yield _linked(plain[done : span.start])
        style = span.style if isinstance(span.style, Style) else Style.null()
        yield _styled(plain[span.start : span.end], style)
        done = span.end
    if done < len(plain):
        yield _linked(plain[done:])


def _styled(text: str, style: Style) -> Markup:
    foreground, background = style.color, style.bgcolor
    classes, declared = [], []
    if style.reverse:
        foreground, background = background, foreground
        classes += [] if foreground or background else ["ansi-inverse"]
    for colour, place, name in ((foreground, "fg", "color"), (background, "bg", "background-color")):
        if colour is None or colour.type is ColorType.DEFAULT:
            continue
        if colour.number is not None and colour.number < 16:
            classes.append(_class(colour.number, place))
        else:
            declared.append(f"{name}: {_rgb(colour)}")
    for asked, name in (
        (style.bold, "bold"),
        (style.dim, "dim"),
        (style.italic, "italic"),
        (style.underline, "underline"),
        (style.strike, "strike"),
    ):
        classes += [f"ansi-{name}"] if asked else []
    shown = _anchor(style.link, text) if style.link and _URL.fullmatch(style.link) else _linked(text)
    if not classes and not declared:
        return shown
    attributes = Markup(' class="{}"').format(" ".join(classes)) if classes else Markup("")
    attributes += Markup(' style="{}"').format("; ".join(declared)) if declared else Markup("")
    return Markup("<span{}>{}</span>").format(attributes, shown)


def _class(number: int, place: str) -> str:
    return f"ansi-{_COLOURS[number % 8]}{'-intense' if number > 7 else ''}-{place}"


def _rgb(colour: Color) -> str:
    red, green, blue = colour.get_truecolor()
    return f"rgb({red}, {green}, {blue})"


def _linked(text: str) -> Markup:
    """Return text as escaped HTML whose web addresses can be followed."""
    if "://" not in text:
        return escape(text)
    parts, done = [], 0
    for found in _URL.finditer(text):
        address = found[0].rstrip(_AFTER_A_URL)
        parts += [escape(text[done : found.start()]), _anchor(address, address)]
        done = found.start() + len(address)
    return Markup("").join([*parts, escape(text[done:])])


def _anchor(address: str, text: str) -> Markup:
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>').format(
        address, text
    )
