"""Answers of any size, passed on in pieces of a few MiB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

from fastapi.responses import StreamingResponse

BYTES = "application/octet-stream"
NOTEBOOK = "application/x-ipynb+json"


async def streamed(
    open_pieces: Callable[[], Iterator[bytes]],
    in_thread: Callable[..., Awaitable[Any]],
    media_type: str = BYTES,
) -> StreamingResponse:
    """Return an answer whose pieces are read as they are sent.

    Args:
        open_pieces: checks access and returns the pieces. What it raises, and what reading the first piece
            raises, is the answer; what comes later breaks the connection, so nobody takes a part for all.
        in_thread: does blocking work in a thread, such as `run_in_threadpool`.
        media_type: what the pieces are.
    """
    pieces = await in_thread(open_pieces)
    first = await in_thread(next, pieces, None)

    async def sent() -> AsyncIterator[bytes]:
        piece = first
        while piece is not None:
            yield piece
            piece = await in_thread(next, pieces, None)

    return StreamingResponse(sent(), media_type=media_type)


def attachment(name: str) -> dict[str, str]:
    """Return the header that makes a browser save an answer as a file of this name."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    quoted = quote(name, safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}"}
