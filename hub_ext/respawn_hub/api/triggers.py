"""The routes of triggers other than schedules whose answers say where webhooks are called."""

from __future__ import annotations

from respawn_hub.api.operation_routes import people_router, serves
from respawn_hub.auth.dependencies import ServiceDep
from respawn_hub.auth.runtime import Runtime, RuntimeDep
from respawn_jobs.api.triggers import Hook, HookRequest, NewHook, Triggers, TriggerService

router = people_router()


@serves(router, TriggerService.triggers)
def triggers(job: str, service: ServiceDep, runtime: RuntimeDep) -> Triggers:
    """Return what makes runs of a job besides schedules and people."""
    return with_links(runtime, service.triggers(job))


@serves(router, TriggerService.hook)
def hook(request: HookRequest, service: ServiceDep, runtime: RuntimeDep) -> NewHook:
    """Add a webhook to a job; its secret is shown this once."""
    return _with_address(runtime, service.hook(request))


@serves(router, TriggerService.rotate)
def rotate(hook: str, service: ServiceDep, runtime: RuntimeDep) -> NewHook:
    """Give a webhook another secret; the old one is refused from now on."""
    return _with_address(runtime, service.rotate(hook))


def with_links(runtime: Runtime, found: Triggers) -> Triggers:
    """Return triggers whose webhooks say where they are called."""
    return found.model_copy(update={"hooks": [_linked(runtime, hook) for hook in found.hooks]})


def _with_address(runtime: Runtime, new: NewHook) -> NewHook:
    return new.model_copy(update={"hook": _linked(runtime, new.hook)})


def _linked(runtime: Runtime, hook: Hook) -> Hook:
    hub = runtime.hub_settings
    return hook.model_copy(update={"url": f"{hub.public_url or hub.prefix}hooks/{hook.id}"})
