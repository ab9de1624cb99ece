"""The seed by which Python hashes texts: chosen once for an environment, and told truly."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from respawn_kernels.hash_seed import RANDOM, UNLOCKED, chosen, difference, seed_for

TELL = "from respawn_kernels.hash_seed import own; print(own())"


@pytest.mark.parametrize(
    ("value", "flags", "told"),
    [
        ("0", [], "0"),
        ("007", [], "7"),
        ("4294967295", [], "4294967295"),
        ("random", [], RANDOM),
        ("", [], RANDOM),
        (None, [], RANDOM),
        ("7", ["-E"], RANDOM),
        ("0", ["-R"], RANDOM),
        ("7", ["-BR"], RANDOM),
    ],
)
def test_an_interpreter_tells_the_seed_that_it_began_with(
    value: str | None, flags: list[str], told: str
) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONHASHSEED"}
    if value is not None:
        environment["PYTHONHASHSEED"] = value
    for first in ("", "import os; os.environ['PYTHONHASHSEED'] = '9'; "):
        command = [sys.executable, *flags, "-c", first + TELL]
        assert subprocess.check_output(command, env=environment, text=True).strip() == told


def test_each_lock_has_its_seed_and_python_takes_it() -> None:
    seeds = [seed_for(lock) for lock in ("ab" * 32, "cd" * 32, "not hexadecimal")]
    assert len({*seeds, UNLOCKED}) == 4
    assert seed_for("ab" * 32) == seeds[0]
    assert seed_for(None) == UNLOCKED
    assert all(0 <= int(seed) < 2**32 for seed in seeds)


def test_what_a_person_sets_is_taken_in_one_form() -> None:
    assert [chosen(value) for value in (None, "", "007", "random", "-1")] == [None, None, "7", "random", "-1"]


def test_a_difference_of_seeds_is_told_with_its_fix() -> None:
    assert difference("5", "5") is None
    assert "PYTHONHASHSEED=5" in (difference("5", "6") or "")
    for stored, here in ((None, "0"), (RANDOM, "0"), (RANDOM, RANDOM)):
        assert "no fixed hash seed" in (difference(stored, here) or "")
