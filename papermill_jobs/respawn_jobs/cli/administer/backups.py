"""`respawn admin prune-backups`, and what `respawn admin backup --keep` does after a backup."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from respawn_jobs.cli.common.options import json_option
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from respawn_jobs.backup import Pruned

_FAULTY = 1
_Command = TypeVar("_Command", bound=Callable[..., Any])


def keep_options(command: _Command) -> _Command:
    """Add `--keep` and `--keep-days`."""
    days = click.option(
        "--keep-days",
        type=click.FloatRange(0, 100_000),
        metavar="D",
        help="Keep all that are younger than so many days, and the newest whole one.",
    )
    number = click.option(
        "--keep",
        type=click.IntRange(1, 100_000),
        metavar="N",
        help="Keep the newest N whole backups of the target.",
    )
    return number(days(command))


@click.command("prune-backups")
@click.argument("target")
@keep_options
@click.option("--dry-run", is_flag=True, help="Tell what would be removed, and remove nothing.")
@json_option
def prune_backups(
    target: str, keep: int | None, keep_days: float | None, dry_run: bool, as_json: bool
) -> int:
    """Remove old backups from a target, and the data that only they had.

    The newest whole backup always stays. With both options a backup stays for either reason. The status is 1
    when one that stays is not whole.
    """
    from respawn_jobs.cli.common import printing

    if keep is None and keep_days is None:
        raise click.UsageError("say how many to keep: --keep N, --keep-days D or both")
    done = pruned(target, keep, keep_days, dry_run=dry_run)
    if as_json:
        printing.document(as_document(done))
    else:
        say(done, dry_run=dry_run)
    return _FAULTY if done.faulty else 0


def pruned(target: str, keep: int | None, keep_days: float | None, *, dry_run: bool = False) -> Pruned:
    """Prune a target as the options say; the newest whole backup always stays.

    Args:
        target: where the backups are, as the command takes it: a directory or a URL.
        keep: how many whole backups stay at least, the newest ones; None for one.
        keep_days: backups that are younger than so many days stay too; None for none.
        dry_run: whether it is only as_document what would go.

    Raises:
        Conflict: a backup is being made there, or somebody else prunes.
        InvalidInput: a document cannot be read by this version: what it needs is not known.
    """
    from respawn_jobs.backup import BackupTarget, prune

    return prune(BackupTarget(target), keep=keep or 1, keep_days=keep_days or 0, dry_run=dry_run)


def as_document(done: Pruned) -> dict[str, Any]:
    """Return what was pruned as a document."""
    return {
        "kept": done.kept,
        "removed": done.removed,
        "faulty": done.faulty,
        "blobs": done.blobs,
        "bytes": done.bytes,
    }


def say(done: Pruned, *, dry_run: bool = False) -> None:
    """Print what was pruned."""

    for one, why in done.faulty.items():
        click.echo(f"backup {one} is not whole: {why}", err=True)
    verb = "would remove" if dry_run else "removed"
    what = ", ".join(done.removed) if done.removed else "no backup"
    click.echo(
        f"{verb} {what}; {how_many(done.blobs, 'blob')} ({how_large(done.bytes)}) that no backup needs"
    )
    click.echo(f"kept {len(done.kept)}: {', '.join(done.kept)}")


COMMANDS = (prune_backups,)
