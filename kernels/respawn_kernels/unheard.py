"""Requests of ours that put nothing out, while threads of the notebook do.

ipykernel gives what is put out to the request that is executed. The client takes what comes under a request
of ours for a thread's, and gives it to the cell before. But what our own code prints meanwhile, or a class of
the notebook that it pickles, is no cell's output in a run without us: it gets no request at all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import getattr_static
from typing import Any

from respawn_kernels.names import live_shell


@contextmanager
def unheard() -> Iterator[None]:
    """Let nobody hear what this thread puts out; other threads are heard."""
    shell = live_shell()
    sources = (
        sys.stdout,
        sys.stderr,
        getattr(shell, "display_pub", None),
        getattr(shell, "displayhook", None),
    )
    # Each holds the header of the request for each context; the notebook may have put others in their place.
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
