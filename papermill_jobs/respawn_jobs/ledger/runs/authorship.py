"""Whose code has made a run's state: who loads it runs their code with rights of their own.

A run's authors are those of its version, whoever started it, and the authors of every run that it goes on
from. What came in an archive is its own author, so it never becomes that of the person who imported it.
"""

from __future__ import annotations

from collections.abc import Iterable

from respawn_jobs.blobs.run_archive import ArchiveManifest
from respawn_jobs.ledger.context.text_limits import NAME, cleaned
from respawn_jobs.model.code_authors import ARCHIVE
from respawn_jobs.store.tables import RunRow, VersionRow


def of_run(version: VersionRow, by: str) -> list[str]:
    """Return the authors of a run from the top, started by `by`."""
    return _once([*_of_version(version), by])


def of_resumed(before: RunRow, version: VersionRow, by: str) -> list[str]:
    """Return the authors of a run that goes on from a state of `before`, which ran `version`.

    Args:
        before: the run whose state is loaded.
        version: the version that it ran.
        by: name of who resumes.
    """
    return _once([*(before.authors or [before.created_by]), *_of_version(version), by])


def of_fixed(version: VersionRow, by: str) -> list[str]:
    """Return the authors of a version that `by` made by fixing another one."""
    return _once([*_of_version(version), by])


def of_archive(manifest: ArchiveManifest) -> list[str]:
    """Return the author of what an archive holds: the archive, which says of itself whose it is."""
    return [cleaned(f"{ARCHIVE}{manifest.run.id}, exported by {manifest.exported_by}")[:NAME]]


def _of_version(version: VersionRow) -> list[str]:
    return [*(version.authors or []), version.created_by]


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
