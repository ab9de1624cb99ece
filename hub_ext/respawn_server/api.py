"""What the JupyterLab plugin asks for, below `/respawn/api/`; answered with the service's own types."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from pydantic import ValidationError
from tornado import web

from respawn_jobs.errors import InvalidInput
from respawn_jobs.models import JobSettings, Model, Run
from respawn_jobs.service import Promotion, ResumeRequest, Service
from respawn_server.promotion import ScheduleBody, inspect_notebook, promote
from respawn_server.shared import KEY, RespawnHandler

_MAX_RESUMES = 20
"""Resumes, one of the other, that are followed."""


class ResumeBody(Model):
    """Which debug notebook to plan, resume or restart with."""

    path: str
    rerun_once: bool = False
    rerun_makers: bool = False
    strict: bool | None = None
    """None: as the job's settings say."""


class PromoteBody(Model):
    """Which notebook becomes a version of which job."""

    path: str
    name: str
    namespace: str | None = None
    settings: JobSettings | None = None
    schedule: ScheduleBody | None = None


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
        _answer_run(self, await self.call(lambda service: service.resume(run, request)))


class RestartHandler(RespawnHandler):
    """POST restart: a run from the top with the saved notebook."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer `{"run", "url"}`."""
        run, request = await _resume_request(self)
        _answer_run(self, await self.call(lambda service: service.restart(run, request)))


class OutcomeHandler(RespawnHandler):
    """GET outcome?path=: what became of the run that a debug notebook is of."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer `{"run", "last"}`: the run, and the last of those that go on from it, or null."""
        run_id, _ = await self.shared.notebooks.run_of(self.get_query_argument("path"))
        run, last = await self.call(lambda service: _outcome(service, run_id))
        document = {
            "run": run.model_dump(mode="json"),
            "last": last.model_dump(mode="json") if last else None,
        }
        self.answer(document)


class InspectHandler(RespawnHandler):
    """GET inspect?path=: a notebook's parameters and kernel, and the job it suggests."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer an `Inspection`."""
        path = self.get_query_argument("path")
        text = await self.shared.notebooks.text(path)
        owner = await self.call(lambda service: service.whoami())
        self.answer(inspect_notebook(path, text, owner).model_dump(mode="json"))


class PromoteHandler(RespawnHandler):
    """POST promote: the saved notebook becomes a version, with a schedule when one is given."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer `{"version", "schedule", "url"}`."""
        body = _read(PromoteBody, self.body())
        notebooks = self.shared.notebooks
        promotion = Promotion(
            name=body.name,
            namespace=body.namespace,
            notebook=await notebooks.text(body.path),
            directory=notebooks.directory(body.path),
            git=notebooks.git(body.path),
            settings=body.settings,
        )
        version, schedule = await self.call(lambda service: promote(service, promotion, body.schedule))
        document = {
            "version": version.model_dump(mode="json"),
            "schedule": schedule.model_dump(mode="json") if schedule else None,
            "url": f"{self.shared.pages}/jobs/{version.job}" if self.shared.pages else None,
        }
        self.answer(document, status=201)


class PreviewHandler(RespawnHandler):
    """GET preview?cron=&tz=: the next fires of a schedule."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer a list of times in the schedule's zone."""
        cron, tz = self.get_query_argument("cron"), self.get_query_argument("tz")
        fires = await self.call(lambda service: service.preview(cron, tz))
        self.answer([fire.isoformat() for fire in fires])


async def _resume_request(handler: RespawnHandler) -> tuple[str, ResumeRequest]:
    body = _read(ResumeBody, handler.body())
    run, text = await handler.shared.notebooks.run_of(body.path)
    request = ResumeRequest(
        notebook=text, rerun_once=body.rerun_once, rerun_makers=body.rerun_makers, strict=body.strict
    )
    return run, request


def _outcome(service: Service, run_id: str) -> tuple[Run, Run | None]:
    """Return a run, and the last of those that go on from it."""
    run = last = service.show(run_id).run
    for _ in range(_MAX_RESUMES):
        if last.resumed_by is None:
            break
        last = service.show(last.resumed_by).run
    return run, None if last is run else last


def _answer_run(handler: RespawnHandler, run: Run) -> None:
    pages = handler.shared.pages
    url = f"{pages}/runs/{run.id}" if pages else None
    handler.answer({"run": run.model_dump(mode="json"), "url": url}, status=201)


def _read(model: type[Any], document: dict[str, Any]) -> Any:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{where}: {first['msg']}", field=where) from error


ROUTES: list[tuple[str, Any]] = [
    ("api/plan", PlanHandler),
    ("api/resume", ResumeHandler),
    ("api/restart", RestartHandler),
    ("api/outcome", OutcomeHandler),
    ("api/inspect", InspectHandler),
    ("api/promote", PromoteHandler),
    ("api/preview", PreviewHandler),
]
