"""Blobs: bytes named by their BLAKE3 digest, on files or in an object store.

    file:///var/lib/respawn/blobs     <root>/ab/<digest>, each written to a temporary file, synced, renamed
    s3://bucket/prefix                <prefix>/ab/<digest>, each written by a single PUT

A name always means the same bytes, so writing twice is harmless and nothing is ever overwritten with
something else. Bytes are verified when they come in and when they are read. Blobs of 5 GB and more do not
fit a single PUT and are refused by an object store. Other fsspec URLs work as far as their writes are whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from respawn_jobs.errors import Corrupt, InvalidInput, NotFound, RespawnError, Unavailable
from respawn_kernels.digest import digest_of, digest_of_file, write_whole

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SINGLE_PUT = 5 * 2**30
_PARALLEL = 16


class _Backend(Protocol):
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, source: bytes | Path) -> None: ...
    def exists(self, name: str) -> bool: ...


class BlobStore:
    """Content-addressed bytes behind one URL."""

    def __init__(self, url: str, **storage_options: Any) -> None:
        """Open the store at `url`; `storage_options` go to fsspec. A directory is made on first use."""
        self.url = url
        parts = urlsplit(url)
        if parts.scheme == "file" or not parts.scheme:
            self._backend: _Backend = _Files(Path(unquote(parts.path)))
        else:
            self._backend = _Objects(url, storage_options)

    def put(self, digest: str, source: bytes | Path) -> None:
        """Store bytes, or a file's, under `digest`. Raises `Corrupt` when they do not match it."""
        name = _name(digest)
        actual = digest_of_file(source) if isinstance(source, Path) else digest_of(source)
        if actual != digest:
            raise Corrupt(f"the bytes sent for blob {digest} have the digest {actual}", digest=digest)
        if not self._backend.exists(name):
            self._backend.write(name, source)

    def put_bytes(self, data: bytes) -> str:
        """Store bytes and return their digest."""
        digest = digest_of(data)
        name = _name(digest)
        if not self._backend.exists(name):
            self._backend.write(name, data)
        return digest

    def get(self, digest: str) -> bytes:
        """Return a blob's bytes. Raises `NotFound`, or `Corrupt` when they no longer match their name."""
        data = self._backend.read(_name(digest))
        if digest_of(data) != digest:
            raise Corrupt(f"blob {digest} in {self.url} is damaged: its bytes do not match", digest=digest)
        return data

    def exists(self, digest: str) -> bool:
        """Tell whether a blob is stored."""
        return self._backend.exists(_name(digest))

    def missing(self, digests: list[str]) -> list[str]:
        """Return those of `digests` that are not stored, in order, each once."""
        names = [_name(digest) for digest in dict.fromkeys(digests)]
        if isinstance(self._backend, _Files) or len(names) < 2:
            present = [self._backend.exists(name) for name in names]
        else:
            with ThreadPoolExecutor(min(_PARALLEL, len(names))) as pool:
                present = list(pool.map(self._backend.exists, names))
        return [name.rpartition("/")[2] for name, there in zip(names, present, strict=True) if not there]

    def open_to(self, digest: str, path: Path) -> None:
        """Write a blob to `path`, verified and whole."""
        write_whole(path, self.get(digest))


class _Files:
    """Blobs as files of a local directory, without fsspec, which cannot sync and rename."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError as error:
            raise _not_found(name) from error
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def write(self, name: str, source: bytes | Path) -> None:
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, source.read_bytes() if isinstance(source, Path) else source)
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()


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
                raise InvalidInput(f"{self.url} is not a blob store: {error}", url=self.url) from error

    def read(self, name: str) -> bytes:
        with self._translated(name):
            return bytes(self._filesystem.cat_file(f"{self.url}/{name}"))

    def write(self, name: str, source: bytes | Path) -> None:
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        if size >= _SINGLE_PUT:
            raise InvalidInput(f"blob {name} has {size} bytes; an object store takes less than {_SINGLE_PUT}")
        data = source.read_bytes() if isinstance(source, Path) else source
        options = {"chunksize": _SINGLE_PUT} if urlsplit(self.url).scheme == "s3" else {}
        with self._translated(name):
            try:
                self._filesystem.pipe_file(f"{self.url}/{name}", data, **options)
            except FileNotFoundError as error:  # what is not found when writing is the bucket
                raise _unavailable(self.url, error) from error

    def exists(self, name: str) -> bool:
        with self._translated(name):
            try:
                self._filesystem.info(f"{self.url}/{name}")
            except FileNotFoundError:
                return False
            return True

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
    return Unavailable(
        f"the blob store {where} does not answer: {type(error).__name__}: {error}", store=where
    )
