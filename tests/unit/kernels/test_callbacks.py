"""What functions of the notebook may change that the session's state holds."""

from __future__ import annotations

import types
from collections import namedtuple
from functools import partial
from types import FunctionType
from typing import Any

import pytest

from respawn_kernels.cell_code.callbacks import named_by_callbacks

SOURCE = """
def note(kind): seen.append(kind)
def looks(kind): globals()['seen'] = kind
class Handler:
    def emit(self, record): lines.append(record)
"""


@pytest.fixture
def made() -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(SOURCE, space)
    return space


def test_names_of_functions_are_found_in_whatever_holds_them(made: dict[str, Any]) -> None:
    note, handler = made["note"], made["Handler"]()
    option = namedtuple("option", "key, told")("digits", note)
    library = types.SimpleNamespace(filters=[types.SimpleNamespace(keep=note)])
    for value in (note, [note], {"call": (note,)}, partial(note, 1), {note: None}, option, library):
        assert "seen" in (named_by_callbacks([value]) or ())
    for value in (handler, handler.emit, made["Handler"], [{"handlers": [handler]}]):
        assert "lines" in (named_by_callbacks([value]) or ())


def test_a_function_that_may_reach_anything_names_all(made: dict[str, Any]) -> None:
    assert named_by_callbacks([made["looks"]]) is None


def test_data_and_functions_of_libraries_name_nothing() -> None:
    assert named_by_callbacks([{"precision": 3}, ["a"], FunctionType, partial, pytest.fixture]) == set()
