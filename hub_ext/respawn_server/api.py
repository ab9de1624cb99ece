"""What the JupyterLab plugin asks for, below `/respawn/api/`; answered with the service's own types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from respawn_jobs.api.carried_files import NewFile
from respawn_jobs.api.service import ResumeRequest
from respawn_jobs.model.base import Model
from respawn_server.api_promotion import ROUTES as PROMOTION_ROUTES
from respawn_server.api_write_back import ROUTES as WRITE_BACK_ROUTES
from respawn_server.outcomes import outcome_of
from respawn_server.shared import KEY, RespawnHandler, read_body


class ResumeBody(Model):
    """Which debug notebook to plan, resume or restart with."""

    path: str
    rerun_once: bool = False
    rerun_producers: bool = False
    load_imported: bool = False
    break_triggers: bool = False
    strict: bool | None = None
    """None: as the job's settings say."""


class PlanHandler(RespawnHandler):
    """POST plan: what a resume with the saved notebook would do."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer a `Plan`."""
        run, request = await _resume_request(self)
        self.answer((await self.call(lambda service: service.plan(run, request))).model_dump(mode="json"))


class ResumeHandler(RespawnHandler):
    """POST resume: a run that goes on from the failing cell with the saved notebook."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer `{"run", "url"}`."""
        run, request = await _resume_request(self)
        self.answer_run(await self.call(lambda service: service.resume(run, request)))


class RestartHandler(RespawnHandler):
    """POST restart: a run from the top with the saved notebook."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer `{"run", "url"}`."""
        run, request = await _resume_request(self)
        self.answer_run(await self.call(lambda service: service.restart(run, request)))


class OutcomeHandler(RespawnHandler):
    """GET outcome?path=: what became of the run that a debug notebook is of."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer `{"run", "last", "restarted", "living"}`.

        The run; the last of those made from it or null, and how; and of the kernel that failed, when it ends
        and whether the notebook is connected to it, or null where it does not live here.
        """
        path = self.get_query_argument("path")
        run_id, _ = await self.shared.notebooks.run_of(path)
        until = self.shared.living.until(run_id)
        here = await self.shared.living.connected(path, run_id)
        outcome = await self.call(lambda service: outcome_of(service, run_id))
        document = {
            "run": outcome.run.model_dump(mode="json"),
            "last": outcome.last.model_dump(mode="json") if outcome.last else None,
            "restarted": outcome.restarted,
            "living": None if until is None else {"until": until.isoformat(), "here": here},
        }
        self.answer(document)


async def _resume_request(handler: RespawnHandler) -> tuple[str, ResumeRequest]:
    body = read_body(ResumeBody, handler.body())
    run, text = await handler.shared.notebooks.run_of(body.path)
    request = ResumeRequest(
        notebook=text,
        files=await _files(handler, run, text, handler.shared.notebooks.directory(body.path)),
        rerun_once=body.rerun_once,
        rerun_producers=body.rerun_producers,
        load_imported=body.load_imported,
        strict=body.strict,
        agreed=["break_triggers"] if body.break_triggers else [],
    )
    return run, request


async def _files(handler: RespawnHandler, run: str, text: str, directory: str | None) -> list[NewFile] | None:
    """Return what the fix carries; None where that is what the run's version does."""
    if directory is None:
        return None
    from respawn_jobs.carried.fixed import files_of_fix

    found: list[NewFile] | None = await handler.call(
        lambda service: files_of_fix(service, run, text, Path(directory))
    )
    return found


ROUTES: list[tuple[str, Any]] = [
    ("api/plan", PlanHandler),
    ("api/resume", ResumeHandler),
    ("api/restart", RestartHandler),
    ("api/outcome", OutcomeHandler),
    *PROMOTION_ROUTES,
    *WRITE_BACK_ROUTES,
]
