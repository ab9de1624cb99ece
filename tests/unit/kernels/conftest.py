"""Nothing here changes the state of the process for the tests that come after."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_kernels.session_state.probes.python import logging_setup, process


@pytest.fixture(autouse=True)
def same_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore directory, import path and random state: restoring a snapshot changes them."""
    monkeypatch.chdir(Path.cwd())
    monkeypatch.setattr(sys, "path", list(sys.path))
    # pytest has streams, a timer and a signal handler of its own.
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr", "stdin")}
    monkeypatch.setattr("respawn_kernels.host.standard_streams._own", streams)
    monkeypatch.delitem(process._NUMBERS, "SIGALRM")
    monkeypatch.setattr(process.Signals, "_TIMERS", ())
    # pytest has handlers at the root logger, and other tests leave loggers of their own.
    all_loggers = logging_setup._loggers
    others = {"", *all_loggers()}
    monkeypatch.setattr(
        logging_setup, "_loggers", lambda: {n: one for n, one in all_loggers().items() if n not in others}
    )
    # Modules of tests lie beside the notebook.
    monkeypatch.setattr("respawn_kernels.session_state.patching.helper_modules._all_states", lambda: iter(()))
    # Hypothesis has a function that measures collections; a restore would put a copy in its place.
    callbacks = list(gc.callbacks)
    state = random.getstate()
    yield
    random.setstate(state)
    gc.callbacks[:] = callbacks
