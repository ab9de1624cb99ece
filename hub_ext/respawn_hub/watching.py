"""What tells people and watches over the service, put together: channels, loops, metrics, health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from respawn_hub.channels import Channels
from respawn_hub.metrics import Metrics
from respawn_hub.services.heads import Heads
from respawn_hub.services.hub_watch import HubWatch
from respawn_hub.services.notifier import Collector, Deadlines, Notifier
from respawn_hub.services.probe import Probe
from respawn_hub.services.writes import Writes
from respawn_hub.settings import HubSettings, Settings
from respawn_jobs.clock import Clock
from respawn_jobs.head_places import HeadPlace
from respawn_jobs.ledger import Ledger


@dataclass(frozen=True)
class Watching:
    """The parts, and their loops for the supervisor."""

    channels: Channels
    metrics: Metrics
    probe: Probe
    loops: dict[str, Callable[[], float]]


def watching(
    settings: Settings, hub_settings: HubSettings, ledger: Ledger, clock: Clock, hub_watch: HubWatch
) -> Watching:
    """Build the parts over a ledger, and let it know them. Raises `InvalidInput` for a bad channels file."""
    operations = ledger.operations()
    channels = Channels.load(settings.channels_file)
    metrics = Metrics(operations.figures)
    writes = Writes(operations, settings.data)
    probe = Probe(
        operations,
        queue_alarm_seconds=settings.queue_alarm_seconds,
        more=lambda: {"hub": hub_watch.part, **writes.parts()},
    )
    ledger.attach(channels, metrics)
    base = hub_settings.public_url or hub_settings.prefix
    return Watching(
        channels=channels,
        metrics=metrics,
        probe=probe,
        loops={
            "notices": Collector(operations).tick,
            "deadlines": Deadlines(operations, clock=clock).tick,
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
    place = HeadPlace(settings.audit_heads)
    return {"audit heads": Heads(ledger, place, every_seconds=settings.audit_heads_seconds).tick}
