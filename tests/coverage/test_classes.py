"""What data scientists keep in variables survives: over 150 classes, through two checkpoints and back."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from support.classes.cases import Case
from support.classes.registry import CASES, LIBRARIES
from support.classes.table import COMMAND, PAGE, Outcome, journey, page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
"""All libraries are in one process, whose state is looked at a thousand times: five minutes and more."""

_MIN = 150


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    if importlib.util.find_spec("torch") is None:
        pytest.fail("torch is missing; install it: .venv/bin/pip install -r tests/coverage/requirements.txt")
    return journey(tmp_path_factory.mktemp("classes"))


def _label(case: Case) -> str:
    return f"{case.library}: {case.note or case.make.splitlines()[-1][:60]}"


@pytest.mark.parametrize("library", [library.name for library in LIBRARIES])
def test_every_class_of_a_library_comes_back_equal_and_still_shared(
    library: str, outcomes: list[Outcome]
) -> None:
    wrong = [
        f"{_label(one.case)}: {problem}"
        for one in outcomes
        if one.case.library == library
        for problem in one.problems
    ]
    assert not wrong, "\n".join(wrong)


def test_there_are_enough_classes(outcomes: list[Outcome]) -> None:
    assert len({one.type for one in outcomes if not one.case.refused and not one.problems}) >= _MIN


def test_no_class_is_declared_twice_alike() -> None:
    made = [(case.setup, case.make, case.change) for case in CASES]
    assert len(made) == len(set(made))


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the page tells of Python 3.11")
def test_the_published_page_is_what_was_found(outcomes: list[Outcome]) -> None:
    assert Path(PAGE).read_text() == page(outcomes), f"docs/reference/coverage.md is out of date: {COMMAND}"
