"""What the API's description promises, held against answers to requests that Schemathesis makes up of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from respawn_hub.app import all_routes
from respawn_hub.startup.settings import Settings
from respawn_hub.startup.store import open_ledger
from support.access.things import Things, settle
from support.lonely import TOKEN, answering_hub
from support.service import served

QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
LONG = 150
BEGUN = b"PK\x03\x04"
"""How archives begin."""
ADMINISTRATOR = {TOKEN: ("ada", ["custom:respawn:admin"])}
WORD = "quokkaquokka"
KNOWN: dict[str, str] = {}
"""Ids of what is there, by the names that paths have for them."""


@cache
def described() -> dict[str, Any]:
    """Return the description that the service gives of itself, with paths below its prefix."""
    app = FastAPI(title="Respawn", version="1")
    app.include_router(all_routes())
    return app.openapi()


def _short() -> schemathesis.Config:
    """Return a configuration without the requests that go through all limits of the description."""
    config = schemathesis.Config()
    config.projects.default.phases.coverage.enabled = False
    return config


schema = schemathesis.openapi.from_dict(described())
short = schemathesis.openapi.from_dict(described(), config=_short())


@dataclass(frozen=True)
class Served:
    url: str
    things: Things
    session: requests.Session


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data, inbox, scratch = (tmp_path_factory.mktemp(name) for name in ("data", "inbox", "scratch"))
    of_service = Settings(data=data, inbox_url=str(inbox))
    ledger = open_ledger(of_service)
    things = settle(ledger, "user/ada", WORD, scratch)
    with (
        answering_hub(ADMINISTRATOR) as port,
        served(ledger, data, hub_port=port, settings=of_service) as url,
        requests.Session() as session,
    ):
        KNOWN.update(things.ids, name=things.ids["artifact"])
        yield Served(url, things, session)
    ledger.close()


_NOT_PROMISED = [
    checks.positive_data_acceptance,  # what a schema cannot say (a zone, a cron) is refused with 422
    checks.negative_data_rejection,  # unknown parameters of a query are ignored, as everywhere
    checks.allow_header_conformance,  # `{schedule}` takes `preview` as well, and so its methods
]


@schema.hook
@short.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Let half of the requests concern something that is there."""
    return {name: _there(name, value) for name, value in (path_parameters or {}).items()}


def _there(name: str, value: Any) -> Any:
    return KNOWN.get(name, value) if zlib.crc32(repr(value).encode()) % 2 else value


@schemathesis.serializer("application/zip")
def _zip(context: schemathesis.SerializationContext, value: bytes) -> bytes:
    return value


schemathesis.openapi.media_type(
    "application/zip", strategies.binary(max_size=1000).map(lambda end: BEGUN + end)
)


@pytest.mark.long
@short.parametrize()
@settings(QUICK, max_examples=10)
def test_no_answer_is_outside_of_the_description(case: schemathesis.Case, service: Served) -> None:
    check(case, service)


@pytest.mark.slow  # some minutes: what a quick look does not meet
@pytest.mark.timeout(1800)
@schema.parametrize()
@settings(QUICK, max_examples=LONG)
def test_no_answer_is_outside_of_the_description_in_many_tries(
    case: schemathesis.Case, service: Served
) -> None:
    check(case, service)


def check(case: schemathesis.Case, service: Served) -> None:
    """Send a request as the attempt's own runner, or as an administrator, and judge the answer."""
    attempt = str(case.path_parameters.get("attempt"))
    token = service.things.tokens.get(attempt, TOKEN)
    headers = {"Authorization": f"Bearer {token}"}
    response = case.call(base_url=service.url, session=service.session, headers=headers)
    without_loops = [not_a_server_error] if case.path == "/api/v1/health" else []
    case.validate_response(response, excluded_checks=[*_NOT_PROMISED, *without_loops])
