"""What was set up with `logging`: levels, handlers, filters, of every logger that has some."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Hashable, Iterable
from typing import Any

from respawn_kernels.session_state.probe.interface import Parts

_OWN = {"IPKernelApp", "tornado", "traitlets", "asyncio", "respawn"}
"""Loggers of the kernel's own."""


class Logging:
    """Loggers, each by its name (the root logger by none), and what holds for all of them.

    Handlers are stored as objects, so that one which is a variable too stays the same.
    """

    name = "#logging"
    before_fork = False

    def __init__(self) -> None:
        self._start = {name: _settings(logger) for name, logger in _loggers().items()}
        self._global = _for_all()
        self._restored: list[weakref.ref[logging.Handler]] = []

    def fingerprint(self) -> Hashable:
        """Return what differs from a new logger, with the handlers' addresses."""
        found: list[Hashable] = []
        for name, logger in _loggers().items():
            plain = logger.propagate and type(logger) is logging.Logger
            if logger.level or logger.handlers or logger.filters or logger.disabled or not plain:
                if _settings(logger) == self._start.get(name):
                    continue
                handlers = tuple((id(one), one.level, id(one.formatter)) for one in logger.handlers)
                mark = logger.level, logger.disabled, logger.propagate, id(type(logger)), handlers
                found.append((name, *mark, *map(id, logger.filters)))
        return tuple(found), repr(_for_all())

    def capture(self) -> Parts | None:
        """Return what was set, logger by logger."""
        found = Parts()
        for name, logger in _loggers().items():
            settings = _settings(logger)
            if settings != self._start.get(name, _NEW) and name.partition(".")[0] not in _OWN:
                found[name or "root"] = settings
        if (now := _for_all()) != self._global:
            found["*"] = now
        return found or None

    def restore(self, value: dict[str, Any], shell: Any | None) -> None:
        """Set it; loggers that nobody has asked for yet are made."""
        if "*" in value:  # first, for it holds the class of loggers that are made
            _set_for_all(value["*"])
        for name, settings in value.items():
            if name == "*":
                continue
            logger = logging.getLogger("" if name == "root" else name)
            logger.__class__ = settings.get("class", type(logger))
            logger.setLevel(settings["level"])
            logger.propagate, logger.disabled = settings["propagate"], settings["disabled"]
            self._replace(logger, settings["handlers"])
            logger.filters[:] = settings["filters"]
            _cached(logger).update(settings.get("answers", {}))

    def _replace(self, logger: logging.Logger, handlers: list[logging.Handler]) -> None:
        """Give a logger its handlers; files of those that an earlier restore gave it are closed.

        Nobody else would: what a second restore drops would warn of its open file, and a notebook that
        records warnings would have one more.
        """
        earlier = [one for ref in self._restored if (one := ref()) is not None]
        gone = [one for one in logger.handlers if _is_one_of(one, earlier) and not _is_one_of(one, handlers)]
        logger.handlers[:] = handlers
        self._restored = [weakref.ref(one) for one in (*earlier, *handlers)]
        for handler in gone:
            if isinstance(handler, logging.FileHandler):
                handler.close()


_NEW: dict[str, Any] = {
    "level": logging.NOTSET,
    "propagate": True,
    "disabled": False,
    "handlers": [],
    "filters": [],
    "class": logging.Logger,
}


def _settings(logger: logging.Logger) -> dict[str, Any]:
    return {
        "level": logger.level,
        "propagate": logger.propagate,
        "disabled": logger.disabled,
        "handlers": list(logger.handlers),
        "filters": list(logger.filters),
        "class": type(logger),
        **({"answers": stale} if (stale := _stale(logger)) else {}),
    }


def _is_one_of(handler: object, handlers: Iterable[object]) -> bool:
    return any(handler is one for one in handlers)


def _cached(logger: logging.Logger) -> dict[int, bool]:
    """Return which levels a logger has answered to be enabled or not; `setLevel` makes it forget."""
    return getattr(logger, "_cache", {})


def _stale(logger: logging.Logger) -> dict[int, bool]:
    """Return the answers that it would not give now: its level was set without `setLevel`."""
    least = max(logger.getEffectiveLevel(), logger.manager.disable + 1)
    return {level: answer for level, answer in list(_cached(logger).items()) if answer != (level >= least)}


def _loggers() -> dict[str, logging.Logger]:
    known = list(logging.Logger.manager.loggerDict.items())
    return {"": logging.root, **{name: one for name, one in known if isinstance(one, logging.Logger)}}


def _for_all() -> dict[str, Any]:
    return {
        "disable": logging.Logger.manager.disable,
        "levels": dict(logging._levelToName),
        "raise": logging.raiseExceptions,
        "warnings": warnings.showwarning is logging._showwarning,  # type: ignore[attr-defined]
        "last": logging.lastResort and (logging.lastResort.level, logging.lastResort.formatter),
        "class": logging.getLoggerClass(),
        "factory": logging.getLogRecordFactory(),
    }


def _set_for_all(settings: dict[str, Any]) -> None:
    logging.disable(settings["disable"])
    for level, name in settings["levels"].items():
        if logging._levelToName.get(level) != name:
            logging.addLevelName(level, name)
    logging.raiseExceptions = settings["raise"]
    logging.captureWarnings(settings["warnings"])
    if settings["last"] is None:
        logging.lastResort = None
    elif logging.lastResort is not None:
        logging.lastResort.level, logging.lastResort.formatter = settings["last"]
    if settings["class"] is not logging.getLoggerClass():
        logging.setLoggerClass(settings["class"])
    logging.setLogRecordFactory(settings["factory"])
