"""Services whose routes were made for a test before: to make three hundred takes longer than most tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import FastAPI
from starlette.datastructures import State

_idle: dict[str, list[FastAPI]] = {}
"""By the address of their documentation, which has the prefix of all routes."""


@contextmanager
def routes_made(app: FastAPI, make: Callable[[], FastAPI]) -> Iterator[FastAPI]:
    """Yield another service that answers as `app` does; its lifespan is not to be used.

    Args:
        app: the service, whose state and overrides the other one gets.
        make: makes another such service, where none is idle.
    """
    idle = _idle.setdefault(app.openapi_url or "", [])
    made = idle.pop() if idle else make()
    made.state, made.dependency_overrides = app.state, app.dependency_overrides
    try:
        yield made
    finally:
        made.state, made.dependency_overrides = State(), {}
        idle.append(made)
