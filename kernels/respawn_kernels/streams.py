"""Pickling the variables of a group into one stream, with their large buffers beside it."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respawn_kernels import deep
from respawn_kernels.chunks import CHUNK, BlobWriter, Draft, DraftPiece, decoded
from respawn_kernels.manifest import Blob, Frame
from respawn_kernels.patience import Patience, TookTooLong
from respawn_kernels.pickling import (
    NANS,
    PREAMBLE,
    VALUE,
    CarefulPickler,
    NamespacePickler,
    library_values,
    reason,
)
from respawn_kernels.set_order import Layout, Ordered, layouts_in

OUT_OF_BAND = 64 * 1024
"""Buffers of at least this many bytes leave the stream."""
_A_LOCK = "a lock that another thread held?"


class CannotPickle(Exception):
    """A control signal: which variable stopped its stream, and why."""

    def __init__(self, name: str, why: str, *, deep: bool = False) -> None:
        super().__init__(name)
        self.name = name
        self.why = why
        self.deep = deep
        """It is nested too deeply for the pickler in C."""


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
    careful: bool = False
    """References were written for text whose identity can be seen."""
    asked: set[str] = field(default_factory=set)
    """Names of classes that said themselves how their instances are stored."""

    def whole(self, directory: Path) -> bytes:
        """Return all of its bytes; the chunks lie in a directory."""
        return b"".join([*(_bytes_of(piece, directory) for piece in self.pieces), self.tail])

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
        self.has_sets = False
        """There may be a set in it."""
        self.numberless = False
        """There may be a number in it that is none, whose identity can be seen."""

    def write(self, data: bytes | memoryview) -> int:
        self.has_sets = self.has_sets or any(mark in bytes(data) for mark in (b"\x8f", b"\x91"))
        self.numberless = self.numberless or any(mark in bytes(data) for mark in NANS)
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
        seen: Mapping[int, str],
    ) -> None:
        from respawn_kernels.reductions import reducers

        self._sink = _Sink(writer)
        self._buffers: list[pickle.PickleBuffer] = []
        self._ranges: list[tuple[int, int]] = []
        self._exports: list[pickle.PickleBuffer] = []
        self._named = named
        self._seen = seen
        self._deep = False
        self._patience = patience
        self._progress = progress or _silent
        more: Any = {"reducers": reducers(), "named": named}
        self._pickler = NamespacePickler(self._sink, namespace, self._keep_large, **more)
        self._careful = CarefulPickler(self._sink, namespace, self._keep_large, **more)
        self._careful.keep, self._careful.roots = self._pickler.keep, self._pickler.roots
        self._careful.lent = self._pickler.lent
        self._careful.plains, self._careful.unaliased = self._pickler.plains, self._pickler.unaliased

    def write(
        self,
        values: Iterable[tuple[str, Any]],
        *,
        memo: bool = False,
        known: Mapping[int, str] | None = None,
        held: Collection[int] = (),
    ) -> Stream:
        """Pickle variables into a stream of their own.

        Args:
            values: names and values, in order.
            memo: also return the objects that were met.
            known: what a reference is written for, by its id, where the identity of text can be seen.
            held: ids of objects that the caller refers to, since it has seen them in another stream.

        Raises:
            CannotPickle: a variable cannot be pickled, or not in time.
        """
        values = list(values)
        careful = known is not None
        self._deep = False
        while True:
            try:
                stream = self._write(values, memo=memo, known=known if careful else None, held=held)
            except CannotPickle as stopped:
                if stopped.deep and not self._deep:
                    self._deep = True
                elif not (self._careful if careful else self._pickler).ask_classes():
                    raise
            else:
                if careful or not self._sink.numberless:
                    return stream
                careful, known = True, {**self._seen, **library_values()}

    def _write(
        self,
        values: list[tuple[str, Any]],
        *,
        memo: bool,
        known: Mapping[int, str] | None,
        held: Collection[int],
        layouts: list[tuple[Any, Layout]] | None = None,
    ) -> Stream:
        pickler = self._pickler
        if known is not None:
            pickler = self._careful
            own = {id(value) for _, value in values}
            self._careful.know(
                {
                    key: reference
                    for key, reference in known.items()
                    if key not in own or not reference.startswith(VALUE)
                }
            )
        self._sink.begin()
        self._buffers, self._ranges = [], []
        self._sink.write(PREAMBLE)
        pickler.start([id(value) for _, value in values if id(value) in self._named], held)
        pickled = dict(values)
        if layouts:
            name, value = values[-1]
            pickled[name] = Ordered(value, layouts)
        frames = [self._frame(pickler, name, value) for name, value in pickled.items()]
        met = pickler.memo.copy() if memo or self._sink.has_sets else {}
        if layouts is None and self._sink.has_sets:
            layouts = layouts_in([one for _, one in met.values()])
            if layouts:
                del met  # references of the memo would count, see `instance_reductions`
                pickler.clear_memo()
                return self._write(values, memo=memo, known=known, held=held, layouts=layouts)
        pickler.clear_memo()  # references of the memo would count, see `instance_reductions`
        return Stream(
            frames=frames,
            pieces=self._sink.pieces,
            tail=bytes(self._sink.held),
            buffers=self._buffers,
            reads=pickler.reads,
            required=pickler.required,
            by_value=pickler.by_value,
            ranges=self._ranges,
            memo=met if memo else {},
            careful=known is not None,
            asked=set(pickler.asked),
        )

    @property
    def unaliased(self) -> set[int]:
        """Ids of arrays that were stored with memory of their own."""
        return self._pickler.unaliased

    def close(self) -> None:
        """Let go of every object."""
        for pickler in (self._pickler, self._careful):
            pickler.start(())
        self._careful.know({})
        self._pickler.keep.clear()
        self._pickler.roots.clear()
        self._pickler.plains.clear()
        self._pickler.lent.clear()
        self._buffers = []
        for buffer in self._exports:
            buffer.release()
        self._exports.clear()

    def _frame(self, pickler: NamespacePickler, name: str, value: Any) -> Frame:
        start, first = self._sink.size, len(self._buffers)
        self._progress(name)
        self._patience.step()
        try:
            if self._deep:
                deep.dump(pickler, value, self._sink, self._keep_large)
            else:
                pickler.dump(value)
        except TookTooLong as error:
            cause = "does it lead to new objects without an end?" if self._deep else _A_LOCK
            raise CannotPickle(name, f"{error} ({cause})") from error
        except Exception as error:  # broad: __reduce__ of anybody's class may raise anything
            too_deep = isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)
            raise CannotPickle(name, reason(error), deep=too_deep) from error
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


def _bytes_of(piece: DraftPiece, directory: Path) -> bytes:
    assert isinstance(piece.blob, Blob)  # noqa: S101  chunks are no packs
    data = (directory / piece.blob.digest).read_bytes()
    return data if piece.stored == piece.raw else decoded(memoryview(data), piece.raw)


def _silent(_name: str | None) -> None: ...
