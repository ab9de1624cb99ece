"""The commands for the audit trail: `audit list`, and `audit verify` on the machine that has the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.common.options import json_option
from respawn_kernels.counting import how_many

if TYPE_CHECKING:
    from respawn_jobs.keyring import Keyring
    from respawn_jobs.ledger.audit.verification import AuditCheck
    from respawn_jobs.ledger.context.audit_anchor import Head
    from respawn_jobs.model.audit import AuditRecord

_FAULTY = 1


@click.group()
def audit() -> None:
    """List who did what, or check that no record was changed."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@json_option
def list_records(limit: int, as_json: bool) -> int:
    """List the newest records that you may see."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

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
    from respawn_jobs.cli.administer.store_access import own_store
    from respawn_jobs.cli.common import printing

    with own_store() as ledger:
        kept = _heads(head, ledger.context.keyring)
        checked = ledger.check_audit(*kept)
    if as_json:
        printing.document({**_as_document(checked), "kept": len(kept)})
    elif checked.fault is not None:
        before = how_many(checked.records, "record before it is", "records before it are")
        click.echo(f"{checked.fault.message}; {before} right", err=True)
    else:
        _say(checked)
        if len(kept) > 1:
            click.echo(
                f"it leads through {how_many(len(kept), 'head that was', 'heads that were')} kept elsewhere"
            )
    return _FAULTY if checked.fault else 0


def _who_did_what(record: AuditRecord) -> tuple[str, str, str]:
    return record.actor, record.action, record.subject


def _say(checked: AuditCheck) -> None:
    if checked.head is None:
        click.echo("there is no record yet")
        return
    click.echo(f"{how_many(checked.records, 'record is as it was', 'records are as they were')} written")
    if checked.signed_from is None:
        click.echo("none is signed yet: the next one will be, and covers all before it")
    elif checked.signed_from > 1:
        click.echo(f"signed from record {checked.signed_from} on, which covers those before it")
    if checked.anchored is None:
        click.echo("no file on this machine tells how far the trail goes: an end that is cut off is not seen")
    click.echo(f"head: {checked.head.seq}:{checked.head.hash}")


def _as_document(checked: AuditCheck) -> dict[str, object]:
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
    from respawn_jobs.ledger.audit.head_places import AuditHeadStore
    from respawn_jobs.ledger.audit.signed_heads import heads_of

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
    place = AuditHeadStore(given)
    return list(heads_of(place.text(), place.name, keyring))
