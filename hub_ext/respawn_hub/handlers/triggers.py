"""The REST API for triggers other than schedules: the `TriggerService` interface, one route per method."""

from __future__ import annotations

from fastapi import APIRouter

from respawn_hub.auth import AskedFirst, ServiceDep
from respawn_hub.handlers.problems import PROBLEMS
from respawn_hub.runtime import Runtime, RuntimeDep
from respawn_jobs.service_triggers import (
    After,
    AfterRequest,
    Graph,
    Hook,
    HookRequest,
    NewHook,
    ObjectWatch,
    Triggers,
    WatchRequest,
)
from respawn_jobs.wire import Model

router = APIRouter(prefix="/api", tags=["people"], responses=PROBLEMS, route_class=AskedFirst)


class Resting(Model):
    """Whether a rule is paused."""

    paused: bool


@router.get("/job/triggers")
def triggers(ref: str, service: ServiceDep, runtime: RuntimeDep) -> Triggers:
    """Return what makes runs of a job besides schedules and people."""
    return with_links(runtime, service.triggers(ref))


@router.put("/after")
def follow(request: AfterRequest, service: ServiceDep) -> After:
    """Let a job run after others, instead of the rule that it has."""
    return service.follow(request)


@router.patch("/after")
def pause(job: str, change: Resting, service: ServiceDep) -> After:
    """Let a job's rule rest, or go on."""
    return service.pause_following(job, paused=change.paused)


@router.delete("/after", status_code=204)
def unfollow(job: str, service: ServiceDep) -> None:
    """Remove a job's rule; its runs stay."""
    service.unfollow(job)


@router.get("/graph")
def graph(service: ServiceDep, namespace: str | None = None, archived: bool = False) -> Graph:
    """Return which jobs run after which, as far as the caller may see them."""
    return service.graph(namespace, archived=archived)


@router.post("/hooks", status_code=201)
def hook(request: HookRequest, service: ServiceDep, runtime: RuntimeDep) -> NewHook:
    """Add a webhook to a job; its secret is told this once."""
    return _told(runtime, service.hook(request))


@router.post("/hooks/{hook}/rotate")
def rotate(hook: str, service: ServiceDep, runtime: RuntimeDep) -> NewHook:
    """Give a webhook another secret; the old one is refused from now on."""
    return _told(runtime, service.rotate(hook))


@router.delete("/hooks/{hook}", status_code=204)
def unhook(hook: str, service: ServiceDep) -> None:
    """Remove a webhook; its runs stay."""
    service.unhook(hook)


@router.post("/watches", status_code=201)
def watch(request: WatchRequest, service: ServiceDep) -> ObjectWatch:
    """Run a job for each object that appears from now on under a prefix of the inbox."""
    return service.watch(request)


@router.delete("/watches/{watch}", status_code=204)
def unwatch(watch: str, service: ServiceDep) -> None:
    """Remove a watch; its runs stay."""
    service.unwatch(watch)


def with_links(runtime: Runtime, found: Triggers) -> Triggers:
    """Return triggers whose webhooks say where they are called."""
    return found.model_copy(update={"hooks": [_linked(runtime, hook) for hook in found.hooks]})


def _told(runtime: Runtime, new: NewHook) -> NewHook:
    return new.model_copy(update={"hook": _linked(runtime, new.hook)})


def _linked(runtime: Runtime, hook: Hook) -> Hook:
    hub = runtime.hub_settings
    return hook.model_copy(update={"url": f"{hub.public_url or hub.prefix}hooks/{hook.id}"})
