"""How much room the downloaded states of runs may take, and which go when it is not enough.

`RESPAWN_CACHE_BYTES` says how much, 20 GiB without it. Runs that nobody has opened for the longest time go
first; one whose variables a kernel may still come to load, one that is being fetched, and what people saved
with `%respawn checkpoint`, never.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from respawn_kernels.checkpoint.manifest import Blob, Manifest
from respawn_kernels.exchange.download_state import is_downloading, is_in_use

DEFAULT_BYTES = 20 << 30


def room() -> int:
    """Return how many bytes the cache may take. Raises ValueError when the variable is no number."""
    limit = os.environ.get("RESPAWN_CACHE_BYTES", "")
    try:
        return int(float(limit)) if limit else DEFAULT_BYTES
    except (ValueError, OverflowError) as error:
        raise ValueError(f"RESPAWN_CACHE_BYTES is not a number of bytes: {limit!r}") from error


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Keep other processes from making room until a new manifest says what must stay."""
    with (root / "blobs.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_room(root: Path, needed: Iterable[Blob], keep: Path, limit: int | None = None) -> list[str]:
    """Remove states of runs until those that stay, and `needed`, fit; then blobs that no run names.

    Args:
        root: `respawn_kernels.exchange.restore_point.restore_root()`.
        needed: what is about to come.
        keep: the directory of the run that it is for.
        limit: bytes that may be taken; `room()` without it.

    Returns:
        The runs whose states went.
    """
    limit = room() if limit is None else limit
    runs = {path: _blobs(path) for path in _by_age(root)}
    runs[keep] = {blob.digest: blob.size for blob in needed}
    gone = []
    for path in list(runs):
        if _size(runs.values()) <= limit:
            break
        if path != keep and not is_downloading(path) and not is_in_use(path):
            _forget(path)
            del runs[path]
            gone.append(path.name)
    named = {digest for blobs in runs.values() for digest in blobs}
    with suppress(OSError):
        for path in (root / "blobs").iterdir():
            if path.name not in named and not path.name.startswith("."):
                path.unlink(missing_ok=True)
    return gone


def _by_age(root: Path) -> list[Path]:
    """Return the directories of runs, the one that was used last at the end."""
    with suppress(OSError):
        found = [(_used(path), path) for path in root.glob("run-*") if (path / "manifests").is_dir()]
        return [path for _, path in sorted(found)]
    return []


def _used(directory: Path) -> float:
    try:
        return (directory / "restore.json").stat().st_mtime
    except OSError:
        return 0.0


def _blobs(directory: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in (directory / "manifests").glob("*.json"):
        with suppress(OSError, ValueError):
            found |= {blob.digest: blob.size for blob in Manifest.from_json(path.read_bytes()).blobs}
    return found


def _size(runs: Iterable[dict[str, int]]) -> int:
    together: dict[str, int] = {}
    for blobs in runs:
        together |= blobs
    return sum(together.values())


def _forget(directory: Path) -> None:
    """Remove the state of a run, so that it is fetched again when it is wanted again."""
    (directory / "restore.json").unlink(missing_ok=True)
    shutil.rmtree(directory / "manifests", ignore_errors=True)
    if (directory / "blobs").is_symlink():
        (directory / "blobs").unlink()
    else:
        shutil.rmtree(directory / "blobs", ignore_errors=True)
