"""The state of a session besides its variables; libraries that are not loaded are passed over."""

from __future__ import annotations

import abc
import copyreg
import csv
import decimal
import hashlib
import locale
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def probes() -> dict[str, Callable[[], Any]]:
    """Return what tells each part of the session's state, by its name."""
    found: dict[str, Callable[[], Any]] = {
        "random": lambda: _short(random.getstate()),
        "decimal": lambda: repr(decimal.getcontext()),
        "recursion limit": sys.getrecursionlimit,
        "cwd": lambda: Path.cwd().name,
        "environment": _environment,
        "sys.path": lambda: [Path(one).name for one in sys.path],
        "warnings": lambda: [(f[0], str(f[1]), f[2].__name__, str(f[3]), f[4]) for f in warnings.filters],
        "locale": lambda: locale.setlocale(locale.LC_ALL),
        "time zone": lambda: time.tzname,
        "umask": _umask,
        "signals": _signals,
        "socket timeout": socket.getdefaulttimeout,
        "tempdir": lambda: tempfile.tempdir is not None and Path(tempfile.tempdir).name,
        "csv": lambda: sorted(csv.list_dialects()),
        "copyreg": lambda: sorted(
            k.__qualname__ for k in copyreg.dispatch_table if k.__module__ == "__main__"
        ),
        "switch interval": sys.getswitchinterval,
        "logging": _loggers,
        "threads": lambda: sorted(t.name for t in threading.enumerate() if t.name.startswith("story")),
        "stack size": threading.stack_size,
        "int digits": lambda: sys.get_int_max_str_digits(),
        "abc": lambda: abc.get_cache_token() is not None,
    }
    for library, more in _OF_LIBRARIES.items():
        if library in sys.modules:
            found |= {
                name: (lambda look=look, module=sys.modules[library]: look(module))
                for name, look in more.items()
            }
    return found


def _short(state: Any) -> str:
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def _environment() -> Any:
    ours = (
        "JPY_",
        "RESPAWN_",
        "TRUTH_",
        "PYTHONHASHSEED",
        "_",
        "PAPERMILL",
        "MPLBACKEND",
        "IPYTHONDIR",
        "XDG_CACHE",
    )
    return sorted((k, v) for k, v in os.environ.items() if not k.startswith(ours))


def _umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


def _signals() -> Any:
    names = ("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTERM", "SIGHUP", "SIGPIPE")
    return [(name, getattr(h := signal.getsignal(getattr(signal, name)), "__name__", h)) for name in names]


def _loggers() -> Any:
    found = [("root", logging.root.level, [type(h).__name__ for h in logging.root.handlers])]
    for name, one in sorted(logging.root.manager.loggerDict.items()):
        if isinstance(one, logging.Logger) and name.startswith("story"):
            handlers = [(type(h).__name__, h.level) for h in one.handlers]
            told = (one.level, [*handlers, one.propagate, one.disabled])
            # Asking for a logger makes it: one as it was made is none.
            found += [(name, *told)] if told != (0, [True, False]) else []
    return [*found, logging.root.manager.disable]


def _numpy_random(np: Any) -> Any:
    state = np.random.get_state(legacy=False)
    inside = {
        key: getattr(value, "tolist", lambda value=value: value)() for key, value in state["state"].items()
    }
    return state["bit_generator"], _short(inside), state.get("has_gauss"), state.get("gauss")


def _options(pd: Any) -> Any:
    flat: list[Any] = []

    def walk(node: Any, path: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{path}{key}.")
            else:
                flat.append((path + key, str(value)))

    walk(pd._config.config._global_config, "")
    return flat


def _figures(plt: Any) -> Any:
    figures = [manager.canvas.figure for manager in plt._pylab_helpers.Gcf.figs.values()]
    return [(f.number, [(len(a.lines), len(a.patches), a.get_title()) for a in f.axes]) for f in figures]


_OF_LIBRARIES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "numpy": {
        "numpy.random": _numpy_random,
        "numpy errors": lambda np: np.geterr(),
        "numpy print": lambda np: sorted(np.get_printoptions().items(), key=str),
    },
    "pandas": {"pandas options": _options},
    "polars": {"polars config": lambda pl: sorted(pl.Config.state().items(), key=str)},
    "matplotlib": {
        "rcParams": lambda mpl: sorted((k, str(v)) for k, v in mpl.rcParams.items() if k != "backend")
    },
    "matplotlib.pyplot": {"figures": _figures},
    "sklearn": {"sklearn config": lambda sk: sorted(sk.get_config().items(), key=str)},
    "torch": {"torch.random": lambda torch: _short(torch.get_rng_state().tolist())},
}
