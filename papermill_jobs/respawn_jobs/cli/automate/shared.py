"""What the groups of triggers share: what belongs to a job, and the note that only a hub acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from respawn_jobs.cli.common.service_connection import ServiceConnection


def check_of_job(kind: str, wanted: str, known: Sequence[str], job: str) -> None:
    """Refuse the id of a trigger that a job does not have.

    Args:
        kind: how the message calls such triggers, such as `schedule`.
        wanted: the id that was given.
        known: ids of the job's triggers of this kind.
        job: the job as it was named.

    Raises:
        NotFound: `wanted` is none of them; the message names those that there are.
    """
    from respawn_jobs.errors import NotFound

    if wanted not in known:
        raise NotFound(f"{job} has no {kind} {wanted}; it has {', '.join(known) or 'none'}", job=job)


def note_store(connected: ServiceConnection, note: str = "only a hub acts on this") -> None:
    """Say on stderr, for a store without a hub, that nothing will come of what was made."""
    if connected.ledger is not None:
        click.echo(f"note: {note}; nothing does in this store", err=True)
