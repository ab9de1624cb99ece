"""One run as one file: a zip archive that people can look into and another store can take over.

    run-7k3v9x0m2q.ipynb      the executed notebook
    blobs/ab/<digest>         notebooks, outputs, states and parts of artifacts, each under its BLAKE3
    manifest.json             what was recorded of the run, and digest and size of each member above

Members are stored, not compressed: what a reader unpacks is never more than the file itself. The manifest
comes last, because digests and sizes are known only once the members are written.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from blake3 import blake3
from pydantic import BeforeValidator, Field, ValidationError

from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.base import Many, Model, check_elements
from respawn_jobs.model.checkpoints import Checkpoint
from respawn_jobs.model.jobs import Version
from respawn_jobs.model.runs import Attempt, CellRecord, Run
from respawn_jobs.model.settings import JobSettings
from respawn_jobs.model.validation_errors import wanted
from respawn_kernels.sizes import how_large

FORMAT = 1
MANIFEST = "manifest.json"
_MAX_MEMBERS = 500_000
_MAX_MANIFEST_BYTES = 16 << 20
_PIECE = 4 << 20
_ENCRYPTED = 0x1
_NAME = re.compile(r"run-[0-9a-z]{10}\.ipynb|blobs/([0-9a-f]{2})/\1[0-9a-f]{62}|manifest\.json")


class Member(Model):
    """A file of the archive."""

    digest: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0)


def _first_wrong(members: Any) -> Any:
    """Refuse members at the first that is none: each wrong one would be reported."""
    for name, member in members.items() if isinstance(members, dict) else ():
        if not isinstance(member, dict) or set(member) != {"digest", "size"}:
            raise ValueError(f"{name[:200]} has no digest and size")
    return members


class ArchivedCell(CellRecord):
    """A cell of one attempt."""

    attempt: int = Field(ge=0)


class ArchivedCheckpoint(Checkpoint):
    """A checkpoint of one attempt; its data are members."""

    attempt: int = Field(ge=0)
    blobs: Many[str]


class ArchiveManifest(Model):
    """What was recorded of an archived run."""

    kind: Literal["respawn-run"] = "respawn-run"
    format: int = FORMAT
    exported_by: str
    exported_at: datetime
    run: Run
    lock: str | None
    settings: JobSettings
    skeleton: str | None
    version: Version
    attempts: Many[Attempt]
    cells: Many[ArchivedCell]
    checkpoints: Many[ArchivedCheckpoint]
    artifacts: Many[Artifact]
    members: Annotated[dict[str, Member], BeforeValidator(_first_wrong)]

    def digests(self) -> set[str]:
        """Return all digests that the records name."""
        named = {self.version.notebook, self.version.bundle, self.run.notebook, self.skeleton}
        named |= {cell.outputs for cell in self.cells}
        for checkpoint in self.checkpoints:
            named |= {checkpoint.manifest, *checkpoint.blobs}
        for artifact in self.artifacts:
            named |= {part.digest for part in artifact.parts}
        return {digest for digest in named if digest is not None}


def blob_name(digest: str) -> str:
    """Return the member that holds a blob."""
    return f"blobs/{digest[:2]}/{digest}"


def written(
    members: Iterable[tuple[str, Iterator[bytes]]], manifest: Callable[[dict[str, Member]], ArchiveManifest]
) -> Iterator[bytes]:
    """Yield an archive as it is written.

    Args:
        members: names and the pieces of their bytes, read one after the other.
        manifest: makes the manifest once digests and sizes of all members are known.
    """
    pipe, known = _Pipe(), dict[str, Member]()
    with zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]  # it needs no more than `write`
        for name, pieces in members:
            hasher, size = blake3(), 0
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                for piece in pieces:
                    hasher.update(piece)
                    size += len(piece)
                    file.write(piece)
                    yield from pipe.taken()
            known[name] = Member(digest=hasher.hexdigest(), size=size)
        archive.writestr(zipfile.ZipInfo(MANIFEST), manifest(known).model_dump_json(indent=1))
        yield from pipe.taken()
    yield from pipe.taken()


@dataclass(frozen=True)
class Archive:
    """An archive whose every byte was checked."""

    manifest: ArchiveManifest
    _zip: zipfile.ZipFile

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member."""
        with self._zip.open(name) as file:
            yield file


