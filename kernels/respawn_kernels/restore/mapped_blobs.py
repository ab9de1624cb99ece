"""Reading blobs where they lie: large ones are mapped, verified, and copied only where written to.

What a checkpoint holds of one array are chunks of 4 MiB, each a file. They are mapped one behind the other
over one reserved range, private and writable (MAP_PRIVATE, mmap(2)): memory is taken page by page as it is
used, a write goes to this process alone, and a child that is forked keeps what it saw. Chunks that are
compressed, small or not aligned are read into their place.

Every blob is verified (BLAKE3) before the first byte of it is handed out, once per process and file, several
at a time; the threads for it end with the call, because a pool left behind would make forking unsafe. Files
are whole and only ever replaced by a rename, so a mapped one does not get shorter: reading beyond its end
would raise SIGBUS. No file stays open.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Protocol

from respawn_kernels.checkpoint.chunks import decoded
from respawn_kernels.checkpoint.errors import CorruptBlob
from respawn_kernels.checkpoint.manifest import Blob, BlobPiece, Extent, Manifest
from respawn_kernels.counting import how_many
from respawn_kernels.digest import digest_of

PAGE = mmap.PAGESIZE
MAP_FROM = 256 << 10
"""Smaller extents are read: a map of its own costs a page and an entry in the system's list of maps."""
_MAX_MAPS = 16_000
"""Linux gives a process 65,530 maps by default (`vm.max_map_count`); beyond these, chunks are read."""
_PACKS = 8
_MAP_FIXED = 0x10
"""Map at the given address, and replace what is mapped there: here a part of a range of our own (mmap(2))."""
_REPORT_SECONDS = 0.2

Tell = Callable[[int, int], None]
"""Called now and then with the bytes that are ready and the bytes in all."""


class Arrivals(Protocol):
    """Waits for blobs that are still being downloaded."""

    def wait(self, digest: str, stop: threading.Event) -> None:
        """Return when the blob is there or `stop` is set. Raises CorruptBlob when it will never be there."""


class MappedBlobs:
    """The blobs of a directory as memory of this process. Threads may share it.

    Args:
        directory: where files named by their digests are.
        arrivals: waits for a blob that is not there; None where nothing is downloaded, and it is missing
            then.
    """

    def __init__(self, directory: Path, arrivals: Arrivals | None = None) -> None:
        self._directory = directory
        self._arrivals = arrivals
        self._packs: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def extent(self, extent: Extent, manifest: Manifest) -> memoryview:
        """Return an extent's bytes as writable memory that nobody else has.

        Two calls return two memories: arrays that were equal when they were stored are two arrays still.

        Args:
            extent: the pieces of blobs that it consists of.
            manifest: the checkpoint that it is of, whose list of blobs the pieces refer to.

        Raises:
            CorruptBlob: a blob is missing or damaged; it names the variables and the checkpoint.
        """
        blobs = [manifest.blobs[piece.blob] for piece in extent.pieces]
        if not all(blob.digest in self._packs for blob in blobs):  # those were verified when they were read
            self.verify(blobs, manifest)
        try:
            if extent.size >= MAP_FROM:
                return self._large(extent, manifest)
            return memoryview(bytearray().join(self._bytes(piece, manifest) for piece in extent.pieces))
        except OSError as error:  # it was removed just now, or memory does not suffice
            raise CorruptBlob(f"{_whose(blobs[0], manifest)}: a blob cannot be read: {error}") from error

    def verify(self, blobs: Iterable[Blob], manifest: Manifest, tell: Tell | None = None) -> None:
        """Verify blobs, several at a time, and wait for those that are on their way.

        Args:
            blobs: the blobs; those that were verified before are passed over.
            manifest: the checkpoint that they are of, for the message of an error.
            tell: called now and then in the calling thread, with bytes verified and bytes in all.

        Raises:
            CorruptBlob: as `extent`, for the first one found; the others may not have been looked at.
        """
        todo = [blob for blob in dict.fromkeys(blobs) if not self.is_verified(blob)]
        stop = threading.Event()  # set when one fails: the others must not wait for a download any longer

        def verify(blob: Blob) -> int:
            try:
                self._verify(blob, stop)
            except CorruptBlob as error:
                raise CorruptBlob(f"{_whose(blob, manifest)}: {error}") from None
            return blob.size

        _in_parallel(verify, todo, sum(blob.size for blob in todo), stop, tell)

    def _verify(self, blob: Blob, stop: threading.Event) -> None:
        what = f"blob {blob.digest}"
        path = self._directory / blob.digest
        if self._arrivals is not None and not path.exists():
            self._arrivals.wait(blob.digest, stop)
            if stop.is_set():
                return
        try:
            with path.open("rb", buffering=0) as file:
                # Race: another file may get this name meanwhile, so the mark is that of the file which is
                # read.
                mark = _mark(blob.digest, os.fstat(file.fileno()))
                if mark[-1] != blob.size:
                    raise CorruptBlob(
                        f"{what} is damaged: it has {how_many(mark[-1], 'byte')} instead of {blob.size:,}"
                    )
                if _digest_of(file.fileno(), blob.size) != blob.digest:
                    raise CorruptBlob(f"{what} is damaged")
        except FileNotFoundError as error:
            raise CorruptBlob(f"{what} is missing") from error
        except OSError as error:
            raise CorruptBlob(f"{what} cannot be read: {error}") from error
        _verified.add(mark)

    def is_verified(self, blob: Blob) -> bool:
        """Return whether a blob is there and was found whole in this process."""
        try:
            return _mark(blob.digest, (self._directory / blob.digest).stat()) in _verified
        except OSError:
            return False

    def _large(self, extent: Extent, manifest: Manifest) -> memoryview:
        region = _Region(extent.size)
        places, at = [], 0
        for piece in extent.pieces:
            places.append((piece, at))
            at += piece.raw

        def fill(place: tuple[BlobPiece, int]) -> int:
            piece, start = place
            blob = manifest.blobs[piece.blob]
            if piece.stored != piece.raw or not region.map(start, piece, self._directory / blob.digest):
                region.view[start : start + piece.raw] = self._bytes(piece, manifest)
            return piece.raw

        read = [place for place in places if place[0].stored != place[0].raw]
        for place in places:
            if place[0].stored == place[0].raw:
                fill(place)
        _in_parallel(fill, read, sum(piece.raw for piece, _ in read), threading.Event())
        return region.view

    def _bytes(self, piece: BlobPiece, manifest: Manifest) -> bytes | memoryview:
        blob = manifest.blobs[piece.blob]
        data = memoryview(self._blob(blob))[piece.offset : piece.offset + piece.stored]
        if piece.stored == piece.raw:
            return data
        try:
            return decoded(data, piece.raw)
        except ValueError as error:
            raise CorruptBlob(
                f"{_whose(blob, manifest)}: blob {blob.digest} cannot be decoded: {error}"
            ) from error

    def _blob(self, blob: Blob) -> bytes:
        """Return a verified blob; the last few are kept, since many variables lie in one pack."""
        with self._lock:
            if (data := self._packs.get(blob.digest)) is not None:
                self._packs.move_to_end(blob.digest)
                return data
        data = (self._directory / blob.digest).read_bytes()  # without the lock: threads read at the same time
        with self._lock:
            self._packs[blob.digest] = data
            while len(self._packs) > _PACKS:
                self._packs.popitem(last=False)
        return data


