"""One authenticated connection to the service; what it refuses is raised as `respawn_jobs.errors` says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from respawn_jobs import errors
from respawn_jobs.model.base import Model
from respawn_jobs.model.open_values import AS_ANSWER
from respawn_jobs.model.validation_errors import in_words

M = TypeVar("M", bound=Model)

CONNECT_SECONDS = 5.0
_BY_STATUS: dict[int, type[errors.RespawnError]] = {
    400: errors.InvalidInput,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Fenced,
    422: errors.InvalidInput,
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}


class Link:
    """One authenticated connection pool to the service."""

    def __init__(self, url: str, authorization: str, timeout: float, *, below: str = "") -> None:
        """Prepare a connection.

        Args:
            url: Where the service answers.
            authorization: What the header of that name says.
            timeout: Seconds that an answer may take.
            below: What stands between the service's address and each path.
        """
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=f"{self.url}{below}/",
            headers={"Authorization": authorization, "Accept": "application/json"},
            timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            # Only connections that were never made are tried again here: nothing was sent yet. A client that
            # makes no TLS connection needs no certificates, and reading them takes longer than all its calls.
            transport=httpx.HTTPTransport(retries=2, verify=not self.url.lower().startswith("http://")),
        )

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send one request and return its answer, read whole.

        Args:
            method: the method of HTTP, such as `GET`.
            path: below the service's address, without a leading slash; its parts are quoted, as by `part`.
            **arguments: further arguments of `httpx.Client.request`, such as `params` or `json`.

        Raises:
            Unavailable: the service does not answer.
            Unauthenticated: it asks for a sign-in.
            RespawnError: what the service refused, as the class that its answer names.
        """
        try:
            response = self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise errors.Unavailable(
                f"the Respawn service at {self.url} does not answer: {error or type(error).__name__}",
                url=self.url,
            ) from error
        if response.is_success:
            return response
        raise _refusal(response, self.url)

    def stream(self, method: str, path: str, **arguments: Any) -> Iterator[bytes]:
        """Send one request and yield its answer in pieces.

        Args:
            method: the method of HTTP, such as `GET`.
            path: below the service's address, without a leading slash; its parts are quoted, as by `part`.
            **arguments: further arguments of `httpx.Client.stream`, such as `params`.

        Raises:
            Unavailable: the service does not answer, or its answer breaks off: what came before is not the
                whole.
            Unauthenticated: it asks for a sign-in.
            RespawnError: what the service refused, as the class that its answer names.
        """
        try:
            with self._client.stream(method, path, **arguments) as response:
                if not response.is_success:
                    response.read()
                    raise _refusal(response, self.url)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise errors.Unavailable(
                f"the Respawn service at {self.url} broke off: {error or type(error).__name__}", url=self.url
            ) from error

    def close(self) -> None:
        """Release the connections."""
        self._client.close()


def _refusal(response: httpx.Response, url: str) -> errors.RespawnError:
    """Return the error that an answer other than 2xx stands for."""
    if response.is_redirect:
        return errors.Unauthenticated(f"{url} asks for a sign-in: the token is missing or no longer valid")
    try:
        document = response.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and "error" in document and "message" in document:
        return errors.from_dict(document)
    detail = document.get("detail", document) if isinstance(document, dict) else response.text[:500]
    error = _BY_STATUS.get(response.status_code, errors.RespawnError)
    return error(f"{url} answered {response.status_code}: {detail or response.reason_phrase}")


def part(value: str) -> str:
    """Return one part of a path. Raises `InvalidInput` for what would lead elsewhere."""
    if value in ("", ".", ".."):
        raise errors.InvalidInput(f"{value!r} is not an id")
    return quote(value, safe="")


def reference(job: str) -> str:
    """Return a reference to a job (`namespace/name`, name or id) as the end of a path."""
    return "/".join(map(part, job.split("/")))


def read(kind: type[M], document: bytes) -> M:
    """Return what a service answered, which may be newer: fields that this client does not know are left out,
    and values of enumerations that it does not know are `unknown`.

    Raises:
        RespawnError: the answer has something else in a place than this client can read.
    """
    try:
        return kind.model_validate_json(document, extra="ignore", context=AS_ANSWER)
    except ValidationError as error:
        raise _unreadable(kind, error) from error


def read_many(kind: type[M], document: bytes) -> list[M]:
    """Return a list that a service answered, as `read` does."""
    try:
        return _list_of(kind).validate_json(document, extra="ignore", context=AS_ANSWER)
    except ValidationError as error:
        raise _unreadable(kind, error) from error


@cache
def _list_of(kind: type[M]) -> TypeAdapter[list[M]]:
    return TypeAdapter(list[kind])  # type: ignore[valid-type]


def read_other(kind: Any, document: bytes) -> Any:
    """Return an answer that is neither a `Model` nor a list of them, as `read` does."""
    try:
        return TypeAdapter(kind).validate_json(document)
    except ValidationError as error:
        raise _unreadable(kind, error) from error


def _unreadable(kind: type, error: ValidationError) -> errors.RespawnError:
    problem = in_words(error.errors()[0], place=False)
    return errors.RespawnError(
        f"the service answered a {kind.__name__} that cannot be read here: {problem}. "
        "Is the service newer? Then update Respawn here"
    )


def body(model: Model) -> dict[str, Any]:
    """Return the arguments of a call that sends a document."""
    return {"content": model.model_dump_json(), "headers": {"Content-Type": "application/json"}}


def query(**values: Any) -> dict[str, Any]:
    """Return the arguments of a call with a query; None leaves a name out."""
    return {"params": {key: value for key, value in values.items() if value is not None}}


class RemoteBase:
    """What the parts of `RemoteService` share."""

    _link: Link
