"""The artifacts of a failed run, beside the state that a debug notebook restores.

They lie in the download as a kernel finds them (`respawn_kernels.exchange.artifact_records`): all records,
and the files as long as they are small. A large one is fetched on demand: `respawn fetch RUN NAME --debug`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from respawn_jobs.api.service import Service
from respawn_jobs.blobs.artifact_parts import fetch_parts
from respawn_jobs.blobs.artifact_records import record_of
from respawn_jobs.errors import RespawnError
from respawn_jobs.model.artifacts import Artifact
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_kernels.digest import write_whole
from respawn_kernels.exchange.artifact_records import Shelf

log = logging.getLogger(__name__)
AT_ONCE_BYTES = 20 << 20
"""What somebody who waits for the notebook to open waits for."""
MAX_BYTES = 1 << 30
_SHOWN = 8


def download_artifacts(service: Service, bundle: DebugBundle, directory: Path, most: int) -> None:
    """Bring what a run kept to where its debug notebook loads it; one that cannot be had is left out.

    Args:
        service: where the bytes come from.
        bundle: the run.
        directory: `respawn_kernels.exchange.restore_point.run_directory(run)`.
        most: bytes of all files; of those that are too much only the records come.

    Raises:
        OSError: the files cannot be written.
    """
    left = most
    for artifact in sorted(bundle.artifacts, key=lambda one: one.size):
        left -= artifact.size
        try:
            place_artifact(service, bundle.run.id, artifact, directory, fetch=left >= 0)
        except RespawnError as error:
            log.warning("artifact %r of %s cannot be had: %s", artifact.name, bundle.run.id, error)


def place_artifact(
    service: Service, run: str, artifact: Artifact, directory: Path, *, fetch: bool = True
) -> None:
    """Put one artifact into the download of a run.

    Args:
        service: where its bytes come from.
        run: the run.
        artifact: the artifact, as `service.artifacts` returned it.
        directory: `respawn_kernels.exchange.restore_point.run_directory(run)`.
        fetch: bring its file, not only its record.

    Raises:
        RespawnError: it cannot be had.
        OSError: it cannot be written.
    """
    shelf = Shelf(directory / "artifacts").make()
    record = record_of(artifact)
    file = shelf.file(record)
    if fetch and not (file.exists() and file.stat().st_size == artifact.size):
        fetch_parts(artifact.parts, lambda digest: service.blob(run, digest), file)
    write_whole(shelf.path("before", artifact.name), record.to_json().encode())


def artifacts_line(artifacts: Sequence[Artifact]) -> str:
    """Return the names of artifacts as Markdown, and how to get at them; all kept by the run, or all read."""
    shown = ", ".join(f"`{artifact.name}` ({artifact.type})" for artifact in artifacts[:_SHOWN])
    more = f" and {len(artifacts) - _SHOWN} more" if len(artifacts) > _SHOWN else ""
    call = "latest" if artifacts[0].is_read else "load"
    return f"{shown}{more}: `respawn.{call}({artifacts[0].name!r})`"
