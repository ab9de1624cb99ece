"""Triggers other than schedules as one person may see and change them, in-process."""

from __future__ import annotations

from respawn_jobs.ledger import after, graph, hooks, watches
from respawn_jobs.ledger.actor_base import ActorBase
from respawn_jobs.ledger.context import find_job
from respawn_jobs.service_triggers import (
    After,
    AfterRequest,
    Graph,
    HookRequest,
    NewHook,
    ObjectWatch,
    Triggers,
    WatchRequest,
)


class ActorTriggers(ActorBase):
    """What one actor can do; each method is told in `respawn_jobs.service_triggers.TriggerService`."""

    def triggers(self, job: str) -> Triggers:
        """Return what makes runs of a job besides schedules and people."""
        with self._context.database.session() as session:
            row = find_job(session, self.actor, job)
            return Triggers(
                after=after.rule_of(session, self.actor, row),
                hooks=hooks.hooks_of(session, row),
                watches=watches.watches_of(self._context, session, row),
            )

    def follow(self, request: AfterRequest) -> After:
        """Let a job run after others."""
        return after.follow(self._context, self.actor, request)

    def pause_following(self, job: str, *, paused: bool) -> After:
        """Let a job's rule rest, or go on."""
        return after.pause(self._context, self.actor, job, paused=paused)

    def unfollow(self, job: str) -> None:
        """Remove a job's rule; its runs stay."""
        after.unfollow(self._context, self.actor, job)

    def graph(self, namespace: str | None = None, *, archived: bool = False) -> Graph:
        """Return which jobs run after which."""
        return graph.graph(self._context, self.actor, namespace, archived=archived)

    def hook(self, request: HookRequest) -> NewHook:
        """Add a webhook to a job."""
        return hooks.hook(self._context, self.actor, request)

    def rotate(self, hook: str) -> NewHook:
        """Give a webhook another secret."""
        return hooks.rotate(self._context, self.actor, hook)

    def unhook(self, hook: str) -> None:
        """Remove a webhook; its runs stay."""
        hooks.unhook(self._context, self.actor, hook)

    def watch(self, request: WatchRequest) -> ObjectWatch:
        """Run a job for each object that appears under a prefix of the inbox."""
        return watches.watch(self._context, self.actor, request)

    def unwatch(self, watch: str) -> None:
        """Remove a watch; its runs stay."""
        watches.unwatch(self._context, self.actor, watch)
