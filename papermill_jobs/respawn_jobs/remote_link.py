"""One authenticated connection to the service; what it refuses is raised as `respawn_jobs.errors` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from respawn_jobs import errors
from respawn_jobs.models import Model

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

    def __init__(self, url: str, authorization: str, timeout: float) -> None:
        """Prepare a connection; `timeout` is how many seconds an answer may take."""
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self.url + "/",
            headers={"Authorization": authorization, "Accept": "application/json"},
            timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            # Only connections that were never made are tried again here: nothing was sent yet.
            transport=httpx.HTTPTransport(retries=2),
        )

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send one request; raise what the service refused, or `Unavailable` when it does not answer."""
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
        """Send one request and yield its answer in pieces; raise what `call` does.

        An answer that breaks off is `Unavailable` too: what came before it is not the whole.
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


def body(model: Model) -> dict[str, Any]:
    """Return the arguments of a call that sends a document."""
    return {"content": model.model_dump_json(), "headers": {"Content-Type": "application/json"}}


def query(**values: Any) -> dict[str, Any]:
    """Return the arguments of a call with a query; None leaves a name out."""
    return {"params": {key: value for key, value in values.items() if value is not None}}


class RemoteBase:
    """What the parts of `RemoteService` share."""

    _link: Link

    def _one(self, kind: type[M], method: str, path: str, **arguments: Any) -> M:
        return kind.model_validate_json(self._link.call(method, path, **arguments).content)

    def _many(self, kind: type[M], path: str, **arguments: Any) -> list[M]:
        return [kind.model_validate(item) for item in self._link.call("GET", path, **arguments).json()]
