"""Pickling the variables of a group into one stream, with their large buffers beside it."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from respawn_kernels.chunks import CHUNK, BlobWriter, Draft, DraftPiece
from respawn_kernels.manifest import Frame
from respawn_kernels.patience import Patience, TookTooLong
from respawn_kernels.pickling import PREAMBLE, NamespacePickler, reason

OUT_OF_BAND = 64 * 1024
"""Buffers of at least this many bytes leave the stream."""


class CannotPickle(Exception):
    """A control signal: which variable stopped its stream, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name)
        self.name = name
        self.why = why


@dataclass
class Stream:
    """What pickling some variables together gave."""

    frames: list[Frame]
    pieces: list[DraftPiece]
    """Chunks that were written because the stream is long."""
    tail: bytes
    """The bytes after them."""
    buffers: list[pickle.PickleBuffer]
    reads: set[str]
    required: set[str]
    by_value: set[int]
    ranges: list[tuple[int, int]]
    """Where the memory of its buffers begins and ends."""
    memo: Mapping[int, tuple[int, Any]] = field(default_factory=dict)

    def draft(self, writer: BlobWriter) -> Draft:
        """Write what is not written yet."""
        if not self.pieces:
            return writer.small(self.tail)
        return Draft([*self.pieces, writer.chunk(self.tail)] if self.tail else self.pieces)


class _Sink:
    """A file for the pickler: memory, and chunks in the spool when there is more than a chunk of it."""

    def __init__(self, writer: BlobWriter) -> None:
        self._writer = writer
        self.begin()

    def begin(self) -> None:
        self.held = bytearray()
        self.pieces: list[DraftPiece] = []
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        self.held += data
        self.size += len(data)
        while len(self.held) >= CHUNK:
            self.pieces.append(self._writer.chunk(bytes(self.held[:CHUNK])))
            del self.held[:CHUNK]
        return len(data)


class StreamWriter:
    """Pickles variables of one namespace, stream by stream."""

    def __init__(
        self,
        writer: BlobWriter,
        namespace: dict[str, Any],
        named: Mapping[int, str],
        patience: Patience,
        progress: Callable[[str | None], None] | None,
    ) -> None:
        from respawn_kernels.reductions import reducers

        self._sink = _Sink(writer)
        self._buffers: list[pickle.PickleBuffer] = []
        self._ranges: list[tuple[int, int]] = []
        self._exports: list[pickle.PickleBuffer] = []
        self._named = named
        self._patience = patience
        self._progress = progress or _silent
        self._pickler = NamespacePickler(
            self._sink, namespace, self._keep_large, reducers=reducers(), named=named
        )

    def write(self, values: Iterable[tuple[str, Any]], *, memo: bool = False) -> Stream:
        """Pickle variables into a stream of their own.

        Args:
            values: names and values, in order.
            memo: also return the objects that were met.

        Raises:
            CannotPickle: a variable cannot be pickled, or not in time.
        """
        values = list(values)
        self._sink.begin()
        self._buffers, self._ranges = [], []
        self._sink.write(PREAMBLE)
        self._pickler.start([id(value) for _, value in values if id(value) in self._named])
        frames = [self._frame(name, value) for name, value in values]
        return Stream(
            frames=frames,
            pieces=self._sink.pieces,
            tail=bytes(self._sink.held),
            buffers=self._buffers,
            reads=self._pickler.reads,
            required=self._pickler.required,
            by_value=self._pickler.by_value,
            ranges=self._ranges,
            memo=self._pickler.memo.copy() if memo else {},
        )

    @property
    def unaliased(self) -> set[int]:
        """Ids of arrays that were stored with memory of their own."""
        return self._pickler.unaliased

    def close(self) -> None:
        """Let go of every object."""
        self._pickler.start(())
        self._pickler.keep.clear()
        self._pickler.roots.clear()
        self._buffers = []
        for buffer in self._exports:
            buffer.release()
        self._exports.clear()

    def _frame(self, name: str, value: Any) -> Frame:
        start, first = self._sink.size, len(self._buffers)
        self._progress(name)
        self._patience.step()
        try:
            self._pickler.dump(value)
        except TookTooLong as error:
            raise CannotPickle(name, str(error)) from error
        except Exception as error:  # broad: __reduce__ of anybody's class may raise anything
            raise CannotPickle(name, reason(error)) from error
        finally:
            self._patience.rest()
        return Frame(name, start, self._sink.size, (first, len(self._buffers)))

    def _keep_large(self, buffer: pickle.PickleBuffer) -> bool:
        """Keep a large buffer out of the stream; True asks the pickler to write it into the stream."""
        self._exports.append(buffer)
        try:
            raw = buffer.raw()
        except BufferError:
            return True  # not contiguous
        with raw as view:
            if view.nbytes and (numpy := sys.modules.get("numpy")) is not None:
                start = numpy.frombuffer(view, numpy.uint8).__array_interface__["data"][0]
                self._ranges.append((start, start + view.nbytes))
            if view.nbytes < OUT_OF_BAND:
                return True
        self._buffers.append(buffer)
        return False


def _silent(_name: str | None) -> None: ...
