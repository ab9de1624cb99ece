"""What a session's state is besides its variables goes from one session to the next, piece by piece."""

from __future__ import annotations

import os
import pickle
import random
import sys
import warnings
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from respawn_kernels.session_state import CATALOGUE, Lost, capture, restore
from respawn_kernels.session_state.registry import own


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    environment, state = dict(os.environ), np.random.get_state()
    with warnings.catch_warnings(), mpl.rc_context():
        yield
    os.environ.clear()
    os.environ.update(environment)
    np.random.set_state(state)
    pd.reset_option("display.max_rows")


def moved(*names: str) -> dict[str, object]:
    captured = capture()
    return pickle.loads(pickle.dumps({name: captured[name] for name in names}))


def test_random_generators_go_on_where_they_stopped() -> None:
    stored = moved("#random", "#numpy.random")
    drawn = random.random(), np.random.random()
    assert restore(stored) == {}
    assert (random.random(), np.random.random()) == drawn


def test_options_that_differ_from_the_defaults_come_back() -> None:
    pd.set_option("display.max_rows", 7)
    mpl.rcParams["figure.dpi"] = 33
    stored = moved("#pandas", "#matplotlib")
    assert stored["#pandas"] == {"display.max_rows": 7}
    pd.reset_option("display.max_rows")
    mpl.rcParams["figure.dpi"] = 100
    assert restore(stored) == {}
    assert (pd.get_option("display.max_rows"), mpl.rcParams["figure.dpi"]) == (7, 33)


def test_only_what_changed_in_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW", "1")
    before = {**os.environ, "GONE": "x"}
    monkeypatch.setattr("respawn_kernels.session_state.probes.python.process._environment_before", before)
    monkeypatch.setenv("CHANGED", "2")
    stored = {name: value for name, value in capture().items() if name.startswith("#env")}
    assert stored == {"#env:CHANGED": "2", "#env:GONE": None}
    monkeypatch.delenv("CHANGED")
    monkeypatch.setenv("GONE", "again")
    restore(stored)
    assert os.environ["CHANGED"] == "2"
    assert "GONE" not in os.environ


def test_a_secret_in_the_environment_is_named_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SMTP_PASSWORD": "correct-horse",
        "DATABASE_URL": "postgresql://ada:horse@db",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STAGE", "test")
    stored = capture()
    assert isinstance(stored["#env:SMTP_PASSWORD"], Lost)
    assert isinstance(stored["#env:DATABASE_URL"], Lost)
    assert stored["#env:STAGE"] == "test"
    assert b"horse" not in pickle.dumps({name: one for name, one in stored.items() if name[:4] == "#env"})


def test_warnings_filters_come_back() -> None:
    warnings.simplefilter("error")
    stored = moved("#warnings:filters")
    warnings.simplefilter("ignore")
    restore(stored)
    with pytest.raises(UserWarning):
        warnings.warn("x", UserWarning, stacklevel=1)


def test_one_that_cannot_be_set_harms_no_other() -> None:
    stored = moved("#numpy.random") | {"#pandas": {"no.such.option": 1}, "#of the future": 1}
    random.seed(1)
    failed = restore({**stored, "#random": random.Random(5).getstate()})
    assert list(failed) == ["#of the future", "#pandas"]
    assert "no.such.option" in failed["#pandas"]
    assert random.random() == random.Random(5).random()


def test_the_catalogue_has_every_part_that_is_looked_at_and_no_other() -> None:
    """Plans are made from it, and load no probe."""
    assert CATALOGUE.keys() == {probe.name for probe in own()}


@pytest.fixture
def no_error() -> Iterator[None]:
    names = ("last_type", "last_value", "last_traceback", "last_exc")
    before = {name: vars(sys)[name] for name in names if name in vars(sys)}
    for name in before:
        delattr(sys, name)
    yield
    for name in names:
        vars(sys).pop(name, None)
    vars(sys).update(before)


def test_the_last_error_comes_back_and_none_stays_none(no_error: None) -> None:
    assert "#error" not in capture()
    error = LookupError("row 7")
    sys.last_value, sys.last_type, sys.last_traceback = error, LookupError, None
    stored = moved("#error")
    del sys.last_value, sys.last_type, sys.last_traceback
    assert restore(stored) == {}
    assert (repr(sys.last_value), sys.last_type, sys.last_traceback) == (repr(error), LookupError, None)
