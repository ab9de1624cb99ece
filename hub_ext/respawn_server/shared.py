"""What the handlers of one server share, and the base class that gives it to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from jupyter_server.base.handlers import APIHandler
from pydantic import ValidationError

from respawn_jobs.api.service import Service
from respawn_jobs.errors import InvalidInput, RespawnError
from respawn_jobs.model.base import Model
from respawn_jobs.model.runs import Run
from respawn_jobs.model.validation_errors import in_words
from respawn_server.connection import HubConnection
from respawn_server.drift import DriftLooks
from respawn_server.kernel import Kernels
from respawn_server.living_kernels import LivingKernels
from respawn_server.notebooks import Notebooks
from respawn_server.openings import Openings

KEY = "respawn"
T = TypeVar("T")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Shared:
    """One per Jupyter server, in the web application's settings under `KEY`."""

    connection: HubConnection
    notebooks: Notebooks
    kernels: Kernels
    living: LivingKernels
    openings: Openings
    drift: DriftLooks
    pages: str
    """Where the service's pages are, for a browser; empty when there is none."""


class RespawnHandler(APIHandler):
    """Answers JSON; a `RespawnError` becomes its own status and wire form."""

    @property
    def shared(self) -> Shared:
        """The parts that this server's handlers share."""
        shared: Shared = self.settings[KEY]
        return shared

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer a `RespawnError` as the record it is, anything else as Jupyter does."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, RespawnError):
            self.set_status(error.status)
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps(error.as_dict(), default=str))
        else:
            super().write_error(status_code, **kwargs)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log a refusal as one line; only what nobody expected gets a traceback.

        Args:
            typ, value, tb: the exception's type, the exception, and its traceback, as
                `tornado.web.RequestHandler.log_exception` gets them.
        """
        if isinstance(value, RespawnError):
            self.log.warning("respawn: %s %s: %s", self.request.method, self.request.path, value.message)
        else:
            super().log_exception(typ, value, tb)

    async def call(self, work: Callable[[Service], T]) -> T:
        """Run `work` with the service beside the event loop, which its network calls would hold up."""
        service = self.shared.connection.service()
        return await asyncio.to_thread(work, service)

    def body(self) -> dict[str, Any]:
        """Return the request's JSON object. Raises InvalidInput for anything else."""
        try:
            document = self.get_json_body()
        except UnicodeDecodeError as error:
            raise InvalidInput("the request's body is not UTF-8 text") from error
        if not isinstance(document, dict):
            raise InvalidInput("the request's body must be a JSON object")
        return document

    def answer(self, document: Any, status: int = 200) -> None:
        """Finish with a JSON document."""
        self.set_status(status)
        self.finish(json.dumps(document, default=str))

    def answer_run(self, run: Run) -> None:
        """Finish with a run that was made, and the address of its page."""
        pages = self.shared.pages
        url = f"{pages}/runs/{run.id}" if pages else None
        self.answer({"run": run.model_dump(mode="json"), "url": url}, status=201)


def read_body(model: type[M], document: dict[str, Any]) -> M:
    """Return a request's document as what it must be. Raises InvalidInput that names the field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(in_words(first, place=False), field=where) from error
