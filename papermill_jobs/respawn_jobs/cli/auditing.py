"""The commands for the audit trail: `audit list`, and `audit verify` on the machine that has the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.options import json_option

if TYPE_CHECKING:
    from respawn_jobs.keyring import Keyring
    from respawn_jobs.ledger.audit_anchor import Head
    from respawn_jobs.ledger.audit_check import AuditCheck
    from respawn_jobs.models import AuditRecord

_FAULTY = 1


@click.group()
def audit() -> None:
    """Who did what: list the records, or check that none was changed."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@json_option
def list_records(limit: int, as_json: bool) -> int:
    """List the newest records that you may see."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection

    with connection() as connected:
        found = connected.service.audit(limit)
    if as_json:
        printing.document([record.model_dump(mode="json") for record in found])
    elif found:
        rows = [
            (str(one.seq), printing.moment(one.at), *(printing.plain(text) for text in _who_did_what(one)))
            for one in found
        ]
        printing.table(("record", "at", "who", "did", "to"), rows)
    else:
        click.echo("there is no record yet")
    return 0


@audit.command()
@click.option(
    "--head",
    metavar="NUMBER:HASH|FILE|URL",
    help="The head that an earlier check printed, or where the service keeps heads: a file of lines or a "
    "prefix in an object store. The trail must still lead through all of them.",
)
@json_option
def verify(head: str | None, as_json: bool) -> int:
    """Check that no record was changed, removed or added; the status is 1 when one was.

    Works on the store itself, with the service's RESPAWN_DATA and keys.
    """
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.own_store import own_store

    with own_store() as ledger:
        kept = _heads(head, ledger.context.keyring)
        checked = ledger.check_audit(*kept)
    if as_json:
        printing.document({**_told(checked), "kept": len(kept)})
    elif checked.fault is not None:
        click.echo(f"{checked.fault.message}; {checked.records} records before it are right", err=True)
    else:
        _say(checked)
        if len(kept) > 1:
            click.echo(f"it leads through all {len(kept)} heads that were kept elsewhere")
    return _FAULTY if checked.fault else 0


def _who_did_what(record: AuditRecord) -> tuple[str, str, str]:
    return record.actor, record.action, record.subject


def _say(checked: AuditCheck) -> None:
    if checked.head is None:
        click.echo("there is no record yet")
        return
    click.echo(f"{checked.records} records are as they were written")
    if checked.signed_from is None:
        click.echo("none is signed yet: the next one will be, and covers all before it")
    elif checked.signed_from > 1:
        click.echo(f"signed from record {checked.signed_from} on, which covers those before it")
    if checked.anchored is None:
        click.echo("no file on this machine tells how far the trail goes: an end that is cut off is not seen")
    click.echo(f"head: {checked.head.seq}:{checked.head.hash}")


def _told(checked: AuditCheck) -> dict[str, object]:
    wrong = checked.fault
    fault = wrong and {"record": wrong.seq, "kind": wrong.kind, "message": wrong.message}
    return {
        "records": checked.records,
        "head": f"{checked.head.seq}:{checked.head.hash}" if checked.head else None,
        "signed_from": checked.signed_from,
        "anchored": checked.anchored,
        "keys": checked.keys,
        "fault": fault,
    }


def _heads(given: str | None, keyring: Keyring | None) -> list[Head]:
    """Return the heads that a person gives: one, or all of a place where they are kept."""
    from respawn_jobs.errors import InvalidInput
    from respawn_jobs.head_places import HeadPlace
    from respawn_jobs.ledger.audit_heads import heads_of

    if given is None:
        return []
    try:
        return list(heads_of(given + "\n", "--head", None))
    except InvalidInput:
        pass
    if "://" not in given and not Path(given).is_file():
        raise click.BadParameter(
            "a head is NUMBER:HASH, as `respawn audit verify` prints it, or a file or URL of heads",
            param_hint="--head",
        )
    place = HeadPlace(given)
    return list(heads_of(place.text(), place.name, keyring))


COMMANDS = (audit,)
