"""The routes of the API, in the order in which they are tried."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter

from respawn_hub.api import (
    archives,
    artifacts,
    live_events,
    namespaces,
    operations,
    service,
    triggers,
    versions,
    webhooks,
)
from respawn_hub.api.operation_routes import operation_routes
from respawn_jobs.api.service import Service

_BY_HAND = (
    service,
    archives,
    artifacts,
    live_events,
    webhooks,
    namespaces,
    operations,
    triggers,
    versions,
)


@cache
def api_routers() -> tuple[APIRouter, ...]:
    """Return what programs ask for, the metrics and the webhooks among it."""
    by_hand = [module.router for module in _BY_HAND]
    return (operations.metrics_router, *by_hand, operation_routes(Service, by_hand))
