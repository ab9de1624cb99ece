"""Writing bytes as pieces of content-addressed blobs.

What is large is cut into chunks of 4 MiB, each a blob of its own, so that a change in one place of an array
stores one chunk anew. What is small goes into packs, so that ten thousand small variables are a few blobs. A
piece is compressed where a probe says that it pays. The same bytes are written once: not again when the spool
or an earlier checkpoint has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from respawn_kernels.counting import how_many

try:
    import zstandard
except ImportError:  # a kernel of another environment, without it: nothing is compressed there
    zstandard = None  # type: ignore[assignment]

from respawn_kernels.checkpoint.manifest import Blob, BlobPiece, Extent
from respawn_kernels.digest import digest_of, write_whole

CHUNK = 4 << 20
"""Bytes of a chunk and of a full pack: a multiple of every page size, so that chunks can be mapped."""
_PROBE = 32 << 10
_PAYS = 0.7
_LEVEL = -1
_MIN = 4 << 10
"""Smaller pieces are not compressed."""


@dataclass
class DraftPiece:
    """A piece whose blob may not have its name yet."""

    blob: Blob | Pack
    offset: int
    """Bytes from the beginning of the blob."""
    stored: int
    """Bytes in the blob."""
    raw: int
    """Bytes when decoded."""


@dataclass
class DraftExtent:
    """An extent in the making."""

    pieces: list[DraftPiece] = field(default_factory=list)
    digest: str | None = None

    @property
    def size(self) -> int:
        """Bytes when decoded."""
        return sum(piece.raw for piece in self.pieces)


@dataclass
class Pack:
    """A blob that small things are gathered in."""

    data: bytearray = field(default_factory=bytearray)
    blob: Blob | None = None


class BlobWriter:
    """Writes blobs into a spool, each whole or not at all."""

    def __init__(
        self, directory: Path, known: Mapping[str, int], compressed: Mapping[str, Blob], *, stable: bool
    ) -> None:
        """Begin.

        Args:
            directory: where blobs are written.
            known: sizes in bytes of blobs that need not be written again, by their digests.
            compressed: blobs that hold known chunks compressed, by the digest of the chunk.
            stable: nobody else changes the memory that is written, as in a forked child.
        """
        self._directory = directory
        self._known = known
        self._stable = stable
        self.compressed = {digest: blob for digest, blob in compressed.items() if blob.digest in known}
        """Blobs that hold chunks compressed, by the digest of the chunk."""
        self._pack = Pack()
        self._mine: set[str] = set()
        self.written = 0
        """Bytes that were really written."""

    def small(self, data: bytes | memoryview) -> DraftExtent:
        """Add bytes to the pack."""
        if len(self._pack.data) + len(data) > CHUNK and self._pack.data:
            self.flush()
        raw = bytes(data)
        stored = _compressed(raw) if _pays(raw) else raw
        stored = raw if len(stored) >= len(raw) else stored
        piece = DraftPiece(self._pack, len(self._pack.data), len(stored), len(raw))
        self._pack.data += stored
        return DraftExtent([piece], digest_of(raw))

    def large(self, data: memoryview) -> DraftExtent:
        """Write contiguous bytes as chunks."""
        draft = DraftExtent()
        with data.cast("B") if data.nbytes else data as view:
            for start in range(0, view.nbytes, CHUNK):
                with view[start : start + CHUNK] as part:
                    draft.pieces.append(self.chunk(part))
        return draft

    def chunk(self, part: bytes | memoryview) -> DraftPiece:
        """Write one chunk as a blob of its own."""
        # Race: memory that others change would be hashed and written in two states, so it is copied first.
        raw = part if self._stable or isinstance(part, bytes) else bytes(part)
        if not _pays(raw):
            return DraftPiece(self._put(raw), 0, len(raw), len(raw))
        digest = digest_of(raw)
        if digest not in self.compressed:
            self.compressed[digest] = self._put(_compressed(raw))
        blob = self.compressed[digest]
        return DraftPiece(blob, 0, blob.size, len(raw))

    def flush(self) -> None:
        """Write the pack."""
        pack, self._pack = self._pack, Pack()
        if pack.data:
            pack.blob = self._put(bytes(pack.data))

    def discard_but(self, kept: Iterable[str]) -> None:
        """Remove blobs that were written here and are not among `kept`."""
        for digest in self._mine.difference(kept):
            with suppress(OSError):
                (self._directory / digest).unlink()

    def _put(self, data: bytes | memoryview) -> Blob:
        blob = Blob(digest_of(data), len(data))
        path = self._directory / blob.digest
        if blob.digest not in self._known and not path.exists():
            write_whole(path, data, durable=False)
            self._mine.add(blob.digest)
            self.written += blob.size
        return blob


class BlobTable:
    """The blobs of a manifest, by place."""

    def __init__(self) -> None:
        self._places: dict[Blob, int] = {}

    def extent(self, draft: DraftExtent) -> Extent:
        """Return a draft as the manifest has it; its packs are written."""
        return Extent([self._piece(piece) for piece in draft.pieces], draft.digest)

    def blobs(self) -> list[Blob]:
        """Return the blobs in the order of their places."""
        return list(self._places)

    def _piece(self, piece: DraftPiece) -> BlobPiece:
        blob = piece.blob.blob if isinstance(piece.blob, Pack) else piece.blob
        assert blob is not None  # noqa: S101  flush() came before
        return BlobPiece(
            self._places.setdefault(blob, len(self._places)), piece.offset, piece.stored, piece.raw
        )


def drafted(extent: Extent, blobs: list[Blob]) -> DraftExtent:
    """Return an extent of an earlier manifest as a draft for the next one."""
    pieces = [DraftPiece(blobs[p.blob], p.offset, p.stored, p.raw) for p in extent.pieces]
    return DraftExtent(pieces, extent.digest)


def _pays(data: bytes | memoryview) -> bool:
    """Return whether bytes are worth compressing, by compressing a part of their middle."""
    size = len(data)
    if size < _MIN or zstandard is None:
        return False
    start = max(0, (size - _PROBE) // 2)
    probe = data[start : start + _PROBE]
    return len(zstandard.ZstdCompressor(level=_LEVEL).compress(probe)) <= _PAYS * len(probe)


def _compressed(data: bytes | memoryview) -> bytes:
    compressed: bytes = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    return compressed


def decoded(data: memoryview, raw: int) -> bytes:
    """Return a compressed piece's bytes. Raises ValueError when they are not `raw` bytes."""
    if zstandard is None:
        raise ValueError("it is compressed, and the package zstandard is not installed here")
    try:
        declared = zstandard.get_frame_parameters(data).content_size
        if declared != raw:  # before so much memory is taken
            raise ValueError(f"{how_many(declared, 'byte')} instead of {raw}")
        plain: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=raw)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    if len(plain) != raw:
        raise ValueError(f"{how_many(len(plain), 'byte')} instead of {raw}")
    return plain
