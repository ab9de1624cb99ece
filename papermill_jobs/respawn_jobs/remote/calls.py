"""Calls over HTTP, made from what an interface declares of its methods."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from functools import wraps
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

import httpx

from respawn_jobs.api.operation import Operation, is_model, operations_of
from respawn_jobs.remote.connection import RemoteBase, body, part, read, read_many, read_other, reference

C = TypeVar("C", bound=type[RemoteBase])


def makes_calls(client: C) -> C:
    """Give a class that names interfaces as its bases each of their operations that it does not define."""
    for name, operation in operations_of(client).items():
        setattr(client, name, _call_of(operation))
    return client


def _call_of(operation: Operation) -> Callable[..., Any]:
    """Return the method of a client that makes a call and reads its answer."""

    @wraps(operation.promise)
    def call(self: RemoteBase, *given: Any, **named: Any) -> Any:
        values = operation.signature.bind(self, *given, **named)
        values.apply_defaults()
        path, arguments = _request(operation, values.arguments)
        return _read(operation.answer, self._link.call(operation.method, path, **arguments))

    return call


def _request(operation: Operation, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path of a call and its other arguments for `Link.call`."""

    def quoted(name: str, convertor: str) -> str:
        text = str(values[name])
        return reference(text) if convertor == "path" else part(text)

    request: dict[str, Any] = {}
    query, fields = {}, {}
    for name, argument in operation.arguments.items():
        value = values[name]
        if argument.place == "field":
            fields[name] = value
        elif argument.place == "body" and value is not None:
            request |= {"json": value} if isinstance(value, dict) else body(value)
        elif argument.place == "query" and not _left_out(value):
            query[argument.sent_as] = _plain(value)
    if operation.fields is not None:
        request |= body(operation.fields(**fields))
    if query:
        request["params"] = query
    if operation.seconds is not None:
        request["timeout"] = operation.seconds
    return operation.address(quoted), request


def _left_out(value: Any) -> bool:
    """Tell whether a query need not name a value: None, a flag that is not set, and a list of nothing."""
    return value is None or value is False or value == () or value == []


def _plain(value: Any) -> Any:
    """Return a value as a query has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _read(kind: Any, response: httpx.Response) -> Any:
    """Return an answer as the type that the interface promises; a text or bytes are the whole of it."""
    if kind is NoneType:
        return None
    if kind is bytes:
        return response.content
    if kind is str:
        return response.content.decode()
    if is_model(kind):
        return read(kind, response.content)
    if get_origin(kind) is list and is_model(get_args(kind)[0]):
        return read_many(get_args(kind)[0], response.content)
    return read_other(kind, response.content)
