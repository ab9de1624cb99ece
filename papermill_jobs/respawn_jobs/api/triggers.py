"""What makes runs besides people and the clock: other jobs, webhooks, objects that appear."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from respawn_jobs.api.operation import operation
from respawn_jobs.model.base import Many, Model
from respawn_jobs.model.open_values import OPEN, OpenEnum
from respawn_jobs.model.runs import RunState

MAX_UPSTREAM = 100
"""Upstream jobs that one dependency may have."""
Period = Annotated[Literal["due", "hour", "day", "week", "month"], OPEN]


class TriggerRule(OpenEnum):
    """Which ends of the upstream runs make a downstream run; Airflow's words."""

    ALL_SUCCESS = "all_success"
    ONE_SUCCESS = "one_success"
    ALL_DONE = "all_done"
    ONE_DONE = "one_done"

    @property
    def needs_all(self) -> bool:
        """Whether each upstream job must have its run; otherwise one of them is enough."""
        return self in (TriggerRule.ALL_SUCCESS, TriggerRule.ALL_DONE)

    @property
    def accepts_failures(self) -> bool:
        """Whether failures, time-outs and cancelled runs count too."""
        return self in (TriggerRule.ALL_DONE, TriggerRule.ONE_DONE)


class Source(Model):
    """Where a parameter comes from: the run of an upstream job that its period's run follows."""

    job: str
    """One of the upstream jobs."""
    take: Annotated[Literal["artifact", "parameter", "run", "state"], OPEN]
    """The value of an artifact (kind json or text), a parameter, the run's id, or how it ended."""
    name: str | None = Field(default=None, max_length=255)
    """Of the artifact or parameter."""


class DependencyRequest(Model):
    """A request that a job runs after others; replaces the dependency that it has."""

    job: str
    upstream: Many[str] = Field(min_length=1, max_length=MAX_UPSTREAM)
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    period: Period = "due"
    """Which runs belong together: those of one logical date, or of one local hour, day, ISO week or month."""
    tz: str = "UTC"
    """IANA zone of hours, days, weeks and months."""
    parameters: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    """Parameters that are taken from upstream runs, by name."""


class Dependency(Model):
    """Which jobs a job runs after, once for each period."""

    id: str
    job: str
    upstream: list[str]
    """Jobs that you may not see stand here by their id."""
    trigger_rule: TriggerRule
    period: Period
    tz: str
    parameters: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    paused: bool = False
    created_by: str
    created_at: datetime


class Resting(Model):
    """Whether a dependency is paused."""

    paused: bool


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
    """A webhook with its secret, which is shown this once."""

    hook: Hook
    secret: str = Field(repr=False)


class HookAnswer(Model):
    """What a call of a webhook is answered."""

    run: str
    state: RunState
    repeated: bool = False
    """Whether this very call was taken before; the run is the one that it made then."""


class SensorRequest(Model):
    """A request that objects which appear under a prefix of the inbox run a job."""

    job: str
    prefix: str
    """A directory below the job's namespace in the inbox, such as `incoming/orders`; empty for all of it."""
    parameter: str | None = None
    """The parameter that is given the object's address."""
    parameters: dict[str, Any] = {}
    """Given to every run."""


class ObjectSensor(Model):
    """A directory of the inbox; each object that appears in it, or is written again, makes a run."""

    id: str
    job: str
    prefix: str
    address: str | None = None
    """Where the objects are put."""
    parameter: str | None = None
    parameters: dict[str, Any] = {}
    next_poke: datetime
    message: str | None = None
    """What kept the last poke from its end; it is tried again."""
    created_by: str
    created_at: datetime


class Triggers(Model):
    """What makes runs of a job besides schedules and people."""

    dependency: Dependency | None = None
    hooks: list[Hook] = []
    sensors: list[ObjectSensor] = []


class GraphNode(Model):
    """A job that runs after another, or that another runs after."""

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
    dependency: str
    trigger_rule: TriggerRule
    period: Period
    paused: bool = False


class Graph(Model):
    """Which jobs run after which, as far as you may see them."""

    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []


class TriggerService(Protocol):
    """The part of `Service` that is about triggers other than schedules."""

    @operation("GET", "triggers")
    def triggers(self, job: str) -> Triggers:
        """Return what makes runs of a job besides schedules and people."""

    @operation("PUT", "dependencies")
    def set_dependency(self, request: DependencyRequest) -> Dependency:
        """Let a job run after others, instead of the dependency that it has.

        Raises `InvalidInput` for a cycle, naming it.
        """

    @operation("PATCH", "dependencies", fields=Resting)
    def pause_dependency(self, job: str, *, paused: bool) -> Dependency:
        """Let a job's dependency rest, or go on; periods that completed meanwhile are not made up for."""

    @operation("DELETE", "dependencies")
    def remove_dependency(self, job: str) -> None:
        """Remove a job's dependency; its runs stay."""

    @operation("GET", "graph")
    def graph(self, namespace: str | None = None, *, archived: bool = False) -> Graph:
        """Return which jobs run after which: all, or those around a namespace's jobs.

        With `archived` also the archived ones, and the dependencies that name them.
        """

    @operation("POST", "webhooks", status=201)
    def hook(self, request: HookRequest) -> NewHook:
        """Add a webhook to a job; its secret is shown this once."""

    @operation("POST", "webhooks/{hook}/rotate")
    def rotate(self, hook: str) -> NewHook:
        """Give a webhook another secret; the old one is refused from now on."""

    @operation("DELETE", "webhooks/{hook}")
    def unhook(self, hook: str) -> None:
        """Remove a webhook; its runs stay."""

    @operation("POST", "sensors", status=201)
    def add_sensor(self, request: SensorRequest) -> ObjectSensor:
        """Run a job for each object that appears from now on under a prefix of the inbox."""

    @operation("DELETE", "sensors/{sensor}")
    def remove_sensor(self, sensor: str) -> None:
        """Remove a sensor; its runs stay."""
