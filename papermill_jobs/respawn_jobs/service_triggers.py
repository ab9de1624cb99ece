"""What makes runs besides people and the clock: other jobs, webhooks, objects that appear."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from respawn_jobs.models import RunState
from respawn_jobs.wire import Many, Model

MOST_UPSTREAM = 100
"""Jobs that one rule may wait for."""
Needs = Literal["all", "any"]
WaitsFor = Literal["success", "end"]
Period = Literal["due", "hour", "day", "week", "month"]


class Source(Model):
    """Where a parameter comes from: the run of an upstream job that its period's run follows."""

    job: str
    """One of the jobs that the rule waits for."""
    take: Literal["artifact", "parameter", "run", "state"]
    """The value of an artifact (kind json or text), a parameter, the run's id, or how it ended."""
    name: str | None = Field(default=None, max_length=255)
    """Of the artifact or parameter."""


class AfterRequest(Model):
    """A request that a job runs after others; replaces the rule that it has."""

    job: str
    after: Many[str] = Field(min_length=1, max_length=MOST_UPSTREAM)
    """The upstream jobs."""
    needs: Needs = "all"
    waits_for: WaitsFor = "success"
    """`end`: failures, time-outs and cancelled runs count too."""
    period: Period = "due"
    """Which runs belong together: those of one logical date, or of one local hour, day, ISO week or month."""
    tz: str = "UTC"
    """IANA zone of hours, days, weeks and months."""
    parameters: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    """Parameters that are taken from upstream runs, by name."""


class After(Model):
    """The rule after which other jobs' runs a job runs, once for each period."""

    id: str
    job: str
    after: list[str]
    """The upstream jobs; those that you may not see are told by their id."""
    needs: Needs
    waits_for: WaitsFor
    period: Period
    tz: str
    parameters: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    paused: bool = False
    created_by: str
    created_at: datetime


class HookRequest(Model):
    """A request for a webhook that runs a job."""

    job: str
    parameters: dict[str, Any] = {}
    """Given to every run."""
    accepts: Many[str] = Field(default=[], max_length=100)
    """Names of the parameters that a call may give."""


class Hook(Model):
    """A webhook that runs a job when it is called with a valid signature."""

    id: str
    job: str
    parameters: dict[str, Any] = {}
    accepts: list[str] = []
    url: str | None = None
    """Where it is called; None where no service answers."""
    created_by: str
    created_at: datetime


class NewHook(Model):
    """A webhook with its secret, which is told this once."""

    hook: Hook
    secret: str = Field(repr=False)


class HookAnswer(Model):
    """What a call of a webhook is answered."""

    run: str
    state: RunState
    repeated: bool = False
    """Whether this very call was taken before; the run is the one that it made then."""


class WatchRequest(Model):
    """A request that objects which appear under a prefix of the inbox run a job."""

    job: str
    prefix: str
    """A directory below the job's namespace in the inbox, such as `incoming/orders`; empty for all of it."""
    parameter: str | None = None
    """The parameter that is given the object's address."""
    parameters: dict[str, Any] = {}
    """Given to every run."""


class ObjectWatch(Model):
    """A directory of the inbox; each object that appears in it, or is written again, makes a run."""

    id: str
    job: str
    prefix: str
    address: str | None = None
    """Where the objects are put."""
    parameter: str | None = None
    parameters: dict[str, Any] = {}
    next_look: datetime
    said: str | None = None
    """What kept the last look from its end; it is tried again."""
    created_by: str
    created_at: datetime


class Triggers(Model):
    """What makes runs of a job besides schedules and people."""

    after: After | None = None
    hooks: list[Hook] = []
    watches: list[ObjectWatch] = []


class GraphNode(Model):
    """A job that follows another, or is followed."""

    job: str
    state: RunState | None = None
    """Of its last run."""
    run: str | None = None
    next_due: datetime | None = None
    """When the clock runs it next."""
    archived: bool = False


class GraphEdge(Model):
    """One job that another waits for."""

    upstream: str
    job: str
    rule: str
    needs: Needs
    waits_for: WaitsFor
    period: Period
    paused: bool = False


class Graph(Model):
    """Which jobs run after which, as far as you may see them."""

    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []


class TriggerService(Protocol):
    """The part of `Service` that is about triggers other than schedules."""

    def triggers(self, job: str) -> Triggers:
        """Return what makes runs of a job besides schedules and people."""

    def follow(self, request: AfterRequest) -> After:
        """Let a job run after others. Raises `InvalidInput` for a cycle, naming it."""

    def pause_following(self, job: str, *, paused: bool) -> After:
        """Let a job's rule rest, or go on; periods that completed meanwhile are not made up for."""

    def unfollow(self, job: str) -> None:
        """Remove a job's rule; its runs stay."""

    def graph(self, namespace: str | None = None, *, archived: bool = False) -> Graph:
        """Return which jobs run after which: all, or those around a namespace's jobs.

        With `archived` also the archived ones, and the rules that name them.
        """

    def hook(self, request: HookRequest) -> NewHook:
        """Add a webhook to a job; its secret is told this once."""

    def rotate(self, hook: str) -> NewHook:
        """Give a webhook another secret; the old one is refused from now on."""

    def unhook(self, hook: str) -> None:
        """Remove a webhook; its runs stay."""

    def watch(self, request: WatchRequest) -> ObjectWatch:
        """Run a job for each object that appears from now on under a prefix of the inbox."""

    def unwatch(self, watch: str) -> None:
        """Remove a watch; its runs stay."""
