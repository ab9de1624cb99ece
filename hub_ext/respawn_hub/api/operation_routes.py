"""Routes made from the operations that an interface declares: each calls the service's method of its name.

A route that does more than that is written by hand, and takes method and path from its operation (`serves`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute

from respawn_hub.api.convertors import register_convertors
from respawn_hub.auth.dependencies import AskedFirst, ServiceDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_hub.web.problems import PROBLEMS
from respawn_jobs.api.address import API
from respawn_jobs.api.operation import Argument, Operation, operation_of, operations_of
from respawn_jobs.ledger.people.actor_service import ActorService

register_convertors()

_FOR_PYTHON = re.compile(r"\n\n(?:Args|Raises):\n|\s+Raises `")
"""Where the part of a docstring begins that the description of the API says in other ways."""
_FIELDS = "fields"
"""The parameter of a route that takes the body whose fields are arguments."""
F = TypeVar("F", bound=Callable[..., Any])


def people_router() -> APIRouter:
    """Return a router for calls of people's programs, which knows the caller before it reads a body."""
    return APIRouter(prefix=API, tags=["people"], responses=PROBLEMS, route_class=AskedFirst)


def serves(router: APIRouter, promise: Callable[..., Any], **options: Any) -> Callable[[F], F]:
    """Let a function answer an operation at the method and path that it declares.

    Args:
        router: the router that gets the route.
        promise: the interface's method.
        **options: as `APIRouter.add_api_route` takes them.
    """

    def add(answer: F) -> F:
        _add(router, operation_of(promise), answer, **options)
        return answer

    return add


def operation_routes(interface: type, by_hand: Iterable[APIRouter]) -> APIRouter:
    """Return the routes of all operations of an interface that no router has yet."""
    served = {
        (method, route.path)
        for router in by_hand
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    router = people_router()
    for operation in operations_of(interface).values():
        if (operation.method, f"{API}/{operation.path}") not in served:
            _add(router, operation, _endpoint(operation))
    return router


def _add(router: APIRouter, operation: Operation, answer: Callable[..., Any], **options: Any) -> None:
    router.add_api_route(
        f"/{operation.path}", answer, methods=[operation.method], status_code=operation.status, **options
    )


def _endpoint(operation: Operation) -> Callable[..., Any]:
    """Return a function with the signature of an operation that calls the service, for FastAPI to read."""

    def endpoint(*, service: ActorService, runtime: Runtime, **given: Any) -> Any:
        if operation.fields is not None:
            body = given.pop(_FIELDS)
            given |= {one.name: getattr(body, one.name) for one in _placed(operation, "field")}
        answer = getattr(service, operation.name)(**given)
        if operation.wakes:
            runtime.wake()
        return answer

    endpoint.__name__ = operation.name
    endpoint.__doc__ = _FOR_PYTHON.split(inspect.getdoc(operation.promise) or "")[0]
    endpoint.__dict__["__signature__"] = _signature(operation)
    return endpoint


def _signature(operation: Operation) -> inspect.Signature:
    parameters = [_parameter(one) for one in operation.arguments.values() if one.place != "field"]
    if operation.fields is not None:
        parameters.append(_keyword(_FIELDS, operation.fields))
    parameters += [_keyword("service", ServiceDep), _keyword("runtime", RuntimeDep)]
    answer = None if operation.answer is NoneType else operation.answer
    return inspect.Signature(parameters, return_annotation=answer)


def _parameter(argument: Argument) -> inspect.Parameter:
    kind = argument.kind
    if argument.place == "query":
        kind = Annotated[kind, Query(alias=argument.sent_as)]
    return _keyword(argument.name, kind, argument.default)


def _keyword(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _placed(operation: Operation, place: str) -> list[Argument]:
    return [one for one in operation.arguments.values() if one.place == place]
