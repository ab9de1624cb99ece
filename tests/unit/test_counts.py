"""A number before a noun has the right form of it: one helper counts, in messages, pages and scripts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from respawn_kernels.counting import how_many, noun
from support.sources import PARTS, ROOT, modules

_CONSTANT = re.compile(r"[A-Z_]*[A-Z]{2}[A-Z_]*|cls|len\(cls\.\w+\)")
_NO_NUMBER = re.compile(
    r"\.(id|job|name|target|path|source|actor|run|namespace)\b|_id\b|name_of|told|join|^(counted|jobs|files|state|heir|name)$|^does|_ref|ref_of|\btext\b"
)
"""Placeholders that hold a name, or words that count already: a verb follows, as in `run-1 runs report`."""
_HELPERS = ("how_many", "noun", "howMany")
_FOLDERS = ("hub_ext/respawn_hub/templates", "hub_ext/respawn_hub/static", "widgets/respawn_widgets")
_LAB = "hub_ext/respawn_server/labextension/static"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 lines"),
        (1, "1 line"),
        (2, "2 lines"),
        (1200, "1,200 lines"),
        (1.0, "1 line"),
        (1.5, "1.5 lines"),
    ],
)
def test_a_number_decides_the_form_of_its_noun(number: float, words: str) -> None:
    assert how_many(number, "line") == words
    assert how_many(number, "cell is", "cells are").endswith("cell is" if number == 1 else "cells are")
    assert noun(number, "its", "their") == ("its" if number == 1 else "their")


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _HELPERS:
            yield node


@cache
def _countable() -> set[str]:
    """Return every noun that something counts, in the plural: what is counted once is known from then on."""
    singular = {
        word
        for part in PARTS
        for module in modules(part)
        for call in _calls(module.tree)
        for one in call.args[1:2]
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
        for word in one.value.split()[:3]
    }
    return {f"{word}s" for word in singular if len(word) > 2} - {"its", "hass"}


def _bare_counts(tree: ast.AST, plurals: set[str]) -> Iterator[str]:
    counted = re.compile(rf" (?:[a-z]+ )?({'|'.join(sorted(plurals))})\b")
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for placeholder, text in zip(node.values, node.values[1:], strict=False):
            if not (isinstance(placeholder, ast.FormattedValue) and isinstance(text, ast.Constant)):
                continue
            shown = ast.unparse(placeholder.value)
            if _CONSTANT.search(shown) or _NO_NUMBER.search(shown) or shown.startswith(_HELPERS):
                continue
            if counted.match(str(text.value)):
                yield f"line {node.lineno}: {{{shown}}}{text.value!r}"


def test_the_check_sees_a_count_without_its_helper() -> None:
    plurals = _countable()
    assert {"lines", "cells", "runs", "blobs", "bytes", "files"} <= plurals
    assert list(_bare_counts(ast.parse('f"{left} lines are left"'), plurals))
    assert list(_bare_counts(ast.parse('f"{len(some)} more files"'), plurals))
    assert not list(_bare_counts(ast.parse("""f"{how_many(left, 'line')} in all" """), plurals))


@pytest.mark.parametrize("part", PARTS)
def test_messages_count_with_the_helper_alone(part: str) -> None:
    plurals = _countable()
    wrong = [
        f"{module.name}, {found}" for module in modules(part) for found in _bare_counts(module.tree, plurals)
    ]
    assert not wrong


def _shown_files() -> list[Path]:
    files = [
        file for folder in _FOLDERS for file in (ROOT / folder).glob("*") if file.suffix in (".html", ".js")
    ]
    return files + [ROOT / _LAB / name for name in _own_scripts()]


def _own_scripts() -> list[str]:
    return [file.name for file in (ROOT / _LAB).glob("*.js") if not re.match(r"\d|remoteEntry", file.name)]


@pytest.mark.parametrize("file", _shown_files(), ids=lambda file: file.name)
def test_pages_and_scripts_count_with_the_helper_alone(file: Path) -> None:
    plurals = "|".join(sorted(_countable()))
    bare = re.compile(rf"(?:\{{\{{([^{{}}]*)\}}\}}|\$\{{([^{{}}]*)\}})(?:</\w+>)? (?:[a-z]+ )?({plurals})\b")
    wrong = [
        found[0]
        for found in bare.finditer(file.read_text())
        if not _NO_NUMBER.search(found[1] or found[2]) and "index" not in found[0]
    ]
    assert not wrong
    by_hand = re.findall(r"(?:==|===) 1 (?:else|\?)[^}\n]*", file.read_text())
    assert [one for one in by_hand if re.search(r"\b(are|s)\b\"", one)] == []
