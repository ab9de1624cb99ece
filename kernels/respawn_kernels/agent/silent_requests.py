"""Requests of ours that have no output, while threads of the notebook have.

ipykernel sends output with the header of the request that is executed. The client takes output of a request
of ours for that of a thread, and adds it to the cell before. But what our own code prints meanwhile, or a
class of the notebook that it pickles, is no cell's output in a run without us: it gets no header at all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import getattr_static
from typing import Any

from respawn_kernels.namespace import live_shell


@contextmanager
def unheard() -> Iterator[None]:
    """Send output of this thread without the header of a request; that of other threads has it."""
    shell = live_shell()
    sources = (
        sys.stdout,
        sys.stderr,
        getattr(shell, "display_pub", None),
        getattr(shell, "displayhook", None),
    )
    # Each has the header of the request by context (PEP 567); the notebook may have put others in their
    # place.
    headers: list[ContextVar[dict[str, Any]]] = [
        header
        for source in sources
        if isinstance(header := getattr_static(source, "_parent_header", None), ContextVar)
    ]
    tokens = [(header, header.set({})) for header in headers]
    try:
        yield
    finally:
        for header, token in tokens:
            header.reset(token)
