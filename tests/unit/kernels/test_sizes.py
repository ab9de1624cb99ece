"""Sizes for people: in powers of 1024, as limits are given, and written in one place."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respawn_jobs.cli.common.options import Size
from respawn_kernels.sizes import how_large
from support.sources import PARTS, ROOT, modules

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
DECIMAL = re.compile(r"\b[\d.,]*\d ?(kB|KB|MB|GB|TB)\b|[\"'} ](kB|KB|MB|GB|TB)[\"'.,; ]")
DOCUMENTS = (
    "README.md",
    "docs/**/*.md",
    "hub_ext/*/templates/*.html",
    "hub_ext/*/static/*.js",
    "hub_ext/*/labextension/static/*.js",
    "widgets/*/*.js",
    "images/*/environment.toml",
)
INPUTS = re.compile(r"[Ii]n (options|this file) `8?G(iB)?`.*")
"""Which units are understood where people give sizes."""


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (459_276_288, "438 MiB"),
        (1023.6 * 1024, "1 MiB"),
        (2 << 30, "2 GiB"),
        ((2 << 30) - (10 << 20), "1.99 GiB"),
        (1 << 40, "1 TiB"),
        (5 << 50, "5,120 TiB"),
    ],
)
def test_a_size_has_the_largest_unit_of_which_there_is_one(count: float, words: str) -> None:
    assert how_large(count) == words


@given(st.integers(0, 1 << 50))
def test_a_size_that_is_shown_is_within_one_percent_of_the_bytes(count: int) -> None:
    number, _, unit = how_large(count).partition(" ")
    assert float(number.replace(",", "")) * UNITS[unit] == pytest.approx(count, rel=0.01)


@given(st.integers(1, 999), st.sampled_from(["KiB", "MiB", "GiB"]))
def test_a_limit_is_shown_as_it_was_given(number: int, unit: str) -> None:
    words = f"{number} {unit}"
    assert how_large(Size().convert(words, None, None)) == words


def test_nothing_that_people_read_has_a_unit_of_a_thousand() -> None:
    code = {module.name: module.path.read_text() for part in PARTS for module in modules(part)}
    texts = {
        str(path.relative_to(ROOT)): path.read_text() for pattern in DOCUMENTS for path in ROOT.glob(pattern)
    }
    assert code
    assert texts
    found = {
        name: sorted({match.group() for match in DECIMAL.finditer(INPUTS.sub("", text))})
        for name, text in (code | texts).items()
    }
    assert not {name: words for name, words in found.items() if words}