@contextmanager
def verified(path: Path) -> Iterator[Archive]:
    """Open an archive once all of it was checked.

    Raises `InvalidInput` naming what is wrong: no archive of a run, a newer format, a member too many or too
    few, a name that leads elsewhere, bytes that do not match their digest, a record whose blob is missing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = _members(archive, path.stat().st_size)
            manifest = _manifest(archive)
            _compare(manifest, {name for name in infos if name != MANIFEST})
            for name, member in manifest.members.items():
                _check_bytes(archive, name, member)
            yield Archive(manifest, archive)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise InvalidInput(f"this is no whole archive of a run: {error}") from error


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    infos: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > _MAX_MEMBERS:
        raise InvalidInput(f"the archive has more than {_MAX_MEMBERS} members")
    for info in archive.infolist():
        if _NAME.fullmatch(info.filename) is None:
            raise InvalidInput(f"{info.filename[:200]!r} does not belong into an archive of a run")
        if info.filename in infos:
            raise InvalidInput(f"{info.filename} is twice in the archive")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            raise InvalidInput(
                f"{info.filename} is compressed or encrypted; members of an archive are stored"
            )
        infos[info.filename] = info
    if sum(info.file_size for info in infos.values()) > size:
        raise InvalidInput("the archive's members overlap: they claim more bytes than it has")
    if MANIFEST not in infos:
        raise InvalidInput(f"this is no archive of a run: it has no {MANIFEST}")
    if infos[MANIFEST].file_size > _MAX_MANIFEST_BYTES:
        raise InvalidInput(f"{MANIFEST} is larger than {how_large(_MAX_MANIFEST_BYTES)}")
    return infos


def _manifest(archive: zipfile.ZipFile) -> ArchiveManifest:
    try:
        text = archive.read(MANIFEST)
        check_elements(text)
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{MANIFEST} is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "respawn-run":
        raise InvalidInput(f"{MANIFEST} does not describe a run of Respawn")
    if document.get("format") != FORMAT:
        raise InvalidInput(
            f"the archive has format {str(document.get('format'))[:20]}; this version of Respawn reads "
            f"{FORMAT}: import it with the version that made it, or a newer one"
        )
    try:
        return ArchiveManifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(place) for place in first["loc"])
        raise InvalidInput(f"{MANIFEST} is wrong at {where[:200]}: it {wanted(first)}") from error


def _compare(manifest: ArchiveManifest, names: set[str]) -> None:
    members = set(manifest.members)
    for name in sorted(names ^ members)[:1]:
        where = "not in the manifest" if name in names else "not in the archive"
        raise InvalidInput(f"{name[:200]} is {where}")
    known = {member.digest for member in manifest.members.values()}
    for digest in sorted(manifest.digests() - known)[:1]:
        raise InvalidInput(f"blob {digest[:80]}, which the run's records name, is not in the archive")


def _check_bytes(archive: zipfile.ZipFile, name: str, member: Member) -> None:
    hasher, size = blake3(), 0
    with archive.open(name) as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
            size += len(piece)
    if (hasher.hexdigest(), size) != (member.digest, member.size):
        raise InvalidInput(f"{name} is damaged: its bytes do not match the manifest")
    if name.startswith("blobs/") and name != blob_name(member.digest):
        raise InvalidInput(f"{name} holds the bytes of another blob")


class _Pipe:
    """What a zip archive is written to: bytes wait here until they are taken."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def taken(self) -> Iterator[bytes]:
        waiting, self._waiting = self._waiting, []
        if waiting:
            yield b"".join(waiting)
