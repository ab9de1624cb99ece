"""A request for each route that does what the route is for, when somebody who may sends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from respawn_kernels.digest import digest_of
from support.access.things import ATTIC, JOB, Things, source
from support.notebooks import text


@dataclass(frozen=True)
class Asked:
    """A request, without who sends it."""

    path: str
    """Below the service's prefix, quoted."""
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """A JSON document; or the fields of a page's form, without its token; or bytes."""
    headers: dict[str, str] = field(default_factory=dict)

    def known(self) -> str:
        """Return all that the sender knows, in one text."""
        body = self.body.decode("latin-1") if isinstance(self.body, bytes) else json.dumps(self.body)
        return " ".join([self.path, *self.query.values(), body, *self.headers.values()])


Fields = Callable[[Things], Any]
_OTHER_IDS = {
    "POST /api/v1/runs/{run}/cancel": {"run": "queued"},
    "POST /api/v1/runs/{run}/state": {"run": "running"},
    "POST /runs/{run}/cancel": {"run": "queued"},
    "POST /runner/{attempt}/claim": {"attempt": "unclaimed"},
    "GET /runner/{attempt}/blobs/{digest}": {"digest": "notebook"},
    "GET /api/v1/runs/{run}/blobs/{digest}": {"digest": "notebook"},
}
"""Where a path's parameter is another thing than the one of its name."""
_QUERIES: dict[str, Fields] = {
    "GET /api/v1/jobs": lambda things: {"namespace": things.namespace},
    "GET /api/v1/profiles": lambda things: {"namespace": things.namespace},
    "GET /api/v1/graph": lambda things: {"namespace": things.namespace},
    "GET /api/v1/grid": lambda things: {"job": things.job},
    "GET /api/v1/runs": lambda things: {"job": things.job},
    "GET /api/v1/backfills": lambda things: {"job": things.job},
    "GET /api/v1/versions": lambda things: {"job": things.job},
    "GET /api/v1/versions/{number}/notebook": lambda things: {"job": things.job},
    "GET /api/v1/versions/{number}/file": lambda things: {"job": things.attic, "path": "rates.csv"},
    "GET /jobs/{kind}/{owner}/{name}/versions/{number}/file": lambda things: {"path": "rates.csv"},
    "GET /api/v1/versions/comparison": lambda things: {"job": things.job, "old": "1", "new": "1"},
    "GET /jobs/{kind}/{owner}/{name}/compare": lambda things: {"old": "1", "new": "1"},
    "GET /api/v1/triggers": lambda things: {"job": things.job},
    "PATCH /api/v1/settings": lambda things: {"job": things.job},
    "PUT /api/v1/versions/current": lambda things: {"job": things.attic},
    "DELETE /api/v1/versions/{number}": lambda things: {"job": things.attic},
    "PATCH /api/v1/dependencies": lambda things: {"job": things.downstream},
    "DELETE /api/v1/dependencies": lambda things: {"job": things.downstream},
    "GET /api/v1/schedules/preview": lambda things: {"cron": "0 3 * * *", "tz": "UTC"},
    "POST /api/v1/runs/import": lambda things: {"namespace": things.namespace, "job": "imported"},
    "GET /runs/{run}/cells": lambda things: {"index": "1"},
    "GET /runs/{run}/cells/{cell}/outputs/{index}/search": lambda things: {"q": "e"},
}
_BODIES: dict[str, Fields] = {
    "POST /api/v1/versions": lambda things: {
        "name": JOB,
        "namespace": things.namespace,
        "notebook": text(source("another")),
    },
    "POST /api/v1/versions/preview": lambda things: {
        "name": JOB,
        "namespace": things.namespace,
        "notebook": text(source("another")),
    },
    "POST /api/v1/runs": lambda things: {"job": things.job, "parameters": {"where": "here"}},
    "POST /api/v1/runs/{run}/plan": lambda things: {},
    "POST /api/v1/runs/{run}/resume": lambda things: {},
    "POST /api/v1/runs/{run}/restart": lambda things: {},
    "POST /api/v1/runs/import": lambda things: things.archive,
    "PUT /api/v1/runs/{run}/pin": lambda things: {"pinned": True},
    "POST /api/v1/blobs/orphans": lambda things: {"remove": True},
    "POST /api/v1/schedules": lambda things: {"job": things.job, "cron": "0 4 * * *", "tz": "UTC"},
    "PATCH /api/v1/schedules/{schedule}": lambda things: {"paused": True},
    "PATCH /api/v1/settings": lambda things: {"priority": 3},
    "PATCH /api/v1/jobs/{job}": lambda things: {"name": "renamed"},
    "PUT /api/v1/versions/current": lambda things: {"version": 1},
    "PUT /api/v1/limits": lambda things: {"kind": "namespace", "name": things.namespace, "max_running": 1},
    "POST /api/v1/namespaces/retire": lambda things: {"namespace": things.namespace},
    "POST /api/v1/namespaces/move": lambda things: {"namespace": things.namespace, "new": "team/heirs"},
    "PUT /api/v1/dependencies": lambda things: {
        "job": things.downstream,
        "upstream": [things.job],
        "trigger_rule": "one_success",
    },
    "PATCH /api/v1/dependencies": lambda things: {"paused": True},
    "POST /api/v1/webhooks": lambda things: {"job": things.job},
    "POST /api/v1/sensors": lambda things: {"job": things.job, "prefix": "new", "parameter": "where"},
    "POST /api/v1/backfills": lambda things: {"job": things.job, "sets": [{"alpha": 1.0}]},
    "POST /api/v1/backfills/preview": lambda things: {"job": things.job, "sets": [{"alpha": 1.0}]},
    "POST /api/v1/backfills/{backfill}/stop": lambda things: {"cancel": True},
    "POST /job-servers/{name}/register": lambda things: {"nonce": "made up"},
    "POST /job-servers/{name}/report": lambda things: {},
    "POST /runner/{attempt}/record": lambda things: [cell()],
    "POST /runner/{attempt}/begin": lambda things: {"skeleton": things.ids["digest"], "cells": [cell()]},
    "POST /runner/{attempt}/reconsider": lambda things: [],
    "POST /runner/{attempt}/missing": lambda things: [things.ids["digest"], "0" * 64],
    "PUT /runner/{attempt}/blobs/{digest}": lambda things: _fresh(things),
    "POST /runner/{attempt}/checkpoint": lambda things: {
        "checkpoint": {"cell": 1, "manifest": things.ids["digest"], "variables": 1, "size": 1},
        "blobs": [],
    },
    "POST /runner/{attempt}/artifact": lambda things: {"artifact": _artifact(things)},
    "POST /runner/{attempt}/latest-artifact": lambda things: {
        "address": f"{things.attic}/{things.word}-model"
    },
    "POST /runner/{attempt}/finish": lambda things: {"state": "failed"},
    "POST /hooks/{hook}": lambda things: b'{"parameters": {"alpha": 2.0}}',
    "POST /runs/{run}/pin": lambda things: {"pinned": "yes"},
    "POST /runs/{run}/{way}": lambda things: {"button": "start"},
    "POST /jobs/{kind}/{owner}/{name}/manage/{change}": lambda things: {"name": "renamed"},
    "POST /jobs/{kind}/{owner}/{name}/run": lambda things: {"parameter:where": "here"},
    "POST /jobs/{kind}/{owner}/{name}/schedules": lambda things: {"cron": "0 4 * * *", "tz": "UTC"},
}


