"""Whether a store is whole: each blob that a record names is there as it was, and each row has its owner.

A check reads and changes nothing. Beside a service at work it looks again at what seems to be wrong: what was
removed meanwhile, with the record that named it, is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from respawn_jobs.errors import Corrupt, NotFound
from respawn_jobs.ledger.blobs import references
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.operations import dangling_rows
from respawn_jobs.store.pieces import in_pieces
from respawn_jobs.store.tables import ArtifactRow, BlobRow, CheckpointRow
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.counting import how_many

Kind = Literal["database", "row", "registry", "manifest", "missing", "size", "bytes"]
_ROWS = 200
_SEAL = 200
"""Bytes that a part of an artifact has at most before its piece; see `artifact_parts.sealed`."""


@dataclass(frozen=True)
class StoreFault:
    """Something that is not as it should be."""

    kind: Kind
    subject: str
    """The digest, or the row."""
    message: str


@dataclass
class StoreCheck:
    """A check of one store; `faults` carries it out."""

    context: Context
    deep: bool = False
    """Whether the bytes of all blobs are read and compared with their digests."""
    progress: Callable[[int], None] = lambda _blobs: None
    """Called with how many blobs were looked at."""
    blobs: int = 0
    bytes: int = 0
    manifests: int = 0
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of a blob the least and the most bytes that it may have, where a record tells."""

    def faults(self) -> Iterator[StoreFault]:
        """Yield what is wrong, as it is found."""
        with self.context.database.session() as session:
            for subject, message in dangling_rows.orphaned_rows(session):
                kind: Kind = "database" if subject == dangling_rows.DATABASE else "row"
                yield StoreFault(kind, subject, message)
        yield from self._checkpoints()
        self._artifacts()
        yield from self._blobs()

    def _checkpoints(self) -> Iterator[StoreFault]:
        """Read every manifest, and learn from it how large its blobs are."""
        read: set[str] = set()
        for row in self._checkpoint_rows():
            if row.manifest in read:
                continue
            read.add(row.manifest)
            self.manifests += 1
            where = f"the checkpoint of {row.run_id} after cell {row.cell}"
            try:
                manifest = Manifest.from_json(self.context.blobs.get(row.manifest))
            except NotFound:
                continue  # reported with the other blobs
            except (Corrupt, ValueError) as error:
                message = f"the manifest {row.manifest} of {where} cannot be read: {error}"
                yield StoreFault("manifest", row.manifest, message)
                continue
            for blob in manifest.blobs:
                self._sizes[blob.digest] = (blob.size, blob.size)
                if blob.digest not in row.blobs:
                    message = f"{where} needs blob {blob.digest}, and its record does not name it"
                    yield StoreFault("registry", blob.digest, message)

    def _checkpoint_rows(self) -> Iterator[CheckpointRow]:
        """Yield all checkpoints, in transactions of their own."""
        key = tuple_(CheckpointRow.run_id, CheckpointRow.attempt, CheckpointRow.cell)
        last: tuple[str, int, int] | None = None
        while True:
            query = select(CheckpointRow).order_by(*key.clauses).limit(_ROWS)
            with self.context.database.session() as session:
                rows = session.scalars(query if last is None else query.where(key > last)).all()
            yield from rows
            if len(rows) < _ROWS:
                return
            last = rows[-1].run_id, rows[-1].attempt, rows[-1].cell

    def _artifacts(self) -> None:
        query = select(ArtifactRow.parts).execution_options(yield_per=_ROWS)
        with self.context.database.session() as session:
            for parts in session.scalars(query):
                for digest, size in parts:
                    self._sizes[digest] = (size, size + _SEAL)

    def _blobs(self) -> Iterator[StoreFault]:
        """Look at every blob that is named."""
        last = ""
        while True:
            with self.context.database.session() as session:
                digests = references.page(session, last, _ROWS)
                registered = _registered(session, digests)
            if not digests:
                return
            sizes = self.context.blobs.sizes(digests)
            for digest, size in zip(digests, sizes, strict=True):
                fault = self._fault(digest, size, registered=digest in registered)
                if fault is not None and self._still_named(digest):
                    yield fault
            last = digests[-1]
            self.progress(self.blobs)

    def _fault(self, digest: str, size: int | None, *, registered: bool) -> StoreFault | None:
        self.blobs += 1
        if size is None:
            return StoreFault("missing", digest, f"blob {digest} is not stored: {self._named(digest)}")
        self.bytes += size
        least, most = self._sizes.get(digest, (0, size))
        if not least <= size <= most:
            message = (
                f"blob {digest} has {how_many(size, 'byte')} and should have {least}: {self._named(digest)}"
            )
            return StoreFault("size", digest, message)
        if self.deep:
            try:
                for _ in self.context.blobs.stream(digest):
                    pass
            except Corrupt:
                message = f"the bytes of blob {digest} are not those that were stored: {self._named(digest)}"
                return StoreFault("bytes", digest, message)
            except NotFound:
                return StoreFault("missing", digest, f"blob {digest} is not stored: {self._named(digest)}")
        if not registered:
            message = f"blob {digest} is not in the registry, or is being removed: {self._named(digest)}"
            return StoreFault("registry", digest, message)
        return None

    def _still_named(self, digest: str) -> bool:
        with self.context.database.session() as session:
            return bool(references.named(session, [digest]))

    def _named(self, digest: str) -> str:
        with self.context.database.session() as session:
            return references.names_of(session, digest)


def _registered(session: Session, digests: list[str]) -> set[str]:
    found: set[str] = set()
    for part in in_pieces(digests):
        query = select(BlobRow.digest).where(BlobRow.digest.in_(part), BlobRow.removing.is_(False))
        found.update(session.scalars(query))
    return found
