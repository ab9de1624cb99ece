"""Pickling the variables of a group into one stream, with their large buffers beside it."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respawn_kernels.checkpoint.chunks import CHUNK, BlobWriter, DraftExtent, DraftPiece, decoded
from respawn_kernels.checkpoint.manifest import Blob, VariableFrame
from respawn_kernels.memory.exposed_memory import MemoryOwners
from respawn_kernels.pickling.iterator_warnings import unwarned
from respawn_kernels.pickling.namespace_pickler import (
    NANS,
    PREAMBLE,
    CarefulPickler,
    NamespacePickler,
    reason,
)
from respawn_kernels.pickling.references import VALUE, library_values
from respawn_kernels.streams import deep_nesting as deep
from respawn_kernels.streams.set_order import Layout, Ordered, layouts_in
from respawn_kernels.streams.time_limit import PicklingTimeout, TimeLimit

OUT_OF_BAND = 64 * 1024
"""Buffers of at least this many bytes leave the stream."""
_A_LOCK = "a lock that another thread held?"


class CannotPickle(Exception):
    """A control signal: which variable stopped its stream, and why.

    Args:
        name: of the variable.
        why: the reason, in words for people.
        deep: it is nested too deeply for the pickler in C.
    """

    def __init__(self, name: str, why: str, *, deep: bool = False) -> None:
        super().__init__(name)
        self.name = name
        self.why = why
        self.deep = deep
        """It is nested too deeply for the pickler in C."""


@dataclass
class Stream:
    """What pickling some variables together gave."""

    frames: list[VariableFrame]
    pieces: list[DraftPiece]
    """Chunks that were written because the stream is long."""
    tail: bytes
    """The bytes after them."""
    buffers: list[pickle.PickleBuffer]
    reads: set[str]
    """Global names that its functions read."""
    required: set[str]
    """Variables that it refers to by name."""
    by_value: set[int]
    """Ids of the functions and classes that are in it."""
    ranges: list[tuple[int, int]]
    """For each of its buffers the address of the first byte and the one past the last."""
    memo: Mapping[int, tuple[int, Any]] = field(default_factory=dict)
    """The pickler's memo, where it was asked for: it keeps all objects that were met."""
    careful: bool = False
    """References were written for text whose identity can be seen."""
    asked: set[str] = field(default_factory=set)
    """Names of classes whose own methods stored their instances."""

    def whole(self, directory: Path) -> bytes:
        """Return all of its bytes; the chunks lie in a directory."""
        return b"".join([*(_bytes_of(piece, directory) for piece in self.pieces), self.tail])

    def draft(self, writer: BlobWriter) -> DraftExtent:
        """Write what is not written yet."""
        if not self.pieces:
            return writer.small(self.tail)
        return DraftExtent([*self.pieces, writer.chunk(self.tail)] if self.tail else self.pieces)


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
        """There may be a set in it: it has the byte of an opcode that makes one."""
        self.numberless = False
        """There may be a NaN in it, whose identity can be seen."""

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
    """Pickles variables of one namespace, stream by stream.

    Args:
        writer: writes the chunks of a stream that is longer than one.
        namespace: the live namespace.
        named: names of the functions and classes of the notebook that are variables, by their ids.
        time_limit: ends the pickling of a variable that takes too long.
        progress: called with the name of each variable before it is pickled; None for nobody.
        seen: references to text variables by their ids, for streams that hold a NaN.
    """

    def __init__(
        self,
        writer: BlobWriter,
        namespace: dict[str, Any],
        named: Mapping[int, str],
        time_limit: TimeLimit,
        progress: Callable[[str | None], None] | None,
        seen: Mapping[int, str],
    ) -> None:
        from respawn_kernels.reducers.arrays import reducers

        self._sink = _Sink(writer)
        self._buffers: list[pickle.PickleBuffer] = []
        self._ranges: list[tuple[int, int]] = []
        self._exports: list[pickle.PickleBuffer] = []
        self._named = named
        self._seen = seen
        self._deep = False
        self._time_limit = time_limit
        self._progress = progress or _silent
        more: Any = {"reducers": reducers(), "named": named}
        self._pickler = NamespacePickler(self._sink, namespace, self._keep_large, **more)
        self._careful = CarefulPickler(self._sink, namespace, self._keep_large, **more)
        self._careful.keep, self._careful.roots = self._pickler.keep, self._pickler.roots
        self._careful.lent = self._pickler.lent
        self._careful.left_out, self._careful.lenders = self._pickler.left_out, self._pickler.lenders
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
            known: references that are written for objects, by their ids, where the identity of text can be
                seen; None for the fast pickler, which writes none.
            held: ids of objects that the caller refers to, since it has met them in another stream.

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
                del met  # references of the memo would count, see `instances`
                pickler.clear_memo()
                return self._write(values, memo=memo, known=known, held=held, layouts=layouts)
        pickler.clear_memo()  # references of the memo would count, see `instances`
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

    @property
    def lenders(self) -> MemoryOwners:
        """Objects in whose memory others may lie that do not refer to them."""
        return self._pickler.lenders

    @property
    def left_out(self) -> dict[str, set[str]]:
        """Attributes that classes leave out and that are stored all the same; the caller may add others."""
        return self._pickler.left_out

    def compare_nothing(self) -> None:
        """Look at what classes store, since nothing will be loaded to be compared."""
        self._pickler.uncompared = self._careful.uncompared = True

    def close(self) -> None:
        """Refer to no object any longer."""
        for pickler in (self._pickler, self._careful):
            pickler.start(())
        self._careful.know({})
        self._pickler.keep.clear()
        self._pickler.roots.clear()
        self._pickler.plains.clear()
        self._pickler.lent.clear()
        self._pickler.lenders.forget()
        self._buffers = []
        for buffer in self._exports:
            buffer.release()
        self._exports.clear()

    def _frame(self, pickler: NamespacePickler, name: str, value: Any) -> VariableFrame:
        start, first = self._sink.size, len(self._buffers)
        self._progress(name)
        self._time_limit.step()
        try:
            with unwarned():
                if self._deep:
                    deep.dump(pickler, value, self._sink, self._keep_large)
                else:
                    pickler.dump(value)
        except PicklingTimeout as error:
            cause = "does it lead to new objects without an end?" if self._deep else _A_LOCK
            raise CannotPickle(name, f"{error} ({cause})") from error
        except Exception as error:  # broad: __reduce__ of anybody's class may raise anything
            too_deep = isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)
            raise CannotPickle(name, reason(error), deep=too_deep) from error
        finally:
            self._time_limit.rest()
        return VariableFrame(name, start, self._sink.size, (first, len(self._buffers)))

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