def asked(method: str, path: str, things: Things, *, quoted: bool = True, **others: str) -> Asked:
    """Return the request for a route that concerns `things`, with `others` in place of some of their ids.

    Without `quoted`, what may stand in a request's line goes there as it is, slashes and all.

    Raises:
        KeyError: the path has a parameter that nothing here stands for.
    """
    route = f"{method} {path}"
    ids = {**_plain(route, things), **things.ids}
    ids |= {name: things.ids[other] for name, other in _OTHER_IDS.get(route, {}).items()} | others
    body = _BODIES.get(route, lambda _: None)(things)
    headers = {}
    if route == "PUT /runner/{attempt}/blobs/{digest}":
        ids["digest"] = digest_of(body)
    if route == "POST /hooks/{hook}":
        headers = things.signed(body)
    filled = path
    for name, value in ids.items():
        filled = filled.replace(f"{{{name}}}", _in_path(value, quoted))
    if "{" in filled.replace("{}", ""):
        raise KeyError(f"{route}: tell in support/access/asking.py what stands in {filled}")
    return Asked(filled, _QUERIES.get(route, lambda _: {})(things), body, headers)


def _in_path(value: str, quoted: bool) -> str:
    return quote(value, safe="" if quoted else "/%;?&=+.,~'*()[]", errors="surrogatepass")


def attempt_of(method: str, path: str, things: Things) -> str:
    """Return the attempt that a request of the runners' API concerns."""
    return things.ids[_OTHER_IDS.get(f"{method} {path}", {}).get("attempt", "attempt")]


def cell(index: int = 1) -> dict[str, Any]:
    """Return what a runner says of a cell that ran."""
    return {"index": index, "cell_id": f"cell-{index}", "state": "executed", "source_hash": "0" * 64}


def _plain(route: str, things: Things) -> dict[str, str]:
    """Return what stands in a path for parameters that are no ids."""
    kind, _, owner = things.namespace.partition("/")
    name = JOB if "/jobs/" in route else things.ids["artifact"]
    name = "downstream" if "/dependency/" in route else name
    words = {
        "cell": "0",
        "index": "0",
        "number": "1",
        "way": "resume",
        "action": "pause",
        "change": "rename",
        "path": "respawn.css",
    }
    if route.endswith("/prose"):
        words["cell"] = "1" if "/versions/" in route else "2"  # an executed notebook has a cell more
    if route.endswith(("/versions/{number}/remove", "/versions/{number}/file")):
        name = ATTIC
    job = things.attic if route.startswith("DELETE ") else things.job
    return {"kind": kind, "owner": owner, "name": name, "job": job, **words}


def _fresh(things: Things) -> bytes:
    return f"new bytes of {things.namespace}".encode(errors="surrogatepass")


def _artifact(things: Things) -> dict[str, Any]:
    return {
        **{"name": "fresh", "number": 1, "kind": "text", "type": "str", "file": "fresh.txt"},
        **{"size": len(things.blob), "saved_at": "2026-03-01T03:00:00Z"},
        "parts": [{"digest": things.ids["digest"], "size": len(things.blob)}],
    }
