"""A notebook's text with some cells written anew, and every other byte as it was.

Reading a notebook and writing it again changes more than what was edited: the order of keys, indentation,
escapes, numbers, fields that the format does not know. So only the parts of the text that change are
replaced, in the form in which the text writes its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respawn_jobs.errors import InvalidInput

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Kept:
    """A cell of the text that stays, with what becomes of it: fields by name; None for its tags: as it is."""

    place: int
    fields: Mapping[str, Any]
    tags: Sequence[str] | None = None


@dataclass(frozen=True)
class AddedCell:
    """A cell that the text does not have."""

    cell: Mapping[str, Any]


@dataclass(frozen=True)
class _Form:
    """How a text writes JSON."""

    indent: str | None
    """Of one level; None where it writes no lines."""
    newline: str
    colon: str
    ascii: bool

    def dumps(self, value: Any, level: int) -> str:
        """Return a value as the text would write it at a level of nesting."""
        comma = ", " if self.colon == ": " and self.indent is None else ","
        written = json.dumps(
            value, indent=self.indent, ensure_ascii=self.ascii, separators=(comma, self.colon)
        )
        # Within strings line breaks are escaped.
        return written.replace("\n", self.newline + (self.indent or "") * level)


def with_cells(text: str, cells: Sequence[Kept | AddedCell]) -> str:
    """Return a notebook's text with these cells, in their order.

    Args:
        text: The notebook, of version 4 of the format.
        cells: What its cells become. One that the text has and this lacks goes.

    Raises:
        InvalidInput: The text is of another version.
    """
    raw = json.loads(text)
    if raw.get("nbformat") != 4:
        raise InvalidInput("it is in an old version of the notebook format: open and save it in JupyterLab")
    start, end = next((start, end) for name, start, end in reversed([*_members(text, 0)]) if name == "cells")
    spans = list(_items(text, start))
    form = _form(text)
    written = [
        _edited(text, spans[cell.place], raw["cells"][cell.place], cell, form)
        if isinstance(cell, Kept)
        else form.dumps(_made(cell.cell, raw), 2)
        for cell in cells
    ]
    places = [cell.place if isinstance(cell, Kept) else None for cell in cells]
    if places == [*range(len(spans))]:
        begins = [start, *(last for _, last in spans)]
        new = [
            text[begin:first] + one for begin, (first, _), one in zip(begins, spans, written, strict=False)
        ]
        return text[:start] + "".join(new) + text[begins[-1] :]
    return text[:start] + _listed(text, start, end, spans, written, form) + text[end:]


def _listed(
    text: str, start: int, end: int, spans: Sequence[tuple[int, int]], written: Sequence[str], form: _Form
) -> str:
    """Return a list of other cells than the text has, spaced as it spaces its own."""
    if not written:
        return "[]"
    around = (form.newline + (form.indent or "") * 2, form.newline + (form.indent or ""))
    first, last = around if form.indent is not None else ("", "")
    between = f",{first}" if form.indent is not None or form.colon == ":" else ", "
    if spans:
        first, last = text[start + 1 : spans[0][0]], text[spans[-1][1] : end - 1]
    if len(spans) > 1:
        between = text[spans[0][1] : spans[1][0]]
    return f"[{first}{between.join(written)}{last}]"


def _edited(text: str, span: tuple[int, int], raw: dict[str, Any], cell: Kept, form: _Form) -> str:
    """Return a cell's text with other fields."""
    fields = {name: _as_before(raw.get(name), value) for name, value in cell.fields.items()}
    if cell.tags is not None:
        metadata = {name: value for name, value in (raw.get("metadata") or {}).items() if name != "tags"}
        fields["metadata"] = {**metadata, "tags": list(cell.tags)} if cell.tags else metadata
    members = {name: (first, last) for name, first, last in _members(text, span[0])}
    if not fields.keys() <= members.keys():
        return form.dumps({**raw, **fields}, 2)
    done, parts = span[0], []
    for name in sorted(fields, key=lambda one: members[one]):
        first, last = members[name]
        parts += [text[done:first], form.dumps(fields[name], 3)]
        done = last
    return "".join(parts) + text[done : span[1]]


def _as_before(before: Any, value: Any) -> Any:
    """Return a source as a list of lines where it was one."""
    return value.splitlines(keepends=True) if isinstance(before, list) and isinstance(value, str) else value


def _made(cell: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new cell in the order and the form of nbformat, with its source as the others have theirs."""
    minor = raw.get("nbformat_minor")
    named = isinstance(minor, int) and minor >= 5
    made = {name: cell[name] for name in sorted(cell) if name != "id" or named}
    if not any(isinstance(one.get("source"), str) for one in raw["cells"]):
        made["source"] = made["source"].splitlines(keepends=True)
    return made


def _form(text: str) -> _Form:
    """Return how a text writes JSON, by its first member."""
    newline = "\r\n" if "\r\n" in text else "\n"
    first = next(_members(text, 0))
    opening = text[text.index("{") + 1 : text.index('"')]
    indent = opening.rpartition("\n")[2] if "\n" in opening else None
    before = text[: first[1]]
    colon = before[before.rindex(":") :]
    return _Form(indent, newline, ": " if colon.strip(" ") == ":" and colon != ":" else ":", _escapes(text))


def _escapes(text: str) -> bool:
    return text.isascii() and "\\u" in text


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield the members of the object that begins at or after a place: name, and where its value lies."""
    at = _past(text, at) + 1
    while text[at := _past(text, at)] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _past(text, _past(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield name, start, end
        at = _past(text, end)
        at += text[at] == ","


def _items(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield where the items of the list that begins at a place lie."""
    at += 1
    while text[at := _past(text, at)] != "]":
        _, end = _DECODER.raw_decode(text, at)
        yield at, end
        at = _past(text, end)
        at += text[at] == ","


def _past(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
