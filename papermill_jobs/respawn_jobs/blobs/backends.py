"""Where the bytes of blobs are: files of a directory, or objects of a store that fsspec knows."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from blake3 import blake3

from respawn_jobs.errors import Corrupt, InvalidInput, NotFound, RespawnError, Unavailable
from respawn_kernels.counting import how_many

_CREDENTIALS = re.compile(r"//[^\s/\"']*@")
_SINGLE_PUT = 5 * 2**30
_OF_AN_OBJECT = 2**20
"""Bytes that are read at once of an object."""
_IN_MEMORY = 2**22
"""Bytes of a file that are read as a whole to be put into an object store."""
_OF_A_FILE = 2**18
"""Bytes that are read at once of a file. Whoever reads an answer slowly keeps as many in memory."""
_INCOMPLETE = ".incomplete-"
_REMOVE_SECONDS = 10.0


@dataclass(frozen=True)
class Listed:
    """A file of the store."""

    name: str
    """Its path below the store's root."""
    size: int
    modified: datetime


class Backend(Protocol):
    """What a blob store needs of the place where its bytes are; names are paths below its root."""

    def read(self, name: str) -> bytes: ...  # noqa: D102
    def pieces(self, name: str) -> Iterator[bytes]: ...  # noqa: D102
    def write(self, name: str, source: bytes | Path) -> None: ...  # noqa: D102
    def size(self, name: str) -> int | None: ...  # noqa: D102
    def beginning(self, name: str, size: int) -> bytes: ...  # noqa: D102
    def remove(self, name: str) -> None: ...  # noqa: D102
    def listed(self) -> Iterator[Listed]: ...  # noqa: D102
    def remove_incomplete(self, before: datetime) -> int: ...  # noqa: D102


