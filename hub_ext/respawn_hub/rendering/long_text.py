"""Texts of any length: what a page shows of them at first, more of them on demand, and where a word is.

Positions are counted in characters of the text as a terminal shows it: pieces of a stream joined, lines that
a carriage return overwrote gone. A text that grows keeps the positions of its whole lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from respawn_hub.rendering.media import JSON, data_of, joined, richest
from respawn_hub.rendering.terminal import overwritten, storable

MAX_WHOLE = 80_000
"""Characters of a text that is shown whole."""
HEAD = 20_000
TAIL = 40_000
PIECE = 100_000
"""Characters that a reader gets at a time."""
MAX_FOUND = 200
"""Lines that a search shows."""
MAX_COUNTED = 100_000
_LINE = 2_000
"""A cut moves to the end of a line that is no further away than this."""
_AROUND = 120
"""Characters of a long line to each side of what was found in it."""


@dataclass(frozen=True)
class Excerpt:
    """Head and tail of a text; `head` is all of a short one."""

    head: str
    tail: str
    length: int
    lines: int

    @property
    def gap(self) -> tuple[int, int]:
        """Where what is left out begins and ends."""
        return len(self.head), self.length - len(self.tail)

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        start, end = self.gap
        return start >= end


@dataclass(frozen=True)
class Found:
    """A line in which a word was found."""

    line: int
    """Number of the line, from 1."""
    position: int
    before: str
    match: str
    after: str


def text_of(outputs: Sequence[dict[str, Any]], index: int) -> str | None:
    """Return the text of an output as it came; None where the output is no text.

    Args:
        outputs: all outputs of the cell.
        index: the place of the output; of a stream, that of its first piece.
    """
    if not 0 <= index < len(outputs):
        return None
    output = outputs[index]
    if output.get("output_type") == "stream":
        return storable("".join(joined(piece.get("text")) for piece in stream(outputs, index)))
    if output.get("output_type") == "error":
        lines = output.get("traceback") or []
        return storable("\n".join(map(str, lines)) or f"{output.get('ename')}: {output.get('evalue')}")
    data = data_of(output)
    if richest(data) == JSON:
        return storable(json.dumps(data[JSON], indent=2, ensure_ascii=False))
    return storable(joined(data["text/plain"])) if "text/plain" in data else None


def terminal_text(outputs: Sequence[dict[str, Any]], index: int) -> str | None:
    """Return `text_of` without what was overwritten: the text whose positions this module counts."""
    text = text_of(outputs, index)
    return None if text is None else overwritten(text)


def stream(outputs: Sequence[dict[str, Any]], index: int) -> list[dict[str, Any]]:
    """Return the pieces of the stream that begins at `index`: all that follow it with the same name."""
    name, end = outputs[index].get("name"), index + 1
    while (
        end < len(outputs)
        and outputs[end].get("output_type") == "stream"
        and outputs[end].get("name") == name
    ):
        end += 1
    return list(outputs[index:end])


def excerpt(text: str) -> Excerpt:
    """Return the head and the tail of a text, cut between lines where they are short enough."""
    lines = text.count("\n") + (not text.endswith("\n"))
    if len(text) <= MAX_WHOLE:
        return Excerpt(text, "", len(text), lines)
    head, tail = _cut(text, HEAD), _cut(text, len(text) - TAIL)
    return Excerpt(text[:head], text[tail:], len(text), lines)


def piece(text: str, start: int, end: int, *, backwards: bool = False) -> tuple[int, int]:
    """Return the bounds of the part of a gap that is shown next, of `PIECE` characters at most.

    Args:
        text: the whole text.
        start: where the gap begins.
        end: where it ends.
        backwards: take the end of the gap, not its beginning.
    """
    end = min(end, len(text))
    start = max(0, min(start, end))
    if end - start <= PIECE:
        return start, end
    return (_cut(text, end - PIECE), end) if backwards else (start, _cut(text, start + PIECE))


def around(text: str, position: int) -> tuple[int, int]:
    """Return the bounds of the part of a text that is shown around a position."""
    at = max(0, min(position, len(text)))
    start, end = at - PIECE // 10, at + PIECE // 10
    return (_cut(text, start) if start > 0 else 0), (_cut(text, end) if end < len(text) else len(text))


def search(text: str, word: str) -> tuple[list[Found], int]:
    """Return the first lines that hold a word, upper and lower case alike, and how many do.

    At most `MAX_FOUND` lines are returned, and `MAX_COUNTED` counted.
    """
    found: list[Found] = []
    count, line, counted_to, past = 0, 1, 0, 0
    for match in re.finditer(re.escape(word), text, re.IGNORECASE) if word else ():
        if match.start() < past:  # in a line that was found already
            continue
        begin = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        end = len(text) if end < 0 else end
        past = end
        count += 1
        if count <= MAX_FOUND:
            line += text.count("\n", counted_to, begin)
            counted_to = begin
            before = text[max(begin, match.start() - _AROUND) : match.start()]
            after = text[match.end() : min(end, match.end() + _AROUND)]
            found.append(Found(line, match.start(), before, match[0], after))
        if count == MAX_COUNTED:
            break
    return found, count


def _cut(text: str, at: int) -> int:
    """Return the beginning of the line after `at`, or `at` itself where that is far away."""
    end = text.find("\n", at, at + _LINE)
    return at if end < 0 else end + 1
