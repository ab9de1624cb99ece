"""The commands under `admin`, for those who keep a service: they work on its store, on its machine."""

from __future__ import annotations

import click

from respawn_jobs.cli.options import json_option

_FAULTY = 1


@click.group()
def admin() -> None:
    """Keep a service: check its store, on its own machine."""


@admin.command()
@click.option("--deep", is_flag=True, help="Read all blobs, and compare their bytes with their digests.")
@json_option
def verify(deep: bool, as_json: bool) -> int:
    """Check records against blobs, and rows against their owners; the status is 1 when something is wrong.

    Changes nothing, and may run beside the service.
    """
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.keeping import size
    from respawn_jobs.cli.own_store import own_store

    with own_store() as ledger:
        check = ledger.store_check(deep=deep)
        faults = []
        for fault in check.faults():
            faults.append(fault)
            if not as_json:
                click.echo(fault.message)
    if as_json:
        told = [{"kind": one.kind, "subject": one.subject, "message": one.message} for one in faults]
        counted = {"blobs": check.blobs, "bytes": check.bytes, "manifests": check.manifests}
        printing.document({**counted, "deep": deep, "faults": told})
    else:
        looked = f"{check.blobs} blobs ({size(check.bytes)}), {check.manifests} of them manifests"
        verdict = f"{len(faults)} faults" if faults else "all is as the records say"
        click.echo(f"looked at {looked}: {verdict}", err=True)
    return _FAULTY if faults else 0


COMMANDS = (admin,)
