"""Where backups are: a directory or an object store, with one document for each backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from respawn_jobs.blobs.backends import Listed
from respawn_jobs.blobs.blob_store import BlobStore
from respawn_jobs.errors import Corrupt, InvalidInput, NotFound
from respawn_jobs.keyring import Purpose
from respawn_jobs.ledger.context.audit_anchor import Head
from respawn_kernels.digest import digest_of

PIECE_BYTES = 64 << 20
PARALLEL = 8
_SUFFIX = ".json"
_MARKS = (".making-", ".pruning-")


class BackupPiece(BaseModel):
    """A part of a long text, as a blob."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    size: int


class Document(BaseModel):
    """What a backup is: enough to bring it back and to check it, and no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    made_at: datetime
    version: str
    """Of Respawn."""
    database: Literal["sqlite", "postgresql"]
    revision: str
    """Of the schema."""
    dump: list[BackupPiece]
    """The database: an SQLite file, or an archive of pg_dump."""
    listing: list[BackupPiece]
    """One line for each blob that the database names: its digest and size."""
    blobs: int
    bytes: int
    missing: list[str]
    """Digests that the database names, and whose bytes were gone or damaged when the backup was made."""
    executing: int
    """Attempts that were open at that moment."""
    audit: Head | None
    keys: dict[Purpose, list[str]]
    """Ids of the keys that the service had."""
    keys_included: bool


class BackupTarget:
    """A target of backups, or their source."""

    def __init__(self, url: str) -> None:
        """Name a directory, by its path, or an fsspec URL such as `s3://bucket/prefix`."""
        base = url.rstrip("/") if "://" in url else Path(url).expanduser().absolute().as_uri()
        self.blobs = BlobStore(f"{base}/blobs")
        self._documents = BlobStore(f"{base}/backups").backend
        self.url = self.blobs.url.removesuffix("/blobs")

    def ids(self) -> list[str]:
        """Return the ids of all whole backups, oldest first."""
        names = (file.name for file in self._documents.listed())
        return sorted(name.removesuffix(_SUFFIX) for name in names if _is_document(name))

    def document(self, backup: str | None = None) -> Document:
        """Return a backup's document, by default the newest one's.

        Raises:
            NotFound: there is no such backup.
            InvalidInput: its document cannot be read by this version.
        """
        known = self.ids()
        if not known or (backup is not None and backup not in known):
            there_are = f"it has {', '.join(known[-5:])}" if known else "it has none"
            raise NotFound(f"there is no backup {backup or ''} in {self.url}: {there_are}".replace("  ", " "))
        name = backup or known[-1]
        try:
            return Document.model_validate_json(self._documents.read(name + _SUFFIX))
        except ValidationError as error:
            raise InvalidInput(
                f"backup {name} in {self.url} cannot be read by this version: its document is damaged, or "
                "of a newer one"
            ) from error

    def publish(self, document: Document, keys: str | None) -> None:
        """Make a backup be there, all of whose blobs are stored."""
        if keys is not None:
            self._documents.write(f"{document.id}.keys", keys.encode())
        self._documents.write(document.id + _SUFFIX, (document.model_dump_json(indent=1) + "\n").encode())

    def forget(self, document: Document) -> None:
        """Make a backup be there no more; its blobs stay."""
        self._documents.remove(document.id + _SUFFIX)
        self._documents.remove(f"{document.id}.keys")

    def marks(self) -> list[Listed]:
        """Return the files by which those who write to the target say so."""
        return [file for file in self._documents.listed() if file.name.startswith(_MARKS)]

    def mark(self, name: str) -> None:
        """Put such a file into the target, or make it new again."""
        self._documents.write(name, b"")

    def unmark(self, name: str) -> None:
        """Take such a file away."""
        self._documents.remove(name)

    def keys(self, document: Document) -> str | None:
        """Return the keys that were put into a backup; None when there are none."""
        return self._documents.read(f"{document.id}.keys").decode() if document.keys_included else None

    def store_file(self, path: Path) -> list[BackupPiece]:
        """Store a file in pieces."""
        pieces = []
        with path.open("rb") as file:
            while data := file.read(PIECE_BYTES):
                pieces.append(BackupPiece(digest=digest_of(data), size=len(data)))
                self.blobs.put(pieces[-1].digest, data)
        return pieces

    def fetch_file(self, pieces: list[BackupPiece], path: Path) -> None:
        """Write pieces to a file, verified. Raises `NotFound`, `Corrupt`."""
        with path.open("wb") as file:
            for piece in pieces:
                file.write(self.blobs.get(piece.digest))


def listed(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the digests and sizes of a listing."""
    with path.open() as lines:
        for line in lines:
            digest, size = line.split()
            yield digest, int(size)


def copied(
    source: BlobStore,
    target: BlobStore,
    digests: list[str],
    scratch: Path,
    failed: Callable[[str, Exception], None],
) -> dict[str, int]:
    """Copy blobs, verified, several at once; return the sizes of those that are in the target now.

    Args:
        source: where they are.
        target: where they go.
        digests: which; each once.
        scratch: a directory for large ones on their way.
        failed: called for each blob that is missing or damaged in the source; may raise.
    """

    def copy(digest: str, size: int | None) -> int | None:
        try:
            if size is not None and size <= PIECE_BYTES // 16:
                target.put(digest, source.get(digest))
                return size
            path = scratch / digest
            try:
                source.open_to(digest, path)
                target.put(digest, path)
                return path.stat().st_size
            finally:
                path.unlink(missing_ok=True)
        except (NotFound, Corrupt) as error:
            failed(digest, error)
        return None

    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="respawn-backup") as pool:
        sizes = list(pool.map(copy, digests, source.sizes(digests)))
    return {digest: size for digest, size in zip(digests, sizes, strict=True) if size is not None}


def _is_document(name: str) -> bool:
    return name.endswith(_SUFFIX) and "/" not in name and not name.startswith(".")
