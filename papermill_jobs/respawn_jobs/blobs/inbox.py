"""The inbox: where objects are put that make runs. A directory or an object store, named by one fsspec URL.

    <inbox>/user/<name>/…     objects of a person's own jobs
    <inbox>/team/<group>/…    objects of a team's jobs

Nothing outside a namespace's own directory is ever listed: symbolic links are not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from respawn_jobs.errors import InvalidInput, RespawnError, Unavailable

MAX_OBJECTS = 50_000
"""Objects under one prefix; finished ones are to be moved away or removed."""
_PREFIX = 500
_NOT_IN_PATHS = re.compile(r"[\x00-\x1f\x7f\\*?\[\]]")
_S3 = {
    "use_listings_cache": False,
    "skip_instance_cache": True,
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 1}},
}


@dataclass(frozen=True)
class Appeared:
    """An object as one poke sees it."""

    name: str
    """Its path below the prefix."""
    address: str
    """Its path, or its URL in an object store."""
    mark: str
    """What changes when it is written again: its ETag, or size, and its time."""


class Inbox:
    """Lists the objects under prefixes."""

    def __init__(self, url: str) -> None:
        """Prepare the inbox at `url`, a path or an fsspec URL; nothing is connected yet."""
        parts = urlsplit(url)
        self._scheme = parts.scheme if parts.scheme not in ("", "file") else ""
        self._secrets = (parts.netloc.rpartition("@")[0], parts.query, parts.password)
        self._root = unquote(parts.path) if not self._scheme else url.rstrip("/")
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        self._shown = (self._root if not self._scheme else shown).rstrip("/")

    def address(self, namespace: str, prefix: str) -> str:
        """Return where the objects of a prefix are put, without credentials. Raises `InvalidInput`."""
        return "/".join([self._shown, *_parts(namespace), *_parts(prefix)])

    def list_objects(self, namespace: str, prefix: str) -> list[Appeared]:
        """Return all objects under a prefix of a namespace; a prefix without any may be missing.

        Names whose last part begins with a dot are left out: files on their way, by custom.

        Raises:
            InvalidInput: the prefix leads elsewhere.
            Unavailable: the store does not answer, or there are too many objects.
        """
        address = self.address(namespace, prefix)
        parts = [*_parts(namespace), *_parts(prefix)]
        listed = self._files(parts, address) if not self._scheme else self._objects(parts, address)
        try:
            found = list(islice(listed, MAX_OBJECTS + 1))
        except RespawnError:
            raise
        except Exception as error:  # botocore, aiohttp, OSError: all mean that the store did not answer
            raise Unavailable(f"the inbox {self._shown} does not answer: {self._reason_of(error)}") from error
        if len(found) > MAX_OBJECTS:
            raise Unavailable(f"{address} holds more than {MAX_OBJECTS} objects; move some away")
        return found

    def _files(self, parts: list[str], address: str) -> Iterator[Appeared]:
        root = Path(self._root).resolve(strict=True)
        base = root.joinpath(*parts)
        if not base.exists():
            return
        if base.resolve() != base:
            raise InvalidInput(f"{address} leads elsewhere: it is a symbolic link, or is behind one")
        for directory, _, names in os.walk(base, onerror=_message_unless_gone):
            for name in sorted(names):
                path = Path(directory, name)
                if name.startswith(".") or path.is_symlink() or not path.is_file():
                    continue
                try:
                    status = path.stat()
                except FileNotFoundError:  # moved away since it was listed
                    continue
                mark = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
                yield Appeared(path.relative_to(base).as_posix(), str(path), mark)

    def _objects(self, parts: list[str], address: str) -> Iterator[Appeared]:
        base = "/".join([self._filesystem._strip_protocol(self._root), *parts])
        listed = self._filesystem.find(base, detail=True)
        for path, details in sorted(listed.items()):
            name = path.removeprefix(f"{base}/")
            if name == path or name.endswith("/") or name.rpartition("/")[2].startswith("."):
                continue
            yield Appeared(name, f"{address}/{name}", _mark(details))

    @cached_property
    def _filesystem(self) -> Any:
        import fsspec

        try:
            return fsspec.filesystem(self._scheme, **(_S3 if self._scheme == "s3" else {}))
        except (ValueError, ImportError) as error:
            raise InvalidInput(f"{self._shown} is not an inbox: {self._reason_of(error)}") from error

    def _reason_of(self, error: Exception) -> str:
        reason = f"{type(error).__name__}: {error}"
        for secret in self._secrets:
            reason = reason.replace(secret, "…") if secret else reason
        return reason[:500]


def _message_unless_gone(error: OSError) -> None:
    """Raise what kept a directory from being listed, unless it was removed meanwhile."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _parts(path: str) -> list[str]:
    """Return the parts of a namespace or prefix. Raises `InvalidInput` for what leads elsewhere."""
    path = path.strip("/")
    parts = path.split("/") if path else []
    if len(path) > _PREFIX or any(part in ("", ".", "..") for part in parts) or _NOT_IN_PATHS.search(path):
        raise InvalidInput(
            f"{path[:80]!r} is not a prefix of the inbox: write names separated by '/', such as "
            f"incoming/orders, without '.', '..', '\\', '*', '?', '[' and ']'; {_PREFIX} characters at most",
            prefix=path[:80],
        )
    return parts


def _mark(details: dict[str, Any]) -> str:
    content = str(details.get("ETag") or details.get("etag") or details.get("size")).strip('"')
    at = details.get("LastModified") or details.get("mtime") or details.get("created") or ""
    return f"{content}-{at.timestamp() if isinstance(at, datetime) else at}"[:255]
