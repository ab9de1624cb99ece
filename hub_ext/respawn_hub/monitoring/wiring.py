"""What tells people and watches over the service, put together: channels, loops, metrics, health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from respawn_hub.monitoring.audit_heads import Heads
from respawn_hub.monitoring.health import HealthProbe
from respawn_hub.monitoring.hub_watch import HubWatch
from respawn_hub.monitoring.metrics import Metrics
from respawn_hub.monitoring.write_probe import Writes
from respawn_hub.notify.channels import Channels
from respawn_hub.notify.notifier import DeadlineNotifier, NoticeCollector, Notifier
from respawn_hub.startup.settings import HubSettings, Settings
from respawn_jobs.clock import Clock
from respawn_jobs.ledger import Ledger
from respawn_jobs.ledger.audit.head_places import AuditHeadStore


@dataclass(frozen=True)
class Monitoring:
    """The parts, and their loops for the supervisor."""

    channels: Channels
    metrics: Metrics
    probe: HealthProbe
    loops: dict[str, Callable[[], float]]


def watching(
    settings: Settings, hub_settings: HubSettings, ledger: Ledger, clock: Clock, hub_watch: HubWatch
) -> Monitoring:
    """Build the parts over a ledger, and let it know them.

    Args:
        settings: the service's settings: the channels file, the data directory, alarms and audit heads.
        hub_settings: where the service is, for links in notices.
        ledger: the store's use cases, to which channels and metrics are attached.
        clock: returns the present moment, in UTC.
        hub_watch: what is known of the hub's own life, with its loops.

    Raises:
        InvalidInput: the channels file, or the place for audit heads, cannot be used.
    """
    operations = ledger.operations()
    channels = Channels.load(settings.channels_file)
    metrics = Metrics(operations.figures)
    writes = Writes(operations, settings.data)
    probe = HealthProbe(
        operations,
        queue_alarm_seconds=settings.queue_alarm_seconds,
        more=lambda: {"hub": hub_watch.part, **writes.parts()},
    )
    ledger.attach(channels, metrics)
    base = hub_settings.public_url or hub_settings.prefix
    return Monitoring(
        channels=channels,
        metrics=metrics,
        probe=probe,
        loops={
            "notices": NoticeCollector(operations).tick,
            "deadlines": DeadlineNotifier(operations, clock=clock).tick,
            "notifier": Notifier(operations, channels, lambda path: f"{base}{path}").tick,
            "health": probe.tick,
            "writes": writes.tick,
            **hub_watch.loops(),
            **_heads(settings, ledger),
        },
    )


def _heads(settings: Settings, ledger: Ledger) -> dict[str, Callable[[], float]]:
    """Return the loop that keeps heads of the audit trail elsewhere, where the settings say so."""
    if settings.audit_heads is None:
        return {}
    place = AuditHeadStore(settings.audit_heads)
    return {"audit heads": Heads(ledger, place, every_seconds=settings.audit_heads_seconds).tick}
