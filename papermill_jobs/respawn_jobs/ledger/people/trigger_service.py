"""Triggers other than schedules as one person may see and change them, in-process."""

from __future__ import annotations

from respawn_jobs.api.triggers import (
    Dependency,
    DependencyRequest,
    Graph,
    HookRequest,
    NewHook,
    ObjectSensor,
    SensorRequest,
    Triggers,
)
from respawn_jobs.ledger.context.context import find_job
from respawn_jobs.ledger.people.actor_base import ActorBase
from respawn_jobs.ledger.triggers import dependencies, graph, sensors, webhooks


class ActorTriggers(ActorBase):
    """What one actor can do; each method is described in `respawn_jobs.api.triggers.TriggerService`."""

    def triggers(self, job: str) -> Triggers:
        """Return what makes runs of a job besides schedules and people."""
        with self._context.database.session() as session:
            row = find_job(session, self.actor, job)
            return Triggers(
                dependency=dependencies.dependency_of(session, self.actor, row),
                hooks=webhooks.hooks_of(session, row),
                sensors=sensors.sensors_of(self._context, session, row),
            )

    def set_dependency(self, request: DependencyRequest) -> Dependency:
        """Let a job run after others."""
        return dependencies.set_dependency(self._context, self.actor, request)

    def pause_dependency(self, job: str, *, paused: bool) -> Dependency:
        """Let a job's dependency rest, or go on."""
        return dependencies.pause(self._context, self.actor, job, paused=paused)

    def remove_dependency(self, job: str) -> None:
        """Remove a job's dependency; its runs stay."""
        dependencies.remove_dependency(self._context, self.actor, job)

    def graph(self, namespace: str | None = None, *, archived: bool = False) -> Graph:
        """Return which jobs run after which."""
        return graph.graph(self._context, self.actor, namespace, archived=archived)

    def hook(self, request: HookRequest) -> NewHook:
        """Add a webhook to a job."""
        return webhooks.hook(self._context, self.actor, request)

    def rotate(self, hook: str) -> NewHook:
        """Give a webhook another secret."""
        return webhooks.rotate(self._context, self.actor, hook)

    def unhook(self, hook: str) -> None:
        """Remove a webhook; its runs stay."""
        webhooks.unhook(self._context, self.actor, hook)

    def add_sensor(self, request: SensorRequest) -> ObjectSensor:
        """Run a job for each object that appears under a prefix of the inbox."""
        return sensors.add(self._context, self.actor, request)

    def remove_sensor(self, sensor: str) -> None:
        """Remove a sensor; its runs stay."""
        sensors.remove_sensor(self._context, self.actor, sensor)