class Files:
    """Blobs as files of a local directory, without fsspec, which cannot sync and rename."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes:
        """Return all bytes of a file. Raises `NotFound`."""
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces. Raises `NotFound`."""
        try:
            with (self.root / name).open("rb") as file:
                yield from _read(file)
        except FileNotFoundError as error:
            raise _not_found(name) from error
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def write(self, name: str, source: bytes | Path) -> None:
        """Write a file, whole or not at all."""
        path = self.root / name
        try:
            if not path.parent.is_dir():
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.parent.mkdir(exist_ok=True, mode=0o700)
                _sync(self.root)
            if isinstance(source, Path):
                _copy(source, path)
            else:
                with whole(path) as file:
                    file.write(source)
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes; None for none."""
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def beginning(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file. Raises `NotFound`."""
        try:
            with (self.root / name).open("rb") as file:
                return file.read(size)
        except FileNotFoundError as error:
            raise _not_found(name) from error
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            (self.root / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def listed(self) -> Iterator[Listed]:
        """Yield every file of the store."""
        try:
            for directory, _, names in os.walk(self.root):
                for name in names:
                    path = Path(directory) / name
                    with suppress(FileNotFoundError):  # Race: a temporary file that was just renamed
                        status = path.stat()
                        at = datetime.fromtimestamp(status.st_mtime, UTC)
                        yield Listed(str(path.relative_to(self.root)), status.st_size, at)
        except OSError as error:
            raise _unavailable(str(self.root), error) from error

    def remove_incomplete(self, before: datetime) -> int:
        """Remove what writes that broke off before a moment have left; return how many files."""
        removed = 0
        try:
            for directory, _, names in os.walk(self.root):
                for name in names:
                    path = Path(directory) / name
                    with suppress(FileNotFoundError):  # Race: a write that was just completed
                        if name.startswith(_INCOMPLETE) and path.stat().st_mtime < before.timestamp():
                            path.unlink()
                            removed += 1
        except OSError as error:
            raise _unavailable(str(self.root), error) from error
        return removed


class Objects:
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
                address = shown(self.url)
                raise InvalidInput(f"{address} is not a blob store: {error}", url=address) from error

    def read(self, name: str) -> bytes:
        """Return all bytes of a file. Raises `NotFound`."""
        with self._translated(name):
            return bytes(self._filesystem.cat_file(f"{self.url}/{name}"))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces. Raises `NotFound`."""
        path = f"{self.url}/{name}"
        with self._translated(name):
            size = int(self._filesystem.info(path)["size"])
        for start in range(0, size, _OF_AN_OBJECT):
            with self._translated(name):
                piece = bytes(
                    self._filesystem.cat_file(path, start=start, end=min(start + _OF_AN_OBJECT, size))
                )
            yield piece

    def write(self, name: str, source: bytes | Path) -> None:
        """Write a file, whole or not at all.

        Raises:
            InvalidInput: it is larger than one request to an object store may be.
            Unavailable: the object store does not answer, or has no such bucket.
        """
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        if size >= _SINGLE_PUT:
            raise InvalidInput(
                f"blob {name} has {how_many(size, 'byte')}; an object store takes less than {_SINGLE_PUT}"
            )
        s3 = urlsplit(self.url).scheme == "s3"
        with self._translated(name):
            try:
                if s3 and isinstance(source, Path) and size > _IN_MEMORY:
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
        """Return the size of a file in bytes; None for none."""
        with self._translated(name):
            try:
                return int(self._filesystem.info(f"{self.url}/{name}")["size"])
            except FileNotFoundError:
                return None

    def beginning(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file. Raises `NotFound`."""
        with self._translated(name):
            return bytes(self._filesystem.cat_file(f"{self.url}/{name}", start=0, end=size))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there. Given up within ten seconds: later it might be another's."""
        with self._translated(name):
            if urlsplit(self.url).scheme == "s3":
                self._remove_object(name)
                return
            try:
                self._filesystem.rm_file(f"{self.url}/{name}")
            except FileNotFoundError:
                return

    def _remove_object(self, name: str) -> None:
        from fsspec.asyn import sync

        filesystem = self._filesystem
        bucket, key, _ = filesystem.split_path(f"{self.url}/{name}")

        async def remove() -> None:
            client = await filesystem.set_session()
            # The client's own limit is a minute, and then it tries again.
            await asyncio.wait_for(client.delete_object(Bucket=bucket, Key=key), _REMOVE_SECONDS)

        sync(filesystem.loop, remove)

    def listed(self) -> Iterator[Listed]:
        """Yield every file of the store."""
        root = self._filesystem._strip_protocol(self.url).rstrip("/") + "/"
        with self._translated():
            for _, _, files in self._filesystem.walk(self.url, detail=True):
                for path, details in sorted(files.items()):
                    full = str(details.get("name") or path)
                    at = details.get("LastModified") or details.get("mtime") or details.get("created")
                    if isinstance(at, int | float):
                        at = datetime.fromtimestamp(at, UTC)
                    if isinstance(at, datetime):  # what does not tell its age is never old
                        yield Listed(full.removeprefix(root), int(details.get("size") or 0), at)

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

    def remove_incomplete(self, before: datetime) -> int:
        """Return zero: what is put by a single PUT is there as a whole or not at all."""
        return 0


def _not_found(name: str) -> NotFound:
    digest = name.rpartition("/")[2]
    return NotFound(f"blob {digest} is not stored", digest=digest)


def _unavailable(where: str, error: Exception) -> Unavailable:
    place, reason = shown(where), f"{type(error).__name__}: {error}"
    parts = urlsplit(where)
    for secret in (parts.netloc.rpartition("@")[0], parts.query, parts.password):
        reason = reason.replace(secret, "…") if secret else reason
    return Unavailable(
        f"the blob store {place} does not answer: {_CREDENTIALS.sub('//', reason)}", store=place
    )


def shown(url: str) -> str:
    """Return a URL without the credentials in it: who it is opened as, and its query."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_OF_A_FILE):
        yield piece


def _copy(source: Path, path: Path) -> None:
    """Copy a file, hashed again as it is read: it may have changed since its digest was taken."""
    hasher = blake3()
    with source.open("rb") as original, whole(path) as file:
        for piece in _read(original):
            hasher.update(piece)
            file.write(piece)
        if hasher.hexdigest() != path.name:
            raise Corrupt(f"{source} changed while it was stored as blob {path.name}", digest=path.name)


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """Write a file piece by piece; it is there, on the disk, when the block ends, or absent."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_INCOMPLETE)
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
