"""An artifact's bytes as blobs: pieces of 16 MiB, each sealed with the run that made it.

    blob = "respawn artifact of <run>\\n" + piece

No other blob has such bytes, and no other run has the same, so the parts of an artifact that was replaced can
be removed without asking who else might name them. In exchange nothing is shared with other runs, except by
those that go on from one another and name the very same blobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from respawn_jobs.errors import Corrupt
from respawn_jobs.model.artifacts import ArtifactPart
from respawn_kernels.digest import digest_of

PART_BYTES = 16 << 20
_PARALLEL = 4
_BEGINNING = b"respawn artifact of "


def sealed(run: str, piece: bytes) -> bytes:
    """Return the blob of a piece."""
    return _BEGINNING + run.encode() + b"\n" + piece


def opened(blob: bytes) -> memoryview:
    """Return the piece in a blob. Raises `Corrupt` for any other blob."""
    end = blob.find(b"\n", 0, 200)
    if end < 0 or not blob.startswith(_BEGINNING):
        raise Corrupt("a blob that should be a part of an artifact is none")
    return memoryview(blob)[end + 1 :]


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a file's pieces."""
    with path.open("rb") as file:
        while piece := file.read(PART_BYTES):
            yield piece


def store_parts(
    run: str,
    path: Path,
    missing: Callable[[list[str]], list[str]],
    put: Callable[[str, bytes], None],
) -> list[ArtifactPart]:
    """Store a file that does not change meanwhile; several pieces at once, none of them twice.

    Args:
        run: the run that made it.
        path: the file.
        missing: tells which digests are not stored.
        put: stores a blob.

    Returns:
        The parts, in order.
    """
    parts = [ArtifactPart(digest=digest_of(sealed(run, piece)), size=len(piece)) for piece in pieces(path)]
    lacking = set(missing([part.digest for part in parts])) if parts else set()
    first = {part.digest: place for place, part in reversed(list(enumerate(parts)))}

    def send(place: int) -> None:
        with path.open("rb") as file:
            file.seek(place * PART_BYTES)
            put(parts[place].digest, sealed(run, file.read(PART_BYTES)))

    _all_at_once(send, [first[digest] for digest in lacking])
    return parts


def fetch_parts(parts: Sequence[ArtifactPart], get: Callable[[str], bytes], path: Path) -> None:
    """Write an artifact to a file, whole or not at all; several pieces at once, each verified.

    Raises `Corrupt` when a part is not what its digest says, what `get` raises, and OSError.

    Args:
        parts: the artifact's parts, in order.
        get: returns the blob of a digest; called from several threads.
        path: the file; one that is there is replaced.
    """
    beside = path.with_name(f".{path.name[:100]}.incomplete")
    starts = [sum(part.size for part in parts[:place]) for place in range(len(parts))]

    def bring(place: int) -> None:
        part, blob = parts[place], get(parts[place].digest)
        piece = opened(blob)
        if digest_of(blob) != part.digest or len(piece) != part.size:
            raise Corrupt(f"blob {part.digest} arrived damaged", digest=part.digest)
        with beside.open("r+b") as file:
            file.seek(starts[place])
            file.write(piece)

    try:
        beside.write_bytes(b"")
        _all_at_once(bring, range(len(parts)))
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _all_at_once(work: Callable[[int], None], places: Iterable[int]) -> None:
    """Do work for each place in a few threads; the first failure ends it."""
    wanted = list(places)
    if len(wanted) < 2:
        for place in wanted:
            work(place)
        return
    with ThreadPoolExecutor(min(_PARALLEL, len(wanted)), thread_name_prefix="respawn-artifact-part") as pool:
        futures = [pool.submit(work, place) for place in wanted]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C too: what has not begun must not be waited for; it goes on
            pool.shutdown(cancel_futures=True)
            raise
