"""Which numbers of a library are counters, and how they are set."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from respawn_jobs.model.hidden_state import matters
from respawn_kernels.session_state import fingerprints, patching
from respawn_kernels.session_state.patching import module_origin
from respawn_kernels.session_state.patching.iterator_counts import number_of
from respawn_kernels.session_state.probes.python.counters import Counters

NAME = "counting_library"
SOURCE = """
import itertools
from functools import partial
_id, _stage, _open, _stamp, _pid, LIMIT = 0, 0, 0, 0, 0, 5
names, drawn, called = itertools.count(3), itertools.count().__next__, partial(next, itertools.count())
halves = itertools.count(0.5)
class Handle:
    next_id = 0
    def __init__(self):
        self.id = Handle.next_id
        Handle.next_id += 1
def give():
    global _id, _pid
    _id += 1
    _pid += 1
    return _id
def begin():
    global _stage, _stamp
    _stage = 2
    _stamp += 20_000_000
def opened():
    global _open
    _open += 1
def closed():
    global _open
    _open -= 1
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that counts, as its import leaves it, and that looks installed."""
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module_origin, "_INSTALLED", (*module_origin._INSTALLED, str(tmp_path)))
    yield imported()
    sys.modules.pop(NAME, None)
    patching.baseline.modules.pop(NAME, None)


def imported() -> Any:
    sys.modules.pop(NAME, None)
    module = importlib.import_module(NAME)
    patching.baseline.note(module)
    return module


def used(library: ModuleType) -> None:
    library.give(), library.begin(), library.opened(), library.Handle(), library.Handle()
    next(library.names), library.drawn(), library.called(), next(library.halves)
    library.LIMIT = 9


def of_library(captured: Any) -> dict[str, int]:
    return {".".join(filter(None, place[1:])): n for place, n in captured.items() if place[0] == NAME}


def test_what_the_library_adds_to_is_a_counter_and_nothing_else(library: Any) -> None:
    assert of_library(Counters().capture() or {}) == {}
    used(library)
    assert of_library(Counters().capture()) == {
        **{"_id": 1, "Handle.next_id": 2, "names": 4, "drawn": 1, "called": 1}
    }


def test_a_counter_that_grows_is_no_change_of_the_session(library: Any) -> None:
    before = fingerprints()["#counters"]
    used(library)
    assert fingerprints()["#counters"] == before
    assert not matters("#counters", ["bokeh", "threading"])


def test_counters_go_on_and_never_back(library: Any) -> None:
    used(library)
    captured = Counters().capture()
    fresh = imported()
    held = fresh.names
    for _ in range(5):
        fresh.give()
    Counters().restore(captured, None)
    assert (fresh._id, fresh.Handle().id, fresh.drawn(), fresh.called()) == (5, 2, 1, 1)
    assert next(held) == 4
    assert (fresh._stage, fresh._open) == (0, 0)


def test_a_module_that_comes_later_gets_its_counters_then(library: Any) -> None:
    used(library)
    captured = {place: n for place, n in Counters().capture().items() if place[0] == NAME}
    del sys.modules[NAME]
    probe = Counters()
    probe.restore(captured, None)
    assert of_library(probe.capture()) == of_library(captured)
    fresh = imported()
    probe.import_ended(local=False)
    assert fresh.Handle().id == 2
    patching.baseline.listeners.remove(probe)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (itertools.count(4), 4),
        (itertools.count(4).__next__, 4),
        (partial(next, itertools.count(4)), 4),
        (itertools.count(4, 2), None),
        (itertools.count(-1), None),
        (iter([4]).__next__, None),
        (partial(next, iter([4])), None),
        (4, None),
    ],
)
def test_how_far_a_count_is(value: Any, number: int | None) -> None:
    assert number_of(value) == number
