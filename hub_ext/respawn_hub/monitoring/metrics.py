"""The metrics for Prometheus, in a registry of our own.

Counters and histograms are of this replica: add them up. Gauges about runs, queues and replicas come from the
database and are the same whichever replica is asked: take the maximum. docs/reference/metrics.md tells them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger.operations.stats import ServiceFigures

_DELAYS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_PAUSES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_SIZES = tuple(float(10**power) for power in range(3, 12))
_KEPT_SECONDS = 2.0
"""How long an answer of the database serves further scrapes."""


class Metrics:
    """Counts what happens here (an `Observer`), and tells it with the figures of the store."""

    def __init__(self, figures: Callable[[], ServiceFigures]) -> None:
        self.registry = registry = CollectorRegistry()
        self._start = Histogram(
            "respawn_start_seconds", "From due, or asked for, to the first claim of a run", ["queue"],
            buckets=_DELAYS, registry=registry,
        )  # fmt: skip
        self._checkpoint_seconds = Histogram(
            "respawn_checkpoint_seconds", "How long a checkpoint kept its kernel waiting",
            buckets=_PAUSES, registry=registry,
        )  # fmt: skip
        self._checkpoint_bytes = Histogram(
            "respawn_checkpoint_bytes", "Bytes of a checkpoint that were not stored before",
            buckets=_SIZES, registry=registry,
        )  # fmt: skip
        self._attempts = Counter(
            "respawn_attempts_ended", "Attempts that ended", ["state", "cause"], registry=registry
        )
        self._kernels = Counter(
            "respawn_kernel_starts", "Kernels of attempts that ended", ["start"], registry=registry
        )
        self._runs = Counter(
            "respawn_runs_ended", "Runs that reached a final state", ["state"], registry=registry
        )
        self._notices = Counter(
            "respawn_notices",
            "Messages that channels took or refused",
            ["kind", "outcome"],
            registry=registry,
        )
        self._loop_seconds = Histogram(
            "respawn_loop_seconds", "One pass of a loop", ["loop"], buckets=_PAUSES, registry=registry
        )
        self._loop_failures = Counter(
            "respawn_loop_failures", "Passes of a loop that failed", ["loop"], registry=registry
        )
        registry.register(_Store(figures))
        ProcessCollector(registry=registry)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def loop_passed(self, loop: str, seconds: float, *, failed: bool) -> None:
        """Count one pass of a loop.

        Args:
            loop: the loop's name, which becomes the label `loop`.
            seconds: how long the pass took.
            failed: whether it ended with an exception.
        """
        self._loop_seconds.labels(loop).observe(seconds)
        failures = self._loop_failures.labels(loop)  # made at zero, so that a rate is seen from the first on
        if failed:
            failures.inc()

    def started(self, queue: str, seconds: float) -> None:
        """Count the first claim of a run."""
        self._start.labels(queue).observe(max(0.0, seconds))

    def checkpointed(self, seconds: float, size: int) -> None:
        """Count a committed checkpoint."""
        self._checkpoint_seconds.observe(seconds)
        self._checkpoint_bytes.observe(size)

    def kernel_started(self, *, warm: bool) -> None:
        """Count a kernel by how it was started."""
        self._kernels.labels("warm" if warm else "plain").inc()

    def attempt_ended(self, state: str, cause: str | None) -> None:
        """Count an attempt that ended."""
        self._attempts.labels(state, cause or "").inc()

    def run_ended(self, state: str) -> None:
        """Count a run that ended."""
        self._runs.labels(state).inc()

    def notice_tried(self, kind: str, *, sent: bool) -> None:
        """Count a message that was handed to a channel."""
        self._notices.labels(kind, "sent" if sent else "refused").inc()


class _Store(Collector):
    """Gauges of the store, asked for when they are scraped."""

    def __init__(self, figures: Callable[[], ServiceFigures]) -> None:
        self._ask = figures
        self._lock = threading.Lock()
        self._kept: tuple[float, ServiceFigures | None] = (float("-inf"), None)

    def describe(self) -> list[Metric]:
        """Return nothing: the names are known when they are collected, and registering must ask nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; `respawn_database_up` alone when the database does not answer."""
        figures = self._figures()
        yield GaugeMetricFamily(
            "respawn_database_up",
            "Whether the database answers this replica",
            value=float(figures is not None),
        )
        if figures is not None:
            yield from _gauges(figures)

    def _figures(self) -> ServiceFigures | None:
        with self._lock:
            asked, kept = self._kept
            if time.monotonic() - asked < _KEPT_SECONDS:
                return kept
            try:
                found: ServiceFigures | None = self._ask()
            except RespawnError:
                found = None
            self._kept = (time.monotonic(), found)
            return found


def _gauges(figures: ServiceFigures) -> Iterator[Metric]:
    yield _family("respawn_runs", "Runs that have not ended", "state", figures.runs)
    runs = {name: queue.runs for name, queue in figures.queues.items()}
    yield _family("respawn_queue_runs", "Runs that wait and may start", "queue", runs)
    ages = {name: queue.oldest_seconds for name, queue in figures.queues.items()}
    yield _family("respawn_queue_oldest_seconds", "How long the oldest of them waits", "queue", ages)
    yield GaugeMetricFamily(
        "respawn_heartbeat_age_seconds", "The longest silence of a runner that executes",
        value=figures.heartbeat_seconds,
    )  # fmt: skip
    yield GaugeMetricFamily(
        "respawn_blocked_cells", "Running cells that give no sign of life", value=figures.blocked_cells
    )
    yield _family("respawn_stored_bytes", "What a namespace stores", "namespace", figures.stored)
    yield _family("respawn_waiting_runs", "Runs of a namespace that wait", "namespace", figures.waiting)
    yield _family("respawn_replicas", "Replicas of the service", "state", figures.replicas)
    yield GaugeMetricFamily(
        "respawn_notices_waiting", "Notices that are yet to be sent", value=figures.notices_waiting
    )
    yield GaugeMetricFamily(
        "respawn_channels_failing", "Channels that refused what they were last sent",
        value=len(figures.failing_channels),
    )  # fmt: skip
    yield _family("respawn_database_connections", "Connections of this replica", "state", figures.connections)


def _family(name: str, text: str, label: str, values: dict[str, int] | dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
