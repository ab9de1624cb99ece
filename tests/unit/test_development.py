"""What the page on working on Respawn and the Makefile say of the tests is so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.sources import ROOT

TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "development.md"
LONG_FORM = re.compile(r"pytest\.mark\.slow|(?<!def )\bquick\(|^BOTH_DATABASES = \{", re.MULTILINE)


def _files() -> list[Path]:
    return [path for path in TESTS.rglob("test_*.py") if "truth/kernel" not in path.as_posix()]


def test_the_page_names_each_file_with_a_long_form() -> None:
    page = PAGE.read_text()
    long = [path for path in _files() if LONG_FORM.search(path.read_text()) and path != Path(__file__)]
    assert long
    assert not [str(path.relative_to(TESTS)) for path in long if f"{path.name}`" not in page]


def test_the_page_names_each_place_with_long_tests() -> None:
    page = PAGE.read_text()
    marked = {path for path in _files() if "pytest.mark.long" in path.read_text() and path != Path(__file__)}
    assert marked
    places = {path.parent.relative_to(TESTS).as_posix() for path in marked}
    first = {line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")}
    named = {place for column in first for place in re.findall(r"`([^`]+)`", column)}
    assert not {place.removesuffix("/debugging") for place in places} - named


def test_the_parts_of_all_tests_are_all_tests_once() -> None:
    command = ["make", "--print-data-base", "--dry-run", "help"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    parts = dict(re.findall(r"^SHARD_(\w+) := (.+)$", told, re.MULTILINE))
    places = [ROOT / place for part in parts.values() for place in part.split()]
    assert sorted(parts) == ["hub", "jobs", "unit"]
    assert all(place.exists() for place in places)
    homes = {path: sum(place == path or place in path.parents for place in places) for path in _files()}
    assert not {path for path, times in homes.items() if times != 1}
