"""Sizes for people: in powers of 1024, as limits are given, and written in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from respawn_environments.definition import Resources
from respawn_hub.startup.settings import Settings
from respawn_jobs.cli.common.options import Size
from respawn_jobs.model.limits import KernelLimits
from respawn_kernels.sizes import how_large, parse_size
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


@pytest.mark.parametrize(
    ("text", "size"),
    [("800M", 800 << 20), ("8G", 8 << 30), ("8GB", 8 << 30), ("1.5 gib", 3 << 29), ("7", 7), ("7 B", 7)],
)
def test_all_units_are_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "-1G", "1 X", "9" * 400, "9" * 400 + "G", "999999999999T", "1e9", "inf"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size, such as 800M or 8G"):
        parse_size(text)


def test_settings_and_environments_read_them_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPAWN_KERNEL_MEMORY", "2GB")
    monkeypatch.setenv("RESPAWN_MAX_KERNEL_DISK", "20 GiB")
    monkeypatch.setenv("RESPAWN_QUOTA_STORED", "5G")
    settings = Settings(data=tmp_path)
    assert settings.kernel_limits == KernelLimits(memory_bytes=2 << 30)
    assert settings.max_kernel_limits == KernelLimits(disk_bytes=20 << 30)
    assert settings.quota_stored == 5 << 30
    assert Resources(memory="2GB", disk="20 GiB").model_dump(exclude_none=True) == {
        "memory": 2 << 30,
        "disk": 20 << 30,
    }


@pytest.mark.parametrize("text", ["4096", "much", "9" * 400])
def test_a_setting_that_is_no_size_or_too_small_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("RESPAWN_KERNEL_MEMORY", text)
    with pytest.raises(ValidationError, match="kernel_memory"):
        Settings(data=tmp_path)
