"""What lay in the directory of its own in which a run worked, beside its debug notebook.

Whoever debugs works in a copy: what they change is the fix, and the directory stays as the run has left it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from respawn_jobs.api.service import Service
from respawn_jobs.carried.archive import lay_out
from respawn_jobs.model.debug_bundle import DebugBundle

MAX_LEFT_BYTES = 256 << 20
"""Of files that the run has left, in the copy."""
_CACHE = "__pycache__"
_OF_A_RUN = re.compile(r".+-run-[0-9a-z]{10}")
"""The name of a run's own directory: what a runner reports is not taken for any place of the person's."""


def lay_out_beside(service: Service, bundle: DebugBundle, directory: Path) -> int:
    """Put what a run carries, and what it has left where that can be seen, beside its debug notebook.

    What is there already stays, with a person's edits.

    Args:
        service: where the files that the version carries come from.
        bundle: the run, as `service.debug` gave it.
        directory: the debug notebook's.

    Returns:
        How many files were put there.

    Raises:
        RespawnError: what `service.blob` raises.
        Corrupt: the files are not what the version says.
        OSError: they cannot be written.
    """
    version = bundle.version
    absent = [file for file in version.files or () if not directory.joinpath(*file.path.split("/")).exists()]
    if absent and version.bundle is not None:
        archive = service.blob(bundle.run.id, version.bundle)
        lay_out(archive, absent, directory)
    place = Path(bundle.worked_in) if bundle.worked_in is not None else None
    if place is None or _OF_A_RUN.fullmatch(place.name) is None:
        return len(absent)
    return len(absent) + _copy_left(place, directory)


def _copy_left(source: Path, directory: Path) -> int:
    """Copy what a run has left beside what it carried, the smallest files first, as far as there is room."""
    count, room = 0, MAX_LEFT_BYTES
    for size, path in sorted(_files(source)):
        target = directory / path.relative_to(source)
        if target.exists():
            continue
        room -= size
        if room < 0:
            break
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        count += 1
    return count


def _files(source: Path) -> Iterator[tuple[int, Path]]:
    for top, directories, names in os.walk(
        source
    ):  # nothing of a directory that is not there, or not to be read
        directories[:] = [name for name in directories if name != _CACHE]
        for name in names:
            path = Path(top, name)
            if path.is_file() and not path.is_symlink():
                yield path.stat().st_size, path
