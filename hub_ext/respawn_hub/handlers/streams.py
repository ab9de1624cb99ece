"""Answers of any size, passed on in pieces of a few MB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from fastapi.responses import StreamingResponse

BYTES = "application/octet-stream"


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