_verified: set[tuple[str, int, int, int, int]] = set()
"""Which files were verified in this process; one that was replaced is verified again."""


def _mark(digest: str, status: os.stat_result) -> tuple[str, int, int, int, int]:
    return digest, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _digest_of(descriptor: int, size: int) -> str:
    if size == 0:
        return digest_of(b"")
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
        return digest_of(view)


class _Region:
    """A range of memory of one process, over which files are mapped.

    It is reserved as one anonymous map, so that Python owns the whole range and unmaps it, with the files in
    it, when the last array on it is gone.
    """

    maps = 0
    """Files that are mapped in all ranges of this process."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self._memory)
        first = ctypes.c_char.from_buffer(self._memory)
        self._address = ctypes.addressof(first)
        del first  # else it would keep the memory longer than the arrays on it do
        self._mine = [0]
        # The finalizer must not refer to this object, which would keep the memory: it gets the count in a
        # list.
        weakref.finalize(self._memory, _forget, self._mine)

    def map(self, start: int, piece: BlobPiece, path: Path) -> bool:
        """Map a piece of a file over a place; return False when it cannot be, and nothing was changed.

        Args:
            start: bytes from the beginning of the range to the place; a multiple of the page's size.
            piece: which bytes of the file.
            path: the file.
        """
        # A map consists of whole pages, so only the last piece may end within one.
        last = start + piece.raw == self._size
        aligned = start % PAGE == piece.offset % PAGE == 0 and (last or piece.raw % PAGE == 0)
        if not aligned or piece.raw == 0 or _Region.maps >= _MAX_MAPS or _system_mmap is None:
            return False
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size < piece.offset + piece.raw:
                return False
            place = self._address + start
            mapped = _system_mmap(
                place,
                piece.raw,
                mmap.PROT_READ | mmap.PROT_WRITE,
                mmap.MAP_PRIVATE | _MAP_FIXED,
                file.fileno(),
                piece.offset,
            )
        if mapped != place:
            return False
        _Region.maps += 1
        self._mine[0] += 1
        return True


def _forget(maps: list[int]) -> None:
    _Region.maps -= maps[0]


def _find_mmap() -> Any | None:
    try:
        function = ctypes.CDLL(None).mmap
    except (OSError, AttributeError, TypeError):
        return None
    function.restype = ctypes.c_void_p
    function.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_long),
    ]
    return function


_system_mmap = _find_mmap()


def _whose(blob: Blob, manifest: Manifest) -> str:
    """Return which variables of which checkpoint need a blob."""
    place = manifest.blobs.index(blob)
    names = [
        frame.name
        for group in manifest.groups
        if any(piece.blob == place for extent in (group.stream, *group.buffers) for piece in extent.pieces)
        for frame in group.frames
        if not frame.name.startswith("#")
    ]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    return f"{shown or 'the state'} of the checkpoint after cell {manifest.cell}"


def _in_parallel(
    work: Callable[[Any], int],
    items: Sequence[Any],
    total: int,
    stop: threading.Event,
    tell: Tell | None = None,
) -> None:
    """Call `work`, which returns how many bytes it did, for each item in threads; the first error ends it."""
    if not items or (len(items) < 2 and tell is None):
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 1)), "respawn-blobs") as pool:
        waiting: set[Future[int]] = {pool.submit(work, item) for item in items}
        there = 0
        try:
            while waiting:
                done, waiting = wait(waiting, _REPORT_SECONDS, FIRST_COMPLETED)
                there += sum(future.result() for future in done)
                if tell is not None:
                    tell(there, total)
        except BaseException:  # Ctrl-C too: threads that wait for blobs must end
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
