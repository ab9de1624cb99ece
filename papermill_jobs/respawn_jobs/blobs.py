"""Blobs: bytes named by their BLAKE3 digest, on files or in an object store.

    file:///var/lib/respawn/blobs     <root>/ab/<digest>, each written to a temporary file, synced, renamed
    s3://bucket/prefix                <prefix>/ab/<digest>, each written by a single PUT

A name always means the same bytes, so writing twice is harmless and nothing is ever overwritten with
something else. Bytes are verified when they come in and when they are read. Files and streams pass through in
pieces, so a blob may be larger than memory. Blobs of 5 GB and more do not fit a single PUT and are refused by
an object store. Other fsspec URLs work as far as their writes are whole.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from blake3 import blake3

from respawn_jobs.errors import Corrupt, InvalidInput, NotFound, RespawnError, Unavailable
from respawn_kernels.digest import digest_of, digest_of_file

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CREDENTIALS = re.compile(r"//[^\s/\"']*@")
_SINGLE_PUT = 5 * 2**30
_PARALLEL = 16
_PIECE = 4 * 2**20


class _Backend(Protocol):
    def read(self, name: str) -> bytes: ...
    def pieces(self, name: str) -> Iterator[bytes]: ...
    def write(self, name: str, source: bytes | Path) -> None: ...
    def size(self, name: str) -> int | None: ...
    def beginning(self, name: str, size: int) -> bytes: ...
    def remove(self, name: str) -> None: ...


class BlobStore:
    """Content-addressed bytes behind one URL."""

    def __init__(self, url: str, **storage_options: Any) -> None:
        """Open the store at `url`; `storage_options` go to fsspec. A directory is made on first use."""
        self.url = _shown(url)
        """The URL without the credentials that it may carry."""
        parts = urlsplit(url)
        if parts.scheme == "file" or not parts.scheme:
            self._backend: _Backend = _Files(Path(unquote(parts.path)))
        else:
            self._backend = _Objects(url, storage_options)

    def put(self, digest: str, source: bytes | Path) -> None:
        """Store bytes, or a file's, under `digest`. Raises `Corrupt` when they do not match it.

        A blob that is there with another size was cut short, by a full disk for instance; it is replaced.
        """
        name = _name(digest)
        if isinstance(source, Path):
            actual, size = digest_of_file(source), source.stat().st_size
        else:
            actual, size = digest_of(source), len(source)
        if actual != digest:
            raise Corrupt(f"the bytes sent for blob {digest} have the digest {actual}", digest=digest)
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
        """Yield a blob's bytes in pieces of a few MB.

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
        """Tell whether a blob is stored."""
        return self._backend.size(_name(digest)) is not None

    def missing(self, digests: list[str]) -> list[str]:
        """Return those of `digests` that are not stored, in order, each once."""
        names = [_name(digest) for digest in dict.fromkeys(digests)]
        if isinstance(self._backend, _Files) or len(names) < 2:
            sizes = [self._backend.size(name) for name in names]
        else:
            with ThreadPoolExecutor(min(_PARALLEL, len(names))) as pool:
                sizes = list(pool.map(self._backend.size, names))
        return [name.rpartition("/")[2] for name, size in zip(names, sizes, strict=True) if size is None]

    def open_to(self, digest: str, path: Path) -> None:
        """Write a blob to `path`, verified and whole."""
        with _whole(path) as file:
            for piece in self.stream(digest):
                file.write(piece)

    def beginning(self, digest: str, size: int) -> bytes:
        """Return the first bytes of a blob, unverified. Raises `NotFound`."""
        return self._backend.beginning(_name(digest), size)

    def remove(self, digest: str) -> None:
        """Remove a blob for good. The caller knows that nothing names it, and nothing is about to."""
        self._backend.remove(_name(digest))

    def _damaged(self, digest: str) -> Corrupt:
        return Corrupt(f"blob {digest} in {self.url} is damaged: its bytes do not match", digest=digest)


