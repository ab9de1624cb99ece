"""Whose code a person is about to load, so that they can be asked first."""

from __future__ import annotations

from collections.abc import Iterable

from respawn_jobs.model.debug_bundle import DebugBundle

ARCHIVE = "archive of "
"""How an author begins that is an archive: what it holds was made on another hub."""


def other_authors(bundle: DebugBundle, visitor: str) -> list[str]:
    """Return whose code has made the state of a run, sorted; empty when it is all the visitor's own.

    Args:
        bundle: the run, as `Service.debug` gives it.
        visitor: who is about to load it, as `Service.whoami` tells.
    """
    run, version = bundle.run, bundle.version
    authors = {run.created_by, version.created_by, *run.authors, *version.authors}
    own = run.job.startswith(f"user/{visitor}/") and authors == {visitor} and run.imported is None
    return [] if own else sorted(authors)


def archives(authors: Iterable[str]) -> list[str]:
    """Return which authors of a state are archives, sorted: to load it runs code of elsewhere."""
    return sorted({author for author in authors if author.startswith(ARCHIVE)})
