"""What a promotion would do to a job, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import Comparison
from respawn_jobs.carried.changes import Files, in_words
from respawn_jobs.model.jobs import Job
from respawn_kernels.counting import how_many

if TYPE_CHECKING:
    from respawn_jobs.ledger.jobs.promotion_preview import Examined

_DIGITS = 12
"""Digits of a build's hash that a message names."""
_MAX_NAMED = 6
"""Files that a message names."""


def message_of(job: Job, request: Promotion, found: Examined, comparison: Comparison) -> str:
    """Tell what will happen to a job that is there.

    Args:
        job: the job, as people see it.
        request: the promotion.
        found: what was worked out.
        comparison: from the current version to the file.
    """
    if found.outcome == "unchanged":
        settings = request.settings is not None and request.settings != job.settings
        also = "; its settings change" if settings else ""
        return f"Unchanged: version {job.version} of {job.ref} has the same notebook already{also}."
    changed, other = comparison.changed, found.same
    how = f"differs from version {job.version} in {how_many(changed, 'cell')}"
    if not changed:
        how = f"has the code of version {job.version}"
    if comparison.files and comparison.places is None:
        how = f"{how}, and in files: {in_words(comparison.files)}"
    current, build = found.past.current, ""
    if current is not None and current.kernel == found.kernel and current.lock != found.lock:
        build = f", with {_build(found.lock)} of {found.kernel} in place of {_build(current.lock)}"
    fix = ", which holds a fix that this file lacks" if found.loses_fix else ""
    same = f"; version {other.number} has the same notebook" if other is not None else ""
    place = place_message(found.files, before=True) if comparison.places is not None else ""
    return f"Existing job: {job.ref} becomes version {found.number}, {how}{build}{fix}{same}.{place}"


def place_message(files: Files, *, before: bool = False) -> str:
    """Tell where runs work, and what they find there.

    Args:
        files: what the version carries.
        before: whether runs have worked elsewhere before; else nothing is said of what is usual.
    """
    now = " from now on" if before else ""
    if files is None:
        return (
            f" Its runs work where the notebook lies{now}, with the files that are there then."
            if before
            else ""
        )
    if not files:
        return f" Its runs work in a directory of their own{now}, which is empty at first."
    named = [file.path for file in files[:_MAX_NAMED]]
    more = [f"{len(files) - _MAX_NAMED} more"] if len(files) > _MAX_NAMED else []
    count = how_many(len(files), "file")
    which = f"{count} as {'it is' if len(files) == 1 else 'they are'} now: {', '.join([*named, *more])}"
    return f" Its runs work in a directory of their own{now}, with {which}."


def _build(lock: str | None) -> str:
    return f"build {lock[:_DIGITS]}" if lock else "no locked build"
