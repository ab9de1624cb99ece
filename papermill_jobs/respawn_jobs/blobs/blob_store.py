"""Blobs: bytes named by their BLAKE3 digest, on files or in an object store.

    file:///var/lib/respawn/blobs     <root>/ab/<digest>, each written to a temporary file, synced, renamed
    s3://bucket/prefix                <prefix>/ab/<digest>, each written by a single PUT

A name always means the same bytes, so writing twice is harmless and nothing is ever overwritten with
something else. Bytes are verified when they come in and when they are read. Files and streams pass through in
pieces, so a blob may be larger than memory. An object store refuses blobs of 5 GiB and more, which do not fit
a single PUT. Other fsspec URLs work as far as their writes are whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from blake3 import blake3

from respawn_jobs.blobs.backends import Backend, Files, Listed, Objects, shown, whole
from respawn_jobs.errors import Corrupt, InvalidInput, SentWrong
from respawn_jobs.host.private_files import closed_directory
from respawn_jobs.host.write_probe import BYTES
from respawn_kernels.digest import digest_of, digest_of_file

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PARALLEL = 16
_PROBE = ".incomplete-probe"
"""Where one is left, it is removed with what broken writes have left."""


class BlobStore:
    """Content-addressed bytes behind one URL."""

    def __init__(self, url: str, **storage_options: Any) -> None:
        """Open the store at `url`; `storage_options` go to fsspec. A directory is made on first use."""
        self.url = shown(url)
        """The URL without the credentials that it may carry."""
        parts = urlsplit(url)
        if parts.scheme == "file" or not parts.scheme:
            self._backend: Backend = Files(Path(unquote(parts.path)))
        else:
            self._backend = Objects(url, storage_options)

    @property
    def backend(self) -> Backend:
        """The files under the blobs, by name."""
        return self._backend

    def protect(self) -> None:
        """Close a directory of blobs to other accounts. Raises `InvalidInput` when that is not possible."""
        if isinstance(self._backend, Files):
            closed_directory(self._backend.root)

    @property
    def of_files(self) -> bool:
        """Whether the blobs are files of a directory, and not objects of a store elsewhere."""
        return isinstance(self._backend, Files)

    def prove_writes(self) -> None:
        """Write a small file that is no blob, and remove it. Raises `Unavailable`."""
        self._backend.write(_PROBE, bytes(BYTES if self.of_files else 1))
        self._backend.remove(_PROBE)

    def put(self, digest: str, source: bytes | Path) -> None:
        """Store bytes, or a file's, under `digest`. Raises `SentWrong` when they do not match it.

        A blob that is there with another size was cut short, by a full disk for instance; it is replaced.
        """
        name = _name(digest)
        if isinstance(source, Path):
            actual, size = digest_of_file(source), source.stat().st_size
        else:
            actual, size = digest_of(source), len(source)
        if actual != digest:
            raise SentWrong(f"the bytes sent for blob {digest} have the digest {actual}", digest=digest)
        if self._backend.size(name) != size:
            self._backend.write(name, source)

    def put_bytes(self, data: bytes) -> str:
        """Store bytes and return their digest."""
        digest = digest_of(data)
        self.put(digest, data)
        return digest

    def get(self, digest: str) -> bytes:
        """Return a blob's bytes. Raises `NotFound`, or `Corrupt` when they no longer match their name."""
        data = self._backend.read(_name(digest))
        if digest_of(data) != digest:
            raise self._damaged(digest)
        return data

    def stream(self, digest: str) -> Iterator[bytes]:
        """Yield a blob's bytes in pieces of a few MiB.

        Raises `NotFound` before the first piece. Raises `Corrupt` after the last one, when they do not match
        their name: who passes them on must not let the receiver take them for whole then.
        """
        name, hasher = _name(digest), blake3()
        for piece in self._backend.pieces(name):
            hasher.update(piece)
            yield piece
        if hasher.hexdigest() != digest:
            raise self._damaged(digest)

    def exists(self, digest: str) -> bool:
        """Return whether a blob is stored."""
        return self._backend.size(_name(digest)) is not None

    def sizes(self, digests: Sequence[str]) -> list[int | None]:
        """Return the size of each blob in bytes; None for one that is not stored."""
        names = [_name(digest) for digest in digests]
        if isinstance(self._backend, Files) or len(names) < 2:
            return [self._backend.size(name) for name in names]
        with ThreadPoolExecutor(min(_PARALLEL, len(names))) as pool:
            return list(pool.map(self._backend.size, names))

    def missing(self, digests: list[str]) -> list[str]:
        """Return those of `digests` that are not stored, in order, each once."""
        wanted = list(dict.fromkeys(digests))
        sizes = self.sizes(wanted)
        return [digest for digest, size in zip(wanted, sizes, strict=True) if size is None]

    def open_to(self, digest: str, path: Path) -> None:
        """Write a blob to `path`, verified and whole."""
        with whole(path) as file:
            for piece in self.stream(digest):
                file.write(piece)

    def beginning(self, digest: str, size: int) -> bytes:
        """Return the first bytes of a blob, unverified. Raises `NotFound`."""
        return self._backend.beginning(_name(digest), size)

    def remove(self, digest: str) -> None:
        """Remove a blob for good. The caller knows that nothing names it, and nothing is about to."""
        self._backend.remove(_name(digest))

    def remove_file(self, name: str) -> None:
        """Remove a file by the name that `listed` gave."""
        self._backend.remove(name)

    def remove_incomplete(self, before: datetime) -> int:
        """Remove what writes that broke off before a moment have left; return how many files."""
        return self._backend.remove_incomplete(before)

    def listed(self) -> Iterator[tuple[Listed, str | None]]:
        """Yield every file of the store, with its digest; None for one that is no blob by its name."""
        for file in self._backend.listed():
            digest = file.name.rpartition("/")[2]
            blob = _DIGEST.fullmatch(digest) is not None and file.name == _name(digest)
            yield file, digest if blob else None

    def _damaged(self, digest: str) -> Corrupt:
        return Corrupt(f"blob {digest} in {self.url} is damaged: its bytes do not match", digest=digest)


def _name(digest: str) -> str:
    if _DIGEST.fullmatch(digest) is None:
        raise InvalidInput(f"{digest!r} is not a digest (64 hexadecimal digits)", digest=digest)
    return f"{digest[:2]}/{digest}"
