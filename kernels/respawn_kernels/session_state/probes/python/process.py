"""What the process has besides its memory: directory, environment, limits, signals, locale and time zone."""

from __future__ import annotations

import locale
import os
import resource
import signal
import time
from collections.abc import Hashable
from typing import Any

from respawn_kernels.host.directory import working_directory
from respawn_kernels.secret_patterns import looks_secret
from respawn_kernels.session_start import at_session_start
from respawn_kernels.session_state.probe.initial_settings import SettingsProbe
from respawn_kernels.session_state.probe.interface import Lost, Marks, Parts

_SECRET = Lost("it looks like a secret, and checkpoints keep no secrets", "environment variable")
_environment_before: dict[str, str] = {}
_LIMITS = [name for name in dir(resource) if name.startswith("RLIMIT_")]


@at_session_start
def _note_environment() -> None:
    _environment_before.clear()
    _environment_before.update(os.environ)


class WorkingDirectory:
    """The working directory. Only its change is seen here: it is a field of the manifest, and no value."""

    name = "#cwd"
    first = True

    def fingerprint(self) -> Hashable:
        """Return the directory."""
        return working_directory()

    def capture(self) -> None:
        """Return nothing: see the class."""

    def restore(self, value: Any, shell: Any | None) -> None:
        """Do nothing: see the class."""


class Environment:
    """The environment variables that changed since the kernel began.

    Never the whole environment: a platform gives its secrets to a kernel by it. What looks like a secret is
    never kept either, for checkpoints are not encrypted: it is named, and its cell makes it again.
    """

    name = "#env"
    first = True

    def fingerprint(self) -> Hashable:
        """Return a hash of each variable, None for those that are gone."""
        marks: dict[str, Hashable] = {name: hash(value) for name, value in os.environ.items()}
        return Marks((dict.fromkeys(_environment_before) | marks).items())

    def capture(self) -> Parts | None:
        """Return the variables, None for those that are gone, and `Lost` for what looks like a secret."""
        changed = Parts(
            {
                name: _SECRET if looks_secret(name, value) else value
                for name, value in os.environ.items()
                if _environment_before.get(name) != value
            }
        )
        changed |= {name: None for name in _environment_before if name not in os.environ}
        return changed or None

    def restore(self, value: dict[str, str | None], shell: Any | None) -> None:
        """Set and remove them."""
        for name, text in value.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


class TimeZone:
    """The time zone of the C library. `TZ` is an environment variable, and counts after tzset(3)."""

    name = "#timezone"
    first = True

    def __init__(self) -> None:
        self._start = _zone()

    def fingerprint(self) -> Hashable:
        """Return its names and distances."""
        return _zone()

    def capture(self) -> tuple[Any, ...] | None:
        """Return them, if they changed."""
        now = _zone()
        return None if now == self._start else now

    def restore(self, value: tuple[Any, ...], shell: Any | None) -> None:
        """Have C read `TZ`, which was set before. Raises ValueError when that gives another zone."""
        if _zone() != value:
            time.tzset()
        if _zone() != value:
            raise ValueError(f"TZ={os.environ.get('TZ')!r} is {time.tzname} here, and was {value[0]}")


def _zone() -> tuple[Any, ...]:
    return time.tzname, time.timezone, time.altzone


def locales() -> SettingsProbe:
    """Return the probe of the locale, by category."""
    categories = {name: getattr(locale, name) for name in dir(locale) if name.startswith("LC_")}
    del categories["LC_ALL"]
    return SettingsProbe(
        "#locale",
        lambda: {name: locale.setlocale(number) for name, number in categories.items()},
        lambda name, value: _ignore(locale.setlocale(categories[name], value)),
    )


def limits() -> SettingsProbe:
    """Return the probe of the limits that the system sets to the process."""
    return SettingsProbe(
        "#limits",
        lambda: {name: resource.getrlimit(getattr(resource, name)) for name in _LIMITS},
        lambda name, value: resource.setrlimit(getattr(resource, name), value),
    )


def scheduling() -> SettingsProbe:
    """Return the probe of the priority of the process and the processors that it may use."""
    return SettingsProbe(
        "#scheduling",
        lambda: {"priority": os.getpriority(os.PRIO_PROCESS, 0), "processors": _processors()},
        _schedule,
    )


def _processors() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _schedule(name: str, value: Any) -> None:
    if name == "priority":
        os.setpriority(os.PRIO_PROCESS, 0, value)
    else:
        os.sched_setaffinity(0, value)


def sockets() -> SettingsProbe:
    """Return the probe of how long sockets wait."""
    import socket

    return SettingsProbe(
        "#sockets",
        lambda: {"timeout": socket.getdefaulttimeout()},
        lambda _, value: socket.setdefaulttimeout(value),
    )


_OF_KERNEL = "SIGINT"
"""ipykernel sets the handler of this signal for the time of each cell."""


class Signals:
    """The handlers of signals, and the timers that send some."""

    name = "#signals"
    _TIMERS = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")

    def __init__(self) -> None:
        self._start = _handlers()

    def fingerprint(self) -> Hashable:
        """Return which handlers they are, and which timers run."""
        return tuple(id(handler) for name, handler in _handlers().items() if name != _OF_KERNEL), (
            *self._running(),
        )

    def capture(self) -> Parts | None:
        """Return the handlers that changed; a timer that runs is lost."""
        found = Parts(
            {
                name: handler
                for name, handler in _handlers().items()
                if handler != self._start[name] and name != _OF_KERNEL and handler is not None
            }
        )
        for name in self._running():
            found[name] = Lost("a timer was running; start it again where it is needed", "timer")
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set the handlers."""
        for name, handler in value.items():
            signal.signal(getattr(signal, name), handler)

    def _running(self) -> list[str]:
        return [n for n in self._TIMERS if signal.getitimer(getattr(signal, n)) != (0.0, 0.0)]


def blocked_signals() -> SettingsProbe:
    """Return the probe of the signals that wait until the notebook lets them through."""
    return SettingsProbe(
        "#blocked",
        lambda: {"signals": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())))},
        lambda _, value: _ignore(signal.pthread_sigmask(signal.SIG_SETMASK, value)),
    )


_NUMBERS = {number.name: int(number) for number in signal.Signals if number.name[:5] != "SIGRT"}
_getsignal: Any = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
"""Without the conversion to an enumeration, which takes longer than all the rest."""


def _handlers() -> dict[str, Any]:
    """Return a function, a number (default, ignored) or None (set by C) for each signal."""
    return {name: _getsignal(number) for name, number in _NUMBERS.items()}


def _ignore(_: object) -> None: ...
