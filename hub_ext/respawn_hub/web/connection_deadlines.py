"""How long a connection may wait for its peer, so that nobody holds any without sending or reading.

uvicorn waits for ever within a request. Here each connection looks at itself every few seconds, and ends
where

    the head of a request       is not whole within `HEAD_SECONDS`
    the body of a request       brings fewer than `BODY_BYTES` in `BODY_SECONDS`
    an answer                   is not taken on by the peer for `ANSWER_SECONDS`

What the service itself keeps waiting does not count: a body that nobody reads yet, an answer that is not
written yet, a live page in which nothing happens.

Between two requests a connection may rest for `REST_SECONDS`. The hub's proxy keeps connections without a
limit of its own, and answers 503 where one is closed while its next request is under way. So the service is
in no hurry to close them, as JupyterHub's own servers are not (Tornado's `idle_connection_timeout`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, Literal

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from respawn_kernels.counting import how_many

logger = logging.getLogger(__name__)
REST_SECONDS = 3600
_TOO_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)


def server_config(
    app: Any, *, lifespan: Literal["auto", "on", "off"] = "auto", **more: Any
) -> uvicorn.Config:
    """Return how an application of ours is served: with deadlines, without a log of its own.

    Args:
        app: the application.
        lifespan: whether it gets the server's start and stop (ASGI's lifespan protocol).
        more: further settings of uvicorn.
    """
    return uvicorn.Config(
        app,
        http=ConnectionDeadlines,
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        timeout_keep_alive=REST_SECONDS,
        # Live pages hold their connections open; they are not waited for.
        timeout_graceful_shutdown=2,
        **more,
    )


class ConnectionDeadlines(H11Protocol):
    """uvicorn's protocol, which ends when its peer lets it wait."""

    HEAD_SECONDS: ClassVar[float] = 15.0
    BODY_SECONDS: ClassVar[float] = 30.0
    BODY_BYTES: ClassVar[int] = 10_000
    ANSWER_SECONDS: ClassVar[float] = 60.0
    LOOK_SECONDS: ClassVar[float] = 5.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._look: asyncio.TimerHandle | None = None
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._body_bytes = 0
        self._unsent = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note what came, and whether something is still awaited."""
        super().data_received(data)
        now, awaited = self.loop.time(), self.conn.their_state
        if awaited is h11.IDLE:
            self._head_since = self._head_since or now
        else:
            self._head_since = None
        if awaited is not h11.SEND_BODY:
            self._body_since = None
        elif self._body_since is None or self.flow.read_paused:
            self._body_since, self._body_bytes = now, 0
        else:
            self._body_bytes += len(data)

    def on_response_complete(self) -> None:
        """Let the time between two requests be uvicorn's to bound."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._head_since = None

    def _look_later(self) -> None:
        self._look = self.loop.call_later(self.LOOK_SECONDS, self._look_now)

    def _look_now(self) -> None:
        reason = self._overdue(self.loop.time())
        if reason is None:
            self._look_later()
            return
        logger.info("a connection from %s ends: %s", self.client[0] if self.client else "somebody", reason)
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if begun or self.transport.get_write_buffer_size():
            self.transport.abort()  # not closed in order: that would wait for the peer once more
            return
        text = f"Too slow: {reason}.\n".encode()
        self.transport.write(_TOO_LATE % (len(text), text))
        self.transport.close()
        self._look_later()  # in case not even this is taken

    def _overdue(self, now: float) -> str | None:
        """Return what the peer let wait for too long; None for nothing."""
        if self._head_since is not None and now - self._head_since > self.HEAD_SECONDS:
            return f"it sent no whole request within {self.HEAD_SECONDS:g} s"
        if self._slow_body(now):
            least = how_many(self.BODY_BYTES, "byte")
            return f"it sent fewer than {least} of a request in {self.BODY_SECONDS:g} s"
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent or self._unsent == 0:
            self._unsent_since = now
        self._unsent = unsent
        if now - self._unsent_since > self.ANSWER_SECONDS and unsent:
            return f"it read nothing of an answer for {self.ANSWER_SECONDS:g} s"
        return None

    def _slow_body(self, now: float) -> bool:
        if self._body_since is None:
            return False
        if self.flow.read_paused or self.conn.they_are_waiting_for_100_continue:
            self._body_since, self._body_bytes = now, 0  # it is the service that lets it wait
            return False
        if now - self._body_since <= self.BODY_SECONDS:
            return False
        slow = self._body_bytes < self.BODY_BYTES
        self._body_since, self._body_bytes = now, 0
        return slow
