"""Each operation of `Service` stands once: routes, the client and the ledger have what it declares."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from respawn_jobs.api.operation import Operation, operations_of
from respawn_jobs.api.service import Service
from respawn_jobs.ledger.people.actor_service import ActorService
from respawn_jobs.remote.client import RemoteService
from support.routes import routes

_NO_CALLS = {"close", "pause"}
"""Methods of `Service` that make no call of their own."""
_OTHER_ROUTES = {
    ("GET", "/api/v1/health"),
    ("GET", "/api/v1/runs/{run}/artifacts/{name}"),
    ("GET", "/api/v1/runs/{run}/events"),
}
"""Routes for people's programs that no method of `Service` stands for."""
OPERATIONS = operations_of(Service)


def _promised() -> set[str]:
    parts = [part for part in Service.__mro__ if part.__module__.startswith("respawn_jobs.")]
    return {name for part in parts for name in vars(part) if not name.startswith("_")}


def test_every_method_of_the_service_is_an_operation() -> None:
    assert _promised() - OPERATIONS.keys() == _NO_CALLS


def test_routes_are_those_of_the_operations_and_a_few_others() -> None:
    paths = {
        (one.method, f"/api/v1/{one.address(lambda name, _: f'{{{name}}}')}") for one in OPERATIONS.values()
    }
    assert len(paths) == len(OPERATIONS), "two operations have one address"
    answered = [route for route in routes() if route[1].startswith("/api/")]
    assert sorted(answered) == sorted(paths | _OTHER_ROUTES)


def test_the_client_has_every_method_of_the_service() -> None:
    lacking = [name for name in _promised() if getattr(RemoteService, name) is getattr(Service, name, None)]
    assert set(lacking) <= _NO_CALLS


@pytest.mark.parametrize("form", [ActorService, RemoteService])
@pytest.mark.parametrize("name", OPERATIONS)
def test_arguments_have_the_same_names_in_every_form(form: type, name: str) -> None:
    def shape(method: Any) -> list[tuple[str, Any, Any]]:
        return [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]

    assert shape(getattr(form, name)) == shape(OPERATIONS[name].promise)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_each_argument_travels_once(operation: Operation) -> None:
    by_place: dict[str, list[str]] = {}
    for argument in operation.arguments.values():
        by_place.setdefault(argument.place, []).append(argument.name)
    assert sorted(by_place.get("path", [])) == sorted(operation.convertors)
    assert len(by_place.get("body", [])) <= (operation.fields is None)
    assert sorted(by_place.get("field", [])) == sorted(
        operation.fields.model_fields if operation.fields else ()
    )
    assert operation.renamed.keys() <= set(by_place.get("query", []))


def test_flags_that_are_left_out_of_a_query_are_not_set() -> None:
    flags = {
        f"{name}({one.name})": one.default
        for name, made in operations_of(RemoteService).items()
        for one in made.arguments.values()
        if one.kind is bool and one.place == "query"
    }
    assert flags
    assert not [flag for flag, default in flags.items() if default is not False]
