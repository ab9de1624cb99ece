"""Runs that execute for users whom the hub no longer knows: they are cancelled, and what they kept is kept.

Whoever is gone must not go on to act through a run. What waits without an attempt rests with its namespace
and is not cancelled: it goes on when the same user is there again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from respawn_jobs.access import PREFIX, Actor
from respawn_jobs.ledger.attempts.cancellation import OPEN, cancel_open
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.store.tables import RunRow

logger = logging.getLogger(__name__)
BY = "respawn:owners"
"""Who the audit trail names."""
_ACTOR = Actor(BY, frozenset({f"{PREFIX}admin"}))


def stop(context: Context, left: Mapping[str, str]) -> list[str]:
    """Cancel the attempts that queue or execute in namespaces of users who are gone.

    Every look does it: the service may have died after it suspended a namespace and before it got here.

    Args:
        context: the ledger's surroundings.
        left: why, by namespace.

    Returns:
        The runs that are cancelled or asked to stop.
    """
    stopped: list[str] = []
    for namespace, reason in left.items():
        unasked = and_(_at_it(namespace), RunRow.cancel_requested.is_(False))
        stopped += cancel_open(context, _ACTOR, unasked, reason=reason)
    if stopped:
        logger.warning("cancelled, since their users are gone: %s", ", ".join(stopped))
    return stopped


def count(session: Session, namespace: str) -> int:
    """Return how many runs of a namespace `stop` would cancel."""
    return session.scalar(select(func.count()).where(_at_it(namespace))) or 0


def _at_it(namespace: str) -> ColumnElement[bool]:
    return and_(RunRow.namespace == namespace, RunRow.current.is_not(None), RunRow.state.in_(OPEN))
