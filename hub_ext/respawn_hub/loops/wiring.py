"""The loops of a replica, put together over a ledger and an executor; not started yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from respawn_hub.loops.backfiller import Backfiller
from respawn_hub.loops.dispatcher import Dispatcher
from respawn_hub.loops.downstream import DownstreamLoop
from respawn_hub.loops.drain import DrainingReplica
from respawn_hub.loops.housekeeper import Housekeeper
from respawn_hub.loops.replica_heartbeat import ReplicaHeartbeat
from respawn_hub.loops.scheduler import Scheduler
from respawn_hub.loops.sensors import SensorLoop
from respawn_hub.loops.supervisor import Passed, Supervisor
from respawn_hub.startup.settings import Settings
from respawn_jobs.clock import Clock
from respawn_jobs.executors.base import Executor
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import ForeseenRun

FREED = ("dispatcher",)
"""The loops that have something to do once a runner is free."""
QUEUED = ("dispatcher", "deadlines")
"""Those that have something to do once a run is queued: it may have a deadline."""
RUN_ENDED = ("dispatcher", "downstream", "backfiller", "notices")
"""Those that have something to do once a run has ended: others would ask the database in vain."""


def build_loops(
    settings: Settings,
    ledger: Ledger,
    executor: Executor,
    *,
    replica: str,
    clock: Clock,
    more: Mapping[str, Callable[[], float]],
    passed: Passed,
    also: Mapping[str, Executor] | None = None,
) -> DrainingReplica:
    """Return the way in which the loops of this replica end, which has their supervisor.

    Args:
        settings: how the service works.
        ledger: what the loops work on.
        executor: starts runners.
        replica: this process's id among the service's replicas.
        clock: the present moment.
        more: loops besides, by name.
        passed: called after each pass of a loop.
        also: more executors by their names, each for places of its own.
    """
    dispatcher = Dispatcher(
        ledger,
        executor,
        max_running=settings.max_running,
        name=settings.executor,
        replica=replica,
        also=also,
    )
    executors = [executor, *(also or {}).values()]
    presence = ReplicaHeartbeat(
        ledger, dispatcher, lambda: supervisor.health(), replica=replica, slots=settings.max_running
    )
    supervisor = Supervisor(
        {
            "dispatcher": dispatcher.tick,
            "presence": presence.tick,
            **_loops(settings, ledger, lambda: supervisor.wake(QUEUED), executors, clock),
            **more,
        },
        passed=passed,
    )
    return DrainingReplica(supervisor, dispatcher, presence, drain_seconds=settings.drain_seconds)


def _loops(
    settings: Settings,
    ledger: Ledger,
    wake: Callable[[], None],
    executors: Sequence[Executor],
    clock: Clock,
) -> dict[str, Callable[[], float]]:
    """Return the loops that make runs, and the one that lets old ones go."""

    def expect(runs: Sequence[ForeseenRun], seconds: float) -> None:
        for executor in executors:
            executor.expect(runs, seconds)

    ahead = max(executor.ahead for executor in executors)
    return {
        "scheduler": Scheduler(ledger, wake, expected=expect, ahead=ahead, clock=clock).tick,
        "backfiller": Backfiller(ledger, wake).tick,
        "downstream": DownstreamLoop(ledger, wake).tick,
        "sensors": SensorLoop(ledger, wake, every_seconds=settings.sensor_seconds).tick,
        "housekeeper": Housekeeper(ledger).tick,
    }
