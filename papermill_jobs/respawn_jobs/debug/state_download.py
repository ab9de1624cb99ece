"""The state before a failing cell, on its way to where the kernel's `%respawn restore` looks for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from respawn_jobs.api.service import Service
from respawn_jobs.debug.artifacts import AT_ONCE_BYTES, MAX_BYTES, download_artifacts
from respawn_jobs.debug.blob_cache import make_room, only_one
from respawn_jobs.debug.blob_fetch import Fetch, Progress, prepare
from respawn_jobs.debug.notebook import error_line, failing_index
from respawn_jobs.debug.rerun_cells import cells_to_run
from respawn_jobs.errors import Corrupt
from respawn_jobs.model.debug_bundle import DebugBundle
from respawn_jobs.model.runs import RunState
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.digest import digest_of, write_whole
from respawn_kernels.exchange.restore_point import RestorePoint


def download(
    service: Service,
    bundle: DebugBundle,
    directory: Path,
    progress: Progress | None = None,
    *,
    authors: Sequence[str] = (),
    agreed: bool = False,
) -> RestorePoint:
    """Bring the state before the failing cell to where a kernel restores it from, all of it.

    Args:
        service: Where the blobs come from; those in the cache that are whole are not fetched again.
        bundle: The run, as `service.debug` gave it.
        directory: `respawn_kernels.exchange.restore_point.run_directory(run)`.
        progress: Called with the bytes that are there, and with all bytes.
        authors: Whose code has made it beside the person's own, as `consent.other_authors` tells.
        agreed: Whether the person agrees to load it; else the kernel asks.

    Returns:
        What was written to `restore.json`.

    Raises:
        Corrupt: A blob's bytes do not match its digest, or the manifest is none. Blobs that are whole are
            there, and a kernel restores the variables that need no other.
        RespawnError: What `service.blob` raises.
        OSError: The directory cannot be written.
    """
    point, fetch = begin_download(service, bundle, directory, progress, authors=authors, agreed=agreed)
    download_artifacts(service, bundle, directory, MAX_BYTES)
    if fetch is not None:
        fetch.rest(progress or _silent)
        if fetch.error is not None:
            raise fetch.error
    return point


def begin_download(
    service: Service,
    bundle: DebugBundle,
    directory: Path,
    progress: Progress | None = None,
    *,
    authors: Sequence[str] = (),
    agreed: bool = False,
) -> tuple[RestorePoint, Fetch | None]:
    """Bring so much of the state that a kernel can restore it; variables wait for what comes later.

    Args:
        service: where the blobs come from; those in the cache that are whole are not fetched again.
        bundle: the run, as `service.debug` gave it.
        directory: `respawn_kernels.exchange.restore_point.run_directory(run)`; made, for its owner alone.
        progress: called with the bytes that are there, and with all bytes; None for nobody.
        authors: whose code has made the state beside the person's own, as `consent.other_authors` tells.
        agreed: whether the person agrees to load it; else the kernel asks.

    Returns:
        What was written to `restore.json`, last; and what fetches the rest, if there is a checkpoint. A
        single blob that is not whole is no failure here: it is in the `error` of what fetches.

    Raises:
        Corrupt: the manifest arrived damaged, or it is none.
        RespawnError: what `service.blob` raises.
        OSError: the directory cannot be written.
    """
    point = replace(
        _restore_point(bundle), authors=list(authors), agreed_by=os.getuid() if authors and agreed else None
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fetch = None
    if bundle.checkpoint is not None:
        fetch = _begin_checkpoint(service, bundle, directory, progress or _silent)
    download_artifacts(service, bundle, directory, AT_ONCE_BYTES)
    write_whole(directory / "restore.json", point.to_json().encode())
    return point, fetch


def _begin_checkpoint(service: Service, bundle: DebugBundle, directory: Path, progress: Progress) -> Fetch:
    assert bundle.checkpoint is not None  # noqa: S101 - narrowed by the only caller
    text = _verified(service, bundle.run.id, bundle.checkpoint.manifest)
    try:
        manifest = Manifest.from_json(text)
    except ValueError as error:
        digest = bundle.checkpoint.manifest
        raise Corrupt(f"checkpoint {digest} of {bundle.run.id} cannot be read: {error}") from error
    prepare(directory)
    with only_one(directory.parent):
        make_room(directory.parent, manifest.blobs, directory)
        # Under the cell that the restore point names: a run that took it over may count its cells
        # differently. Before its blobs: what a manifest names is not removed from the cache.
        write_whole(directory / "manifests" / f"{bundle.checkpoint.cell}.json", text)
    fetch = Fetch(service, bundle.run.id, directory, manifest)
    fetch.first(progress)
    return fetch


def _verified(service: Service, run: str, digest: str) -> bytes:
    data = service.blob(run, digest)
    if digest_of(data) != digest:
        raise Corrupt(f"blob {digest} of {run} arrived damaged", run=run, digest=digest)
    return data


def _restore_point(bundle: DebugBundle) -> RestorePoint:
    again = cells_to_run(bundle)
    return RestorePoint(
        run=bundle.run.id,
        cell=bundle.checkpoint.cell if bundle.checkpoint else None,
        kernel=bundle.run.kernel,
        lock=bundle.lock,
        failing_cell=failing_index(bundle) if bundle.run.state is not RunState.RUNNING else None,
        error=error_line(bundle),
        always=again.cells,
        lost=again.lost,
        worked_in=bundle.worked_in,
    )


def _silent(_there: int, _total: int) -> None: ...
