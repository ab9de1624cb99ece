"""Triggers other than schedules over HTTP."""

from __future__ import annotations

from respawn_jobs.remote_link import RemoteBase, body, part, query
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


class RemoteTriggers(RemoteBase):
    """A hub's service; each method is told in `respawn_jobs.service_triggers.TriggerService`."""

    def triggers(self, job: str) -> Triggers:
        """Return what makes runs of a job besides schedules and people."""
        return self._one(Triggers, "GET", "api/job/triggers", **query(ref=job))

    def follow(self, request: AfterRequest) -> After:
        """Let a job run after others."""
        return self._one(After, "PUT", "api/after", **body(request))

    def pause_following(self, job: str, *, paused: bool) -> After:
        """Let a job's rule rest, or go on."""
        return self._one(After, "PATCH", "api/after", **query(job=job), json={"paused": paused})

    def unfollow(self, job: str) -> None:
        """Remove a job's rule; its runs stay."""
        self._link.call("DELETE", "api/after", **query(job=job))

    def graph(self, namespace: str | None = None, *, archived: bool = False) -> Graph:
        """Return which jobs run after which."""
        return self._one(Graph, "GET", "api/graph", **query(namespace=namespace, archived=archived or None))

    def hook(self, request: HookRequest) -> NewHook:
        """Add a webhook to a job."""
        return self._one(NewHook, "POST", "api/hooks", **body(request))

    def rotate(self, hook: str) -> NewHook:
        """Give a webhook another secret."""
        return self._one(NewHook, "POST", f"api/hooks/{part(hook)}/rotate")

    def unhook(self, hook: str) -> None:
        """Remove a webhook; its runs stay."""
        self._link.call("DELETE", f"api/hooks/{part(hook)}")

    def watch(self, request: WatchRequest) -> ObjectWatch:
        """Run a job for each object that appears under a prefix of the inbox."""
        return self._one(ObjectWatch, "POST", "api/watches", **body(request))

    def unwatch(self, watch: str) -> None:
        """Remove a watch; its runs stay."""
        self._link.call("DELETE", f"api/watches/{part(watch)}")
