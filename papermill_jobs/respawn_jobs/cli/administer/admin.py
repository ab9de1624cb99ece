"""The commands under `admin`, for those who keep a service.

Those about the store work on it, on its machine; those on namespaces (`owners`), on replicas, and `gc` go
through the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.administer import backups, garbage, migrations, owners, replicas
from respawn_jobs.cli.administer import keys as key_rotation
from respawn_jobs.cli.common.options import json_option
from respawn_kernels.counting import how_many, noun
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from respawn_jobs.backup import CreatedBackup, Restored

_FAULTY = 1


@click.group()
def admin() -> None:
    """Keep a service: its store, backups, keys and namespaces."""


@admin.command()
@click.option("--deep", is_flag=True, help="Read all blobs, and compare their bytes with their digests.")
@json_option
def verify(deep: bool, as_json: bool) -> int:
    """Check records against blobs, and rows against their owners; the status is 1 when something is wrong.

    Changes nothing, and may run beside the service.
    """
    from respawn_jobs.cli.administer.store_access import own_store
    from respawn_jobs.cli.common import printing

    with own_store() as ledger:
        check = ledger.store_check(deep=deep)
        faults = []
        for fault in check.faults():
            faults.append(fault)
            if not as_json:
                click.echo(fault.message)
    if as_json:
        listed = [{"kind": one.kind, "subject": one.subject, "message": one.message} for one in faults]
        counted = {"blobs": check.blobs, "bytes": check.bytes, "manifests": check.manifests}
        printing.document({**counted, "deep": deep, "faults": listed})
    else:
        blobs = f"{how_many(check.blobs, 'blob')} ({how_large(check.bytes)})"
        looked = f"{blobs}, manifests among them: {check.manifests}"
        verdict = how_many(len(faults), "fault") if faults else "all is as the records say"
        click.echo(f"looked at {looked}: {verdict}", err=True)
    return _FAULTY if faults else 0


@admin.command()
@click.argument("target")
@click.option(
    "--with-keys", is_flag=True, help="Put the service's own keys into it: guard it like them, then."
)
@backups.keep_options
@json_option
def backup(target: str, with_keys: bool, keep: int | None, keep_days: float | None, as_json: bool) -> int:
    """Back the whole store up, as of one moment, into a directory or an fsspec URL such as s3://bucket/prefix.

    The service may go on. What the target has already is not copied again. With --keep or --keep-days older
    backups are removed afterwards; see prune-backups. The status is 1 when the store itself lacks something:
    the backup then names it.
    """
    from respawn_jobs.backup import BackupTarget, back_up
    from respawn_jobs.cli.administer.store_access import own_store
    from respawn_jobs.cli.common import printing

    with own_store() as ledger, _counted(quiet=as_json) as progress:
        made = back_up(ledger.context, BackupTarget(target), with_keys=with_keys, progress=progress)
        keys = ledger.context.keyring
    document = made.document
    wanted = keep is not None or keep_days is not None
    pruned = backups.pruned(target, keep, keep_days) if wanted else None
    if as_json:
        copied = {"copied": made.copied, "copied_bytes": made.copied_bytes}
        removed = {"pruned": backups.as_document(pruned)} if pruned else {}
        printing.document({**document.model_dump(mode="json"), **copied, **removed})
    else:
        _say_made(made)
        if pruned is not None:
            backups.say(pruned)
        if keys is not None and not with_keys:
            click.echo(f"not in it: the service's keys, {keys.path}; keep a copy of them elsewhere")
    return _FAULTY if document.missing else 0


@admin.command()
@click.argument("source")
@click.option("--backup", "backup_id", help="Which one; by default the newest.")
@click.option(
    "--keys",
    "keys_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The service's file of keys that was kept, when it is not in the backup.",
)
@click.option("--new-keys", is_flag=True, help="Go on with new keys: sessions and webhooks do not.")
@click.option("--skip-missed", is_flag=True, help="Let times that came due since the backup make no runs.")
@json_option
def restore(
    source: str,
    backup_id: str | None,
    keys_file: Path | None,
    new_keys: bool,
    skip_missed: bool,
    as_json: bool,
) -> int:
    """Bring a backup back into an empty store, verified.

    The store is the one that RESPAWN_DATA, RESPAWN_DB_URL and RESPAWN_BLOBS_URL name. Start the service then.
    """
    from respawn_jobs.backup import BackupTarget
    from respawn_jobs.backup import restore as bring_back
    from respawn_jobs.cli.administer.store_access import new_store
    from respawn_jobs.cli.common import printing

    place = BackupTarget(source)
    document = place.document(backup_id)
    keys = keys_file.read_text() if keys_file else None
    with new_store() as store, _counted(quiet=as_json) as progress:
        done = bring_back(
            place,
            document,
            store,
            keys=keys,
            new_keys=new_keys,
            skip_schedules=skip_missed,
            progress=progress,
        )
    if as_json:
        outcome = {"lost": done.lost, "queued": done.queued, "skipped": done.skipped, "audit": done.audit}
        counted = {"blobs": done.blobs, "bytes": done.bytes, "missing": document.missing}
        printing.document({"backup": document.id, "made_at": document.made_at, **counted, **outcome})
    else:
        _say_restored(done)
    return 0


def _say_made(made: CreatedBackup) -> None:

    document = made.document
    click.echo(
        f"backup {document.id}: {how_many(document.blobs, 'blob')} ({how_large(document.bytes)}), of which "
        f"{made.copied} ({how_large(made.copied_bytes)}) were new"
    )
    if document.executing:
        lost = noun(document.executing, "it has", "they have")
        runs = how_many(document.executing, "run")
        click.echo(f"{runs} executed: when it is restored {lost} been lost at that moment")
    for digest in document.missing:
        click.echo(
            f"blob {digest} is missing or damaged in the store itself; see respawn admin verify", err=True
        )


def _say_restored(done: Restored) -> None:
    from respawn_jobs.cli.common import printing

    document = done.document
    click.echo(f"{document.id} is back, as of {printing.moment(document.made_at)}")
    stored = noun(done.blobs, "is as it was", "are as they were")
    click.echo(f"{how_many(done.blobs, 'blob')} ({how_large(done.bytes)}) {stored} stored")
    if done.lost:
        click.echo(f"lost, for they executed then: {', '.join(done.lost)}")
    if done.queued:
        click.echo(f"tried again, for they executed then: {', '.join(done.queued)}")
    if done.skipped:
        click.echo(f"{how_many(done.skipped, 'schedule goes', 'schedules go')} on from now")
    if done.audit:
        click.echo(f"the audit trail was not whole when it was backed up: {done.audit}", err=True)
    if document.missing:
        click.echo(
            f"{how_many(len(document.missing), 'blob was', 'blobs were')} missing when it was backed up",
            err=True,
        )
    click.echo("start the service now")


@contextmanager
def _counted(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how many blobs are there, of how many; nothing when `quiet`."""
    if quiet:
        yield lambda _there, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("blobs", total=None)
        yield lambda there, total: bar.update(task, total=total, completed=there)


for command in (
    *owners.COMMANDS,
    *key_rotation.COMMANDS,
    *backups.COMMANDS,
    *migrations.COMMANDS,
    *garbage.COMMANDS,
    *replicas.COMMANDS,
):
    admin.add_command(command)
