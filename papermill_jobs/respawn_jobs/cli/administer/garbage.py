"""The command `admin gc`: stored data that nothing names any more is removed."""

from __future__ import annotations

import click

from respawn_jobs.cli.common.options import json_option
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large


@click.command()
@click.option("--orphans", is_flag=True, help="Look through the whole store for files that no record knows.")
@click.option("--remove", is_flag=True, help="With --orphans: remove them.")
@json_option
def gc(orphans: bool, remove: bool, as_json: bool) -> int:
    """Remove stored data that nothing names any more. For administrators."""
    from respawn_jobs.api.history import OrphanRequest
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    if remove and not orphans:
        raise click.UsageError("--remove belongs to --orphans; without both, what nothing names is removed")
    with connection() as connected:
        if not orphans:
            if connected.ledger is not None:
                connected.ledger.forget_ends()
                while any(count > 0 for count in connected.ledger.remove_old_runs().values()):
                    continue
            collected = connected.service.collect()
            if as_json:
                printing.document(collected.model_dump(mode="json"))
            else:
                click.echo(f"removed {how_many(collected.removed, 'blob')} that nothing named")
            return 0
        found = connected.service.orphans(OrphanRequest(remove=remove))
    if as_json:
        printing.document(found.model_dump(mode="json"))
        return 0
    for name in found.names:
        click.echo(printing.plain(name))
    for name in found.foreign:
        click.echo(f"{printing.plain(name)}  (not Respawn's by its name: left alone)")
    click.echo(
        f"{how_many(found.count, 'orphan')}, {how_large(found.size)}; removed {found.removed}", err=True
    )
    return 0


COMMANDS = (gc,)
