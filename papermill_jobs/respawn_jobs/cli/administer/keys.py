"""The commands for the service's own keys: `admin keys` and `admin rotate-key`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import click

from respawn_jobs.cli.common.options import json_option

if TYPE_CHECKING:
    from respawn_jobs.keyring import Purpose
    from respawn_jobs.ledger import Ledger
    from respawn_jobs.ledger.operations.rotation import OldHook

_PURPOSES = ("cookies", "webhooks", "audit", "hub-token")
_NEXT = {
    "cookies": "people who are signed in stay so until then, or until their session ends",
    "webhooks": "new webhooks and `respawn hook rotate` use the new key; calls signed with a secret that "
    "was given before are taken until then, and refused from then on",
    "audit": "records are signed with the new key; those so far are checked with the old one, which stays in "
    "the file for that",
    "hub-token": "services that read this file use the new token and the one before it; give it to the hub "
    "as `external_token`, restart the hub, and give it to the services as JUPYTERHUB_API_TOKEN before then",
}


@click.command()
@json_option
def keys(as_json: bool) -> int:
    """List the service's own keys, without their secrets, and the webhooks that use an old one."""
    from respawn_jobs.cli.administer.store_access import own_store
    from respawn_jobs.cli.common import printing
    from respawn_jobs.keyring import PURPOSES

    with own_store() as ledger:
        ring = ledger.key_file()
        now = ledger.context.clock()
        found = [(purpose, key, key.accepted(now)) for purpose in PURPOSES for key in ring.all(purpose)]
        hooks = ledger.old_hooks()
    if as_json:
        listed = [
            {"purpose": name, **key.model_dump(mode="json", exclude={"secret"})} for name, key, _ in found
        ]
        printing.document({"file": str(ring.path), "keys": listed, "old_hooks": _plain(hooks)})
        return 0
    click.echo(str(ring.path))
    rows = [
        (
            name,
            key.id,
            printing.moment(key.made_at),
            "current" if key.accepted_until is None else "accepted" if valid else "over",
            printing.moment(key.accepted_until),
        )
        for name, key, valid in found
    ]
    printing.table(("for", "key", "made", "", "accepted until"), rows)
    _say_hooks(hooks)
    return 0


@click.command("rotate-key")
@click.argument("purpose", type=click.Choice(_PURPOSES))
@click.option(
    "--keep",
    "days",
    type=click.FloatRange(0, 366),
    metavar="DAYS",
    help="For how long the key before it is accepted: by default cookies 14, webhooks 30, audit 1, hub-token "
    "7. 0 after a key was stolen.",
)
@json_option
def rotate_key(purpose: str, days: float | None, as_json: bool) -> int:
    """Replace one of the service's own keys; services that run take the new one at once."""
    import getpass

    from respawn_jobs.cli.administer.store_access import own_store
    from respawn_jobs.cli.common import printing
    from respawn_jobs.ledger.operations.rotation import KEPT

    chosen = cast("Purpose", purpose)
    keep = KEPT[chosen] if days is None else timedelta(days=days)
    with own_store() as ledger:
        new = ledger.rotate_key(chosen, keep, getpass.getuser())
        until = new.made_at + keep
        hooks = ledger.old_hooks() if purpose == "webhooks" else []
        before = _before(ledger, chosen)
    if as_json:
        shown = {"token": new.secret} if purpose == "hub-token" else {}
        rotated = {"purpose": purpose, "key": new.id, "before": before, "accepted_until": until}
        printing.document({**rotated, **shown, "old_hooks": _plain(hooks)})
        return 0
    click.echo(f"the key for {purpose} is now {new.id}")
    if before:
        click.echo(f"{before}, the one before it, is accepted until {printing.moment(until)}")
    click.echo(_NEXT[purpose])
    if purpose == "hub-token":
        click.echo(f"token: {new.secret}")
    _say_hooks(hooks)
    return 0


def _before(ledger: Ledger, purpose: Purpose) -> str | None:
    known = ledger.key_file().all(purpose)
    return known[1].id if len(known) > 1 else None


def _plain(hooks: list[OldHook]) -> list[dict[str, object]]:
    return [vars(hook) for hook in hooks]


def _say_hooks(hooks: list[OldHook]) -> None:
    from respawn_jobs.cli.common import printing

    if not hooks:
        return
    click.echo("webhooks that need another secret (respawn hook rotate JOB HOOK):")
    rows = [
        (
            one.id,
            printing.plain(one.job),
            printing.plain(one.created_by),
            printing.moment(one.accepted_until) or "refused",
        )
        for one in hooks
    ]
    printing.table(("webhook", "job", "made by", "taken until"), rows)


COMMANDS = (keys, rotate_key)
