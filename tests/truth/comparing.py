"""Differences between two sides of a case, and whether Respawn announced them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
_CELL = re.compile(r"\bcells? \d+", re.IGNORECASE)
_NOT_RESTORED = re.compile(r"\bPlaceholder\b|\bNotRestored\b")
_QUOTED = re.compile(r"(\bcell \d+, (?:tagged respawn:always|for .+?, which could not be stored)): .*")
_MADE_FROM = re.compile(r"(\bmakes .+? again) with .+?(?= as cells? \d)")
_CLASS = re.compile(r"^(\s*\w+\s{2,})\S+(\s{2,}\S.*\bcell \d+\s*)$")
_COUNT = re.compile(r"(Cell|Input) ?(In)?\[\d+\]|In \[\d+\]")


@dataclass(frozen=True)
class Difference:
    """One thing that is not what it should be."""

    story: str
    """The prefix of the story; empty for the session and the outputs of the harness's cells."""
    name: str
    """A variable, an observation (begins with `?`), `session …` or `output of cell …`."""
    expected: str
    got: str


def differences(expected: dict[str, Any], got: dict[str, Any]) -> list[Difference]:
    """Return how two digests differ."""
    found = []
    for prefix, told in expected["stories"].items():
        other = got["stories"].get(prefix, {})
        differs = {name for name in {*told, *other} if told.get(name) != other.get(name)}
        for name in sorted(differs):
            # What two names share says nothing more when one of them is not what it was.
            if not any(half in differs for half in name.split(" & ") if half != name):
                found.append(Difference(prefix, name, told.get(name, "nothing"), other.get(name, "nothing")))
    for name in sorted({*expected["session"], *got["session"]}):
        one, two = expected["session"].get(name, "not loaded"), got["session"].get(name, "not loaded")
        if one != two:
            found.append(Difference("", f"session {name}", one, two))
    return found


def output_differences(
    expected: Any, got: Any, owners: Sequence[str], prefixes: dict[str, str]
) -> list[Difference]:
    """Return in which cells two executed notebooks show something else.

    Args:
        expected: papermill's notebook.
        got: the resumed one.
        owners: the title of the story of each cell.
        prefixes: by title.
    """
    found = []
    for place, (one, two) in enumerate(zip(_cells(expected), _cells(got), strict=False)):
        shown, other = outputs(one), outputs(two)
        if shown != other:
            owner = owners[place] if place < len(owners) else ""
            found.append(Difference(prefixes.get(owner, ""), f"output of cell {place}", shown, other))
    return found


def outputs(cell: Any) -> str:
    """Return what a cell put out, without addresses and execution counts."""
    told, text = [], {"stdout": "", "stderr": ""}
    for output in cell.get("outputs") or []:
        if output.output_type == "stream":
            text[output.name] = text.get(output.name, "") + "".join(output.text)
        elif output.output_type == "error":
            told.append(f"{output.ename}: {output.evalue}")
        else:
            data = {
                kind: "".join(value) if isinstance(value, list) else value
                for kind, value in output.data.items()
            }
            told.append(
                str(sorted((kind, str(value)[:2000]) for kind, value in data.items() if kind != "image/png"))
            )
    # `%%writefile` says whether the file was there: files of an earlier try stay, by design.
    shown = "\n".join([*text.values(), *told]).strip().replace("Overwriting ", "Writing ")
    return _ADDRESS.sub("0x", _COUNT.sub("[]", shown))


def _cells(nb: Any) -> list[Any]:
    kept = [cell for cell in nb.cells if "papermill-error-cell-tag" not in (cell.metadata.get("tags") or [])]
    return [cell for cell in kept if "injected-parameters" not in (cell.metadata.get("tags") or [])]


_FILE = re.compile(r"[\w./~-]+\.(?:py|csv|txt|json|db|lnk|pkl|log|parquet|npy|npz)\b")
_DOTTED = re.compile(r"\b[^\W\d]\w*(?:\.[^\W\d]\w*)+")


def announced(one: Difference, words: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether plan or note names the variable or probe, and the cell.

    Args:
        one: what differs.
        words: what was said, one text for each statement.
        names: for an observation or output, the variables of its story.
    """
    # What stands for a variable that was not stored says so when it is used, with the cell.
    said = [*words, one.got] if _NOT_RESTORED.search(one.got) else words
    return any(is_named(subject, said) for subject in _subjects(one, names)) or _tells_of_file(one, words)


def _tells_of_file(one: Difference, words: Sequence[str]) -> bool:
    """Return whether a line names a cell and a file of the story that the run before has left to it."""
    file = re.compile(rf"(?<!\w){re.escape(one.story)}[\w/-]*\.\w+")
    lines = (line for text in words for line in text.splitlines() if " in the run before" in line)
    return bool(one.story) and any(_CELL.search(line) and file.search(line) for line in lines)


def is_named(subject: str, words: Sequence[str]) -> bool:
    """Return whether a line names a variable or probe together with a cell."""
    lines = [line for text in words for line in text.splitlines() if _CELL.search(line)]
    return any(_names(line, subject) for line in lines)


def losses_in(words: Sequence[str]) -> list[str]:
    """Return what was said of losses alone.

    A module's file is not the variable of its name. A cell that runs again is quoted, what it reads is named
    as what it makes things from, and a lost object is told with its class: none of these is said to be lost.
    """
    return [_lost(line) for text in words for line in text.splitlines()]


def _lost(line: str) -> str:
    for pattern, kept in ((_FILE, "a file"), (_QUOTED, r"\1"), (_MADE_FROM, r"\1"), (_CLASS, r"\1\2")):
        line = pattern.sub(kept, line)
    return line


def _subjects(one: Difference, names: Sequence[str]) -> list[str]:
    if one.name.startswith("session "):
        return [one.name.removeprefix("session ")]
    if one.name.startswith("? "):
        parts = [found for path in _DOTTED.findall(one.name) for found in _beginnings(path)]
        return [*parts, *(name for name in names if re.search(rf"\b{re.escape(name)}\b", one.name))]
    return list(names) if one.name.startswith("output") else one.name.split(" & ")


def _beginnings(path: str) -> list[str]:
    """Return `a.b` and `a.b.c` of the second: parts of the session are named by where they are."""
    words = path.split(".")
    return [".".join(words[:count]) for count in range(2, len(words) + 1)]


def _names(text: str, subject: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(subject)}(?!\w)", text) is not None
