"""Bringing a checkpoint's blobs to where kernels restore from: small ones first, large ones while one works.

Blobs of all runs lie in one cache, named by their digests, so what two runs share is fetched once. Several
are fetched at a time, each is verified when it arrives, and one that a kernel waits for comes next. How far
it is, and why it ended, is told in files that the kernel reads (`respawn_kernels.exchange.download_state`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from respawn_jobs.api.service import Service
from respawn_jobs.errors import Corrupt, RespawnError, Unavailable
from respawn_kernels.checkpoint.manifest import Blob, Manifest
from respawn_kernels.digest import digest_of, digest_of_file, write_whole
from respawn_kernels.exchange.download_state import DownloadState, downloading, is_downloading, wanted

AT_ONCE = 64 << 20
"""What is fetched before the notebook opens: no more than these bytes, small blobs first."""
_SMALL = 4 << 20
_PARALLEL = 6
_TRIES = 4
_REPORT_SECONDS = 0.3

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""


class Fetch:
    """The blobs of one run's checkpoint on their way into the cache.

    Args:
        service: Where they come from.
        run: The run.
        directory: `exchange.restore_point.run_directory(run)`; its `blobs` leads to the cache.
        manifest: The checkpoint.
        pause: Seconds between two tries of a blob that did not come.
    """

    def __init__(
        self, service: Service, run: str, directory: Path, manifest: Manifest, pause: float = 1.0
    ) -> None:
        self._service = service
        self._run = run
        self._directory = directory
        self._blobs = directory / "blobs"
        self._pause = pause
        self._total = sum(blob.size for blob in manifest.blobs)
        self._waiting = {blob.digest: blob for blob in sorted(_useful(manifest), key=lambda b: b.size)}
        self._first = _first(manifest)
        # The blobs of an old checkpoint may be larger than several of them fit into memory.
        self._parallel = _PARALLEL if manifest.groups else 1
        self._lock = threading.Lock()
        self._began = threading.Event()
        self.error: RespawnError | OSError | None = None
        """The first thing that went wrong; the other blobs were fetched all the same."""

    @property
    def left(self) -> int:
        """Bytes that were not looked at yet."""
        return sum(blob.size for blob in self._waiting.values())

    def first(self, progress: Progress) -> None:
        """Fetch what the notebook should not wait for later."""
        first = {digest: self._waiting.pop(digest) for digest in self._first & self._waiting.keys()}
        self._fetch(first, progress)

    def rest(self, progress: Progress) -> None:
        """Fetch what is left; returns at once when another process does. See `error` for how it went."""
        with downloading(self._directory) as ours:
            self._began.set()
            if ours:
                waiting, self._waiting = self._waiting, {}
                self._fetch(waiting, progress)
                return
        while is_downloading(self._directory):
            time.sleep(_REPORT_SECONDS)
        self._fetch(self._waiting, progress)

    def in_background(self) -> threading.Thread:
        """Fetch what is left in a thread of its own that ends with the process; it has begun."""
        name = f"respawn-fetch-{self._run}"
        thread = threading.Thread(
            target=self.rest, args=(lambda _there, _total: None,), name=name, daemon=True
        )
        thread.start()
        self._began.wait()  # Race: a kernel that looks before the lock is taken would call the download dead.
        return thread

    def _fetch(self, waiting: dict[str, Blob], progress: Progress) -> None:
        there = self._total - sum(blob.size for blob in waiting.values()) - self.left
        reported_at = 0.0
        progress(there, self._total)
        self._report(there)
        with ThreadPoolExecutor(self._parallel, "respawn-fetch") as pool:
            going: set[Future[int]] = set()
            while going or waiting:
                while waiting and len(going) < self._parallel:
                    going.add(pool.submit(self._bring, self._next(waiting)))
                done, going = wait(going, return_when=FIRST_COMPLETED)
                there += sum(future.result() for future in done)
                progress(there, self._total)
                if time.monotonic() - reported_at > _REPORT_SECONDS:
                    reported_at = time.monotonic()
                    self._report(there)
        self._report(there)

    def _next(self, waiting: dict[str, Blob]) -> Blob:
        """Take the blob that a kernel waits for, or the next one."""
        digest = next((d for d in wanted(self._directory) if d in waiting), next(iter(waiting)))
        return waiting.pop(digest)

    def _bring(self, blob: Blob) -> int:
        """Make sure that a blob is in the cache, whole; return its bytes, 0 when it could not be had."""
        path = self._blobs / blob.digest
        try:
            if not _is_whole(path, blob):
                write_whole(path, self._verified(blob), durable=False)
        except (RespawnError, OSError) as error:
            with self._lock:
                self.error = self.error or error
            return 0
        return blob.size

    def _verified(self, blob: Blob) -> bytes:
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                data = self._service.blob(self._run, blob.digest)
                break
            except Unavailable:
                if last:
                    raise
                time.sleep(self._pause)
        if digest_of(data) != blob.digest:
            raise Corrupt(
                f"blob {blob.digest} of {self._run} arrived damaged", run=self._run, digest=blob.digest
            )
        return data

    def _report(self, there: int) -> None:
        why = None if self.error is None else getattr(self.error, "message", str(self.error))
        with suppress(OSError):
            DownloadState(there, self._total, why).write(self._directory)


def prepare(directory: Path) -> None:
    """Make a run's directory, with a way to the blobs of all runs."""
    (directory / "manifests").mkdir(mode=0o700, parents=True, exist_ok=True)
    cache = directory.parent / "blobs"
    cache.mkdir(mode=0o700, exist_ok=True)
    if not (directory / "blobs").is_dir():  # an older version made a directory of the run's own
        (directory / "blobs").symlink_to(Path("..", "blobs"), target_is_directory=True)


def _useful(manifest: Manifest) -> list[Blob]:
    return list(dict.fromkeys(manifest.blobs))


def _first(manifest: Manifest) -> set[str]:
    """Return the digests of what is fetched at once: all of an old checkpoint, else what is small."""
    if not manifest.groups:
        return {blob.digest for blob in manifest.blobs}
    found: set[str] = set()
    streams = {piece.blob for group in manifest.groups for piece in group.stream.pieces}
    packs = [blob for place, blob in enumerate(manifest.blobs) if place in streams and blob.size <= _SMALL]
    others = sorted((b for b in _useful(manifest) if b.size < _SMALL), key=lambda blob: blob.size)
    size = 0
    for blob in [*packs, *others]:
        size += blob.size
        if size > AT_ONCE:
            break
        found.add(blob.digest)
    return found


def _is_whole(path: Path, blob: Blob) -> bool:
    try:
        if path.stat().st_size != blob.size:
            return False
        return digest_of_file(path) == blob.digest
    except FileNotFoundError:
        return False
