"""An artifact as its kernel knows it, and as the service keeps it: one made from the other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath

from respawn_jobs.model.artifacts import Artifact, ArtifactPart
from respawn_kernels.exchange.artifact_records import ArtifactRecord, file_name


def record_of(artifact: Artifact) -> ArtifactRecord:
    """Return a stored artifact as the kernel knows it."""
    suffix = "".join(PurePosixPath(artifact.file).suffixes[-2:]) if artifact.kind != "file" else ""
    return ArtifactRecord(
        name=artifact.name,
        number=artifact.number,
        kind=artifact.kind,
        type=artifact.type,
        description=artifact.description,
        size=artifact.size,
        saved_at=artifact.saved_at.isoformat(timespec="milliseconds"),
        file=f"{file_name(artifact.name)}.before-{artifact.number}{suffix}",
        cell=artifact.cell,
        meta=artifact.meta,
    )


def artifact_of(record: ArtifactRecord, parts: list[ArtifactPart]) -> Artifact:
    """Return what a kernel saved as the service keeps it."""
    # The kernel's file is `<name>.<something of its own><suffix>`.
    suffix = "".join(record.file.removeprefix(f"{record.name}.").partition(".")[1:])
    named = record.meta.get("name") if record.kind == "file" else None
    try:
        saved_at = datetime.fromisoformat(record.saved_at)
    except ValueError:
        saved_at = datetime.now(UTC)
    return Artifact(
        name=record.name,
        number=record.number,
        kind=record.kind,
        type=record.type,
        description=record.description,
        file=str(named or f"{record.name}{suffix}"),
        size=sum(part.size for part in parts),
        saved_at=saved_at if saved_at.tzinfo else saved_at.replace(tzinfo=UTC),
        cell=record.cell,
        meta=record.meta,
        parts=parts,
    )
