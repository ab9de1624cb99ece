"""Hooks that fail a test which binds a socket or starts a server or a kernel: tests/unit has them.

They hear the audit events of this process, in all of its threads. They do not hear what a child process does,
such as `respawn run`, nor sockets that a C library opens by itself.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

import pytest

PROBES = {"kept_port", "free_port", "_has_ipv6"}
"""Functions that bind a socket to see whether they can, and close it: of the product, the tests, urllib3."""

SERVERS = re.compile(
    r"respawn_hub|respawn_hub\.(embedded|runners)\b.*|respawn_jobs\.runner\b.*"
    r"|(ipykernel|jupyter|papermill|uvicorn|http\.server).*"
    r"|initdb|postgres|s3-server|radosgw|configurable-http-proxy|chrom(e|ium).*"
)
"""Programs and modules (`python -m …`) that are a server or a kernel, or start one."""

_started: list[str] | None = None
"""What the test that runs has started; None while nobody wants to know."""


def _listens(listener: socket.socket, address: object) -> str | None:
    caller = sys._getframe(2).f_code.co_name
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or caller in PROBES:
        return None
    return f"binds a socket to {address}"


def _starts(_executable: object, words: Sequence[Any], *_: object) -> str | None:
    command = [os.fsdecode(word) for word in words]
    program = PurePath(command[0] if command else "")
    module = command[command.index("-m") + 1] if "-m" in command[:-1] else ""
    known = SERVERS.fullmatch(program.name) or SERVERS.fullmatch(module) or "playwright" in program.parts
    return f"starts {' '.join(command)[:200]}" if known else None


_WATCHED: dict[str, Callable[..., str | None]] = {"socket.bind": _listens, "subprocess.Popen": _starts}


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _started is not None and event in _WATCHED:
        found = _WATCHED[event](*arguments)
        if found:
            _started.append(found)


sys.addaudithook(_hear)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Listen from before the test's first fixture, whatever its scope is."""
    global _started
    # Whoever asks for another database starts its server: see `support.ledgers.database_kind`.
    _started = [] if os.environ.get("RESPAWN_TEST_DATABASE", "sqlite") == "sqlite" else None
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Fail the test at its end: an error where something starts could be caught, or be lost in a thread.

    What fixtures do as they end is not heard: those of the session may be of tests/integration.
    """
    global _started
    started, _started = _started, None
    result = yield
    if started:
        pytest.fail(
            f"{item.nodeid} {', '.join(dict.fromkeys(started))}. "
            "Tests that start a server or a kernel belong in tests/integration: see docs/development.md.",
            pytrace=False,
        )
    return result
