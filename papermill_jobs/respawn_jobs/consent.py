"""Whose code a person is about to load, so that they can be asked first."""

from __future__ import annotations

from respawn_jobs.models import DebugBundle


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
