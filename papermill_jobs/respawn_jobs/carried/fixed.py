"""What the fix of a run carries: the files of its version, as they lie beside the fixed notebook now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.carried.archive import packed, read_file
from respawn_jobs.carried.changes import same_files
from respawn_jobs.carried.finding import find_files, matching_files, written_names
from respawn_jobs.model.jobs import CarriedFile, Version
from respawn_jobs.model.runs import RunDetail
from respawn_jobs.notebook.document import read_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from respawn_jobs.api.service import Service


_MAX_SEEN = 20_000


def files_of_fix(
    service: Service, run: str, text: str, directory: Path, more: Sequence[str] = ()
) -> list[NewFile] | None:
    """Return all that the fix of a run carries; None where that is what the run's version does.

    Args:
        service: where the run is.
        run: its id.
        text: the fixed notebook.
        directory: where it lies.
        more: patterns, from there, of files that the fix carries too.

    Raises:
        InvalidInput: the text is no notebook, a file cannot be carried, or a pattern leads nowhere.
        RespawnError: what the service raises.
    """
    detail = service.show(run)
    found = detail.run
    version = next((one for one in service.versions(found.job) if one.number == found.version), None)
    if version is None or version.files is None:
        return None
    return fixed_files(service, version, read_notebook(text), directory, more, _made(detail))


def _made(detail: RunDetail) -> set[str]:
    """Return what lies in the directory of its own in which a run has worked, where that can be seen."""
    own = next((one.directory for one in reversed(detail.attempts) if one.directory is not None), None)
    place = Path(own) if own is not None else None
    if place is None or not place.is_dir():
        return set()
    return {path.relative_to(place).as_posix() for path in islice(place.rglob("*"), _MAX_SEEN)}


def fixed_files(
    service: Service,
    version: Version,
    notebook: NotebookNode,
    directory: Path,
    more: Sequence[str] = (),
    made: Collection[str] = (),
) -> list[NewFile] | None:
    """Return all that a fixed notebook carries; None where that is what the version does.

    What is not beside the notebook stays as the version has it, and what the notebook needs there comes
    along. Beside a debug notebook all was laid out: what is not there was removed, and what cells have
    written does not come along.

    Args:
        service: where the version's own files are read.
        version: the version that the run was executed with.
        notebook: the fixed notebook.
        directory: where it lies.
        more: patterns, from there, of files that come along in any case.
        made: what lies in the run's own directory, from there.

    Raises:
        InvalidInput: a file is too large to be carried, or cannot be read; or a pattern leads nowhere.
        RespawnError: what the service raises.
    """
    if version.files is None:
        return None
    known = {file.path: file for file in version.files}
    run = (notebook.metadata.get("respawn") or {}).get("run")
    debugged = isinstance(run, str)
    written = {*made, *written_names(notebook)}
    found = {
        one.path: one
        for one in find_files(notebook, directory).files
        if one.path in known or not debugged or one.path not in written
    }
    found |= {one.path: one for one in matching_files(directory, more)}
    for path in known:
        place = directory.joinpath(*path.split("/"))
        if place.is_file():
            found[path] = read_file(place, path)
        else:
            found.pop(path, None)
    files, _ = packed(found.values())
    # Copied elsewhere, a debug notebook has left the files behind.
    removed = debugged and directory.name.endswith(f"-{run}") and not found.keys().isdisjoint(known)
    kept = [] if removed else [file for file in version.files if file.path not in found]
    if same_files(version.files, [*files, *kept]):
        return None
    now = {file.path: file for file in files}
    there = [_as_known(one, now[path], known.get(path)) for path, one in found.items()]
    return [*there, *(_of_version(service, version, file) for file in kept)]


def _as_known(one: NewFile, now: CarriedFile, known: CarriedFile | None) -> NewFile:
    """Return a file with the time that the version has of it, where its bytes are the same."""
    if known is None or known.digest != now.digest:
        return one
    return one.model_copy(update={"modified": known.modified})


def _of_version(service: Service, version: Version, file: CarriedFile) -> NewFile:
    data = service.version_file(version.job, version.number, file.path)
    return NewFile.of(file.path, data, modified=file.modified, executable=file.executable)
