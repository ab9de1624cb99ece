"""The routes of the service, as the application has them: what a test says of all holds for new ones too."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from respawn_hub.app import all_routes


def routes(router: Any = None) -> list[tuple[str, str]]:
    """Return every route, with each of its methods, as pairs of a method and a path without the prefix."""
    found: list[tuple[str, str]] = []
    for route in (router or all_routes()).routes:
        if isinstance(route, APIRoute):
            path = re.sub(r":\w+}", "}", route.path)
            found += [(method, path) for method in sorted(route.methods)]
        else:
            found += routes(route.original_router)
    return found


def everything(app: FastAPI, prefix: str) -> list[tuple[str, str]]:
    """Return what `routes` does, and what the application answers besides: its schema, its files."""
    found = routes()
    for route in app.routes:
        if isinstance(route, Mount):
            path = route.path.removeprefix(prefix.rstrip("/")) + "/{path}"
            found += [("GET", path), ("HEAD", path)]
        elif isinstance(route, Route):
            path = route.path.removeprefix(prefix.rstrip("/"))
            found += [(method, path) for method in sorted(route.methods or ())]
    return found
