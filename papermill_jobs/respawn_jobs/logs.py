"""Logs of the service and of its runners: text or JSON, each line with what it is about, without secrets.

Lines carry the fields `run`, `attempt`, `job` and `replica`, where they are known: from `about`, which holds
for what the block does in its thread or task; from `always`, which holds for the process; or from the ids
that the message itself names.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal, TextIO

from respawn_jobs.redact import redact

Format = Literal["text", "json"]
FIELDS = ("run", "attempt", "job", "replica")
_IDS = {"run": re.compile(r"\brun-[0-9a-z]{10}\b"), "attempt": re.compile(r"\batt-[0-9a-z]{10}\b")}
_NOISY = {"httpx": logging.WARNING}
"""Loggers that tell each request."""
_about: ContextVar[Mapping[str, str]] = ContextVar("respawn_about", default=MappingProxyType({}))
_of_process: dict[str, str] = {}


@contextmanager
def about(**fields: str | None) -> Iterator[None]:
    """Say what the lines of this block, in this thread or task, are about: `run`, `attempt`, `job`."""
    given = {name: value for name, value in fields.items() if value}
    token = _about.set({**_about.get(), **given})
    try:
        yield
    finally:
        _about.reset(token)


def always(**fields: str) -> None:
    """Say what all lines of this process are about from now on, in every thread."""
    _of_process.update(fields)


def configure(form: str = "text", *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the process's logs to a stream; replaces what was set.

    Args:
        form: `text` or `json`. Any other is taken for text, and a warning says so: a runner must not fail
            over it.
        level: the least level that is logged, as `logging` numbers them.
        stream: where the lines go; None for stderr.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(Fields())
    handler.setFormatter(_json_formatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for other in root.handlers[:]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level)
    for name, least in _NOISY.items():
        logging.getLogger(name).setLevel(least)
    if form not in ("text", "json"):
        logging.getLogger(__name__).warning("RESPAWN_LOG_FORMAT is text or json, not %r: text is used", form)


class Fields(logging.Filter):
    """Gives each record what it is about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields that are known; never drops a record."""
        known = {**_of_process, **_about.get()}
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, known.get(name) or _named(name, record))
        return True


def _named(field: str, record: logging.LogRecord) -> str | None:
    """Return the run or attempt that a message names, when it names one alone."""
    if field not in _IDS:
        return None
    try:
        found = set(_IDS[field].findall(record.getMessage()))
    except (TypeError, ValueError):  # arguments that do not fit the message: the formatter tells
        return None
    return found.pop() if len(found) == 1 else None


class TextFormatter(logging.Formatter):
    """Lines for people; what a line is about stands before the message, unless the message names it."""

    def __init__(self) -> None:
        super().__init__("[%(levelname).1s %(asctime)s %(name)s] %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without a traceback."""
        known = [str(getattr(record, name, None) or "") for name in FIELDS]
        fields = " ".join(value for value in known if value and value not in record.message)
        if fields:
            record.message = f"({fields}) {record.message}"
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole entry, without secrets."""
        return redact(super().format(record))


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    class RedactedJson(JsonFormatter):
        """One JSON object a line, without secrets."""

        def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
            """Drop what is not known, and take secrets out of what is."""
            return {
                name: redact(value) if isinstance(value, str) else value
                for name, value in log_data.items()
                if value is not None
            }

    return RedactedJson(
        "%(levelname)s %(name)s %(message)s %(run)s %(attempt)s %(job)s %(replica)s",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
    )