class _Files:
    """Blobs as files of a local directory, without fsspec, which cannot sync and rename."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes:
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            with (self.root / name).open("rb") as file:
                yield from _read(file)
        except FileNotFoundError as error:
            raise _not_found(name) from error
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def write(self, name: str, source: bytes | Path) -> None:
        path = self.root / name
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                _sync(self.root)
            if isinstance(source, Path):
                _copy(source, path)
            else:
                with _whole(path) as file:
                    file.write(source)
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def size(self, name: str) -> int | None:
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def beginning(self, name: str, size: int) -> bytes:
        try:
            with (self.root / name).open("rb") as file:
                return file.read(size)
        except FileNotFoundError as error:
            raise _not_found(name) from error
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def remove(self, name: str) -> None:
        try:
            (self.root / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(str(self.root), error) from error


class _Objects:
    """Blobs as objects of a store that fsspec knows, each written by one PUT."""

    def __init__(self, url: str, storage_options: dict[str, Any]) -> None:
        self.url = url.rstrip("/")
        self.options = storage_options

    @cached_property
    def _filesystem(self) -> Any:
        import fsspec

        scheme = urlsplit(self.url).scheme
        # Another process may have written since: a listing that was remembered would say "missing". And
        # fsspec would hand out the connection of another store of this process, with its credentials.
        fresh = {"use_listings_cache": False, "skip_instance_cache": True}
        options = {**fresh, **self.options} if scheme == "s3" else self.options
        with self._translated():
            try:
                return fsspec.filesystem(scheme, **options)
            except ValueError as error:
                shown = _shown(self.url)
                raise InvalidInput(f"{shown} is not a blob store: {error}", url=shown) from error

    def read(self, name: str) -> bytes:
        with self._translated(name):
            return bytes(self._filesystem.cat_file(f"{self.url}/{name}"))

    def pieces(self, name: str) -> Iterator[bytes]:
        path = f"{self.url}/{name}"
        with self._translated(name):
            size = int(self._filesystem.info(path)["size"])
        for start in range(0, size, _PIECE):
            with self._translated(name):
                piece = bytes(self._filesystem.cat_file(path, start=start, end=min(start + _PIECE, size)))
            yield piece

    def write(self, name: str, source: bytes | Path) -> None:
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        if size >= _SINGLE_PUT:
            raise InvalidInput(f"blob {name} has {size} bytes; an object store takes less than {_SINGLE_PUT}")
        s3 = urlsplit(self.url).scheme == "s3"
        with self._translated(name):
            try:
                if s3 and isinstance(source, Path) and size > _PIECE:
                    self._put_file(name, source)
                elif isinstance(source, Path) and not s3:
                    self._filesystem.put_file(str(source), f"{self.url}/{name}")
                else:
                    data = source.read_bytes() if isinstance(source, Path) else source
                    options = {"chunksize": _SINGLE_PUT} if s3 else {}
                    self._filesystem.pipe_file(f"{self.url}/{name}", data, **options)
            except FileNotFoundError as error:  # what is not found when writing is the bucket
                raise _unavailable(self.url, error) from error

    def _put_file(self, name: str, source: Path) -> None:
        """Send a file by one PUT without holding it in memory.

        s3fs reads the whole file for that, and its retry would send an open file from where it ended the
        first time; the client below it streams, and goes back to the start when it tries again.
        """
        from fsspec.asyn import sync

        filesystem = self._filesystem
        bucket, key, _ = filesystem.split_path(f"{self.url}/{name}")

        async def send() -> None:
            client = await filesystem.set_session()
            with source.open("rb") as body:
                await client.put_object(Bucket=bucket, Key=key, Body=body)

        sync(filesystem.loop, send)

    def size(self, name: str) -> int | None:
        with self._translated(name):
            try:
                return int(self._filesystem.info(f"{self.url}/{name}")["size"])
            except FileNotFoundError:
                return None

    def beginning(self, name: str, size: int) -> bytes:
        with self._translated(name):
            return bytes(self._filesystem.cat_file(f"{self.url}/{name}", start=0, end=size))

    def remove(self, name: str) -> None:
        with self._translated(name):
            try:
                self._filesystem.rm_file(f"{self.url}/{name}")
            except FileNotFoundError:
                return

    @contextmanager
    def _translated(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except RespawnError:
            raise
        except FileNotFoundError as error:
            raise _not_found(name) from error
        except Exception as error:  # botocore, aiohttp and OSError: all mean that the store did not answer
            raise _unavailable(self.url, error) from error


def _name(digest: str) -> str:
    if _DIGEST.fullmatch(digest) is None:
        raise InvalidInput(f"{digest!r} is not a digest (64 hexadecimal digits)", digest=digest)
    return f"{digest[:2]}/{digest}"


def _not_found(name: str) -> NotFound:
    digest = name.rpartition("/")[2]
    return NotFound(f"blob {digest} is not stored", digest=digest)


def _unavailable(where: str, error: Exception) -> Unavailable:
    shown, reason = _shown(where), f"{type(error).__name__}: {error}"
    parts = urlsplit(where)
    for secret in (parts.netloc.rpartition("@")[0], parts.query, parts.password):
        reason = reason.replace(secret, "…") if secret else reason
    return Unavailable(
        f"the blob store {shown} does not answer: {_CREDENTIALS.sub('//', reason)}", store=shown
    )


def _shown(url: str) -> str:
    """Return a URL without the credentials in it: who it is opened as, and its query."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _copy(source: Path, path: Path) -> None:
    """Copy a file, hashed again as it is read: it may have changed since its digest was taken."""
    hasher = blake3()
    with source.open("rb") as original, _whole(path) as file:
        for piece in _read(original):
            hasher.update(piece)
            file.write(piece)
        if hasher.hexdigest() != path.name:
            raise Corrupt(f"{source} changed while it was stored as blob {path.name}", digest=path.name)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """Write a file piece by piece; it is there, on the disk, when the block ends, or absent."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".incomplete-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _sync(directory: Path) -> None:
    """Wait until the disk has a directory's names."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
