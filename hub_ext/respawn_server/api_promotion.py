"""What the dialog for promoting asks for: what a promotion would do, the promotion, schedules, a run."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from respawn_jobs.api.service import Promotion
from respawn_jobs.api.versions import Agreement, ScheduleChange
from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.base import Model
from respawn_jobs.model.settings import JobSettings
from respawn_server.promotion import (
    CarriedPreview,
    Carry,
    PromotionProblem,
    ScheduleBody,
    change_schedule,
    inspect_notebook,
    job_name,
    preview,
    promote,
    run_now,
    suggested_name,
    with_files,
)
from respawn_server.shared import KEY, RespawnHandler, read_body


class PromoteBody(Model):
    """Which notebook becomes a version of which job."""

    path: str
    name: str
    namespace: str | None = None
    settings: JobSettings | None = None
    schedule: ScheduleBody | None = None
    carry: Carry = Carry()
    seen: int | None = None
    agreed: list[Agreement] = []


class ChangeBody(Model):
    """What becomes of a schedule."""

    schedule: str
    job: str
    paused: bool | None = None
    cron: str | None = None
    tz: str | None = None
    parameters: dict[str, str] | None = None
    """As typed; None leaves them."""
    remove: bool = False


class RunBody(Model):
    """Which job to run now, and with what."""

    job: str
    version: int | None = None
    parameters: dict[str, str] = {}


class InspectHandler(RespawnHandler):
    """GET inspect?path=: a notebook's parameters and kernel, and the job it suggests."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer an `Inspection`."""
        path = self.get_query_argument("path")
        promotion = await _promotion(self, PromoteBody(path=path, name=job_name(path)), fresh=False)
        owner = await self.call(lambda service: service.whoami())
        found = inspect_notebook(promotion.name, promotion.notebook, owner)
        name = await self.call(lambda service: suggested_name(service, promotion))
        self.answer(found.model_copy(update={"name": name}).model_dump(mode="json"))


class PromotePreviewHandler(RespawnHandler):
    """POST promote/preview: what a promotion as typed so far would do; changes nothing."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer a `Previewed`."""
        body: PromoteBody = read_body(PromoteBody, self.body())
        promotion = await _promotion(self, body, fresh=False)
        drift = await self.shared.drift.look(body.path, promotion.notebook, fresh=False)
        promotion = promotion.model_copy(update={"drift": drift})
        carried: CarriedPreview | None = None
        problems: list[PromotionProblem] = []
        try:
            promotion, carried = await asyncio.to_thread(with_files, promotion, body.carry)
        except InvalidInput as error:
            problems.append(PromotionProblem(field="carry", message=error.message))
        seen = await self.call(lambda service: preview(service, promotion, body.schedule))
        if carried is not None and seen.preview is not None:
            opened = [f"{one.path}, which {one.run} has read" for one in seen.preview.opened]
            carried = carried.model_copy(update={"outside": [*carried.outside, *opened]})
        whole = seen.model_copy(update={"carried": carried, "problems": [*problems, *seen.problems]})
        self.answer(whole.model_dump(mode="json"))


class PromoteHandler(RespawnHandler):
    """POST promote: the saved notebook becomes a version, with a schedule when one is given."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer `{"version", "new", "schedule", "url", "proposal"}`.

        `new` is false for a version that was current. `proposal` is the environment.toml (`path` and `text`)
        that was written for packages beside the lock which the person left out knowingly; null where there is
        none.
        """
        body: PromoteBody = read_body(PromoteBody, self.body())
        promotion = await _promotion(self, body, fresh=True)
        seen = self.shared.drift.seen(body.path, promotion.notebook)
        drift = await self.shared.drift.look(body.path, promotion.notebook, fresh=True)
        # Nobody has agreed to what no preview carried: the service refuses it, with the list as it is now.
        agreed = [one for one in body.agreed if one != "ignore_drift" or set(drift) <= set(seen)]
        promotion = promotion.model_copy(update={"drift": drift, "agreed": agreed})
        promotion, _ = await asyncio.to_thread(with_files, promotion, body.carry)
        version, schedule = await self.call(lambda service: promote(service, promotion, body.schedule))
        proposed = None
        if drift and "ignore_drift" in agreed and promotion.directory is not None:
            proposed = await self.shared.drift.propose(
                body.path, promotion.notebook, promotion.directory, promotion.name
            )
        document = {
            "version": version.model_dump(mode="json"),
            "new": version.number != body.seen,
            "schedule": schedule.model_dump(mode="json") if schedule else None,
            "url": f"{self.shared.pages}/jobs/{version.job}" if self.shared.pages else None,
            "proposal": asdict(proposed) if proposed else None,
        }
        self.answer(document, status=201)


class ScheduleHandler(RespawnHandler):
    """POST schedule: change, pause or remove a schedule."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer the `Schedule` as it is now, or null when it was removed.

        Raises:
            InvalidInput: the body is no `ChangeBody`, or changes nothing.
        """
        body: ChangeBody = read_body(ChangeBody, self.body())
        if body.remove:
            await self.call(lambda service: service.unschedule(body.schedule))
            self.answer(None)
            return
        change = ScheduleChange(paused=body.paused, cron=body.cron, tz=body.tz)
        if change == ScheduleChange() and body.parameters is None:
            raise InvalidInput("say what to change of the schedule: paused, cron, tz, parameters or remove")
        changed = await self.call(
            lambda service: change_schedule(service, body.schedule, change, body.parameters, body.job)
        )
        self.answer(changed.model_dump(mode="json"))


class RunHandler(RespawnHandler):
    """POST run: a run of a job, now."""

    auth_resource = KEY

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer `{"run", "url"}`."""
        body: RunBody = read_body(RunBody, self.body())
        self.answer_run(
            await self.call(lambda service: run_now(service, body.job, body.version, body.parameters))
        )


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


async def _promotion(handler: RespawnHandler, body: PromoteBody, *, fresh: bool) -> Promotion:
    notebooks = handler.shared.notebooks
    saved = await (notebooks.saved(body.path) if fresh else notebooks.remembered(body.path))
    return Promotion(
        name=body.name,
        namespace=body.namespace,
        notebook=saved.text,
        directory=saved.directory,
        source=saved.source,
        git=saved.git,
        settings=body.settings,
        seen=body.seen,
        agreed=body.agreed,
    )


ROUTES: list[tuple[str, Any]] = [
    ("api/inspect", InspectHandler),
    ("api/promote", PromoteHandler),
    ("api/promote/preview", PromotePreviewHandler),
    ("api/schedule", ScheduleHandler),
    ("api/run", RunHandler),
    ("api/preview", PreviewHandler),
]
