"""The commands `kernels check`, `kernels remove` and `kernels gc`: environments looked after."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.administer.environment_options import (
    plain_errors,
    prefix_option,
    root_option,
    shown_progress,
)
from respawn_jobs.cli.common.options import json_option
from respawn_kernels.counting import how_many
from respawn_kernels.sizes import how_large

if TYPE_CHECKING:
    from respawn_environments.catalog import BuiltEnvironment

_DIFFERS = 1
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType[timedelta]):
    """A time such as `12h`, `30d` or `4w`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time, or fail saying how it is written.

        Args:
            value: the text that was typed, or the option's default.
            param: the option, for the message; None where it is not known.
            ctx: the command that is called, for the message; None where it is not known.

        Raises:
            click.BadParameter: it is not written so.
        """
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,4})([hdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a time: write such as 12h, 30d or 4w", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.command()
@click.argument("name", metavar="[NAME|HASH]", required=False)
@root_option
@click.option(
    "--audit/--no-audit", default=True, help="Whether to look for known vulnerabilities, by pip-audit."
)
@json_option
def check(name: str | None, root: Path, audit: bool, as_json: bool) -> int:
    """Compare what is installed with the lock; the status is 1 when something differs or is vulnerable.

    Every file is read and compared with the RECORD of its package. All environments of this machine, or those
    of a NAME. Jobs that pin what is wrong are named: those of this machine's store, or where RESPAWN_URL is
    set, those of the service that you may see.
    """
    from respawn_environments import catalog
    from respawn_jobs.cli.common import printing

    with plain_errors():
        found = catalog.find(root, name) if name is not None else catalog.environments(root)
        jobs = _pinned_in_service() if os.environ.get("RESPAWN_URL") else _pinned()
        reports = [_checked(one, audit, jobs, quiet=as_json) for one in found]
    if as_json:
        printing.document(reports)
    elif not found:
        click.echo(f"no environment is in {root}")
    wrong = ("drift", "vulnerabilities", "missing_programs")
    return _DIFFERS if any(one[kind] for one in reports for kind in wrong) else 0


def _checked(
    one: BuiltEnvironment, audit: bool, jobs: dict[str, list[str]], *, quiet: bool
) -> dict[str, Any]:
    """Check one environment, print what is wrong unless `quiet`, and return it."""
    from dataclasses import asdict

    from respawn_environments import vulnerabilities
    from respawn_environments.drift import drift, installed_in
    from respawn_environments.installing.system_programs import missing_programs, to_install

    installed = installed_in(one.python)
    wrong = drift(one.lock, installed, own_version=one.record.own_version, records=one.record.records)
    skipped = vulnerabilities.Audit((), "--no-audit")
    looked = vulnerabilities.audit(one.lock, installed.markers) if audit else skipped
    missing = missing_programs(one.system_packages)
    pinning = jobs.get(one.record.hash, [])
    if not quiet:
        verdict = how_many(len(wrong), "difference from", "differences from") if wrong else "as"
        click.echo(f"{one.directory.name}: {verdict} its lock")
        for difference in wrong:
            click.echo(f"  {difference.message}")
        if missing:
            click.echo(f"  not on PATH: {', '.join(sorted(missing))} (Debian: {to_install(missing)})")
        for known in looked.found:
            fix = f"fixed in {', '.join(known.fixed_in)}" if known.fixed_in else "not fixed yet"
            click.echo(f"  {known.package} {known.version} is vulnerable: {known.id}, {fix}")
        if pinning and (wrong or missing or looked.found):
            click.echo(f"  jobs that pin it: {', '.join(pinning)}")
        if looked.not_checked and audit:
            click.echo(f"  known vulnerabilities were not checked: {looked.not_checked}")
    return {
        "name": one.record.name,
        "hash": one.record.hash,
        "drift": [asdict(difference) for difference in wrong],
        "vulnerabilities": [asdict(known) for known in looked.found],
        "missing_programs": missing,
        "vulnerabilities_not_checked": looked.not_checked,
        "jobs": pinning,
    }


@click.command()
@click.argument("name", metavar="NAME|HASH")
@root_option
@prefix_option
@click.option("--force", is_flag=True, help="Remove it also when kernels or jobs need it.")
@json_option
def remove(name: str, root: Path, prefix: Path, force: bool, as_json: bool) -> int:
    """Remove an environment and its kernel.

    Refused while another kernel, a version of a job, a run that has not succeeded or is pinned itself, or a
    process needs it.
    """
    from respawn_environments.removal import remove as remove_environment
    from respawn_jobs.cli.common import printing

    jobs = {} if force else _pinned()
    with plain_errors():
        gone = remove_environment(
            name, root=root, prefix=prefix, pinned=jobs, force=force, progress=shown_progress(as_json)
        )
    removed = [*gone.kernelspecs, *([gone.environment] if gone.environment else [])]
    if as_json:
        printing.document({"removed": [str(path) for path in removed], "size": gone.size})
    for path in removed if not as_json else ():
        click.echo(f"removed {path}")
    return 0


@click.command()
@click.option(
    "--unused-for", type=Age(), default="30d", help="How long, such as 12h, 30d or 4w.", show_default=True
)
@root_option
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--no-store", is_flag=True, help="Take no environment as needed by a job: there are no jobs.")
@json_option
def gc(unused_for: timedelta, root: Path, dry_run: bool, no_store: bool, as_json: bool) -> int:
    """Remove environments that nothing needs and nobody used for a time, and what builds left half made.

    An environment stays while a kernel starts it, a version of a job, a run that has not succeeded or one
    that is pinned itself needs it, or a process runs in it. The jobs are those of the store that RESPAWN_DATA
    or RESPAWN_DB_URL names; without one nothing is removed.
    """
    from respawn_environments.removal import collect
    from respawn_jobs.cli.common import printing
    from respawn_jobs.clock import utc_now

    jobs = {} if no_store else _pinned(needed="--no-store")
    with plain_errors():
        gone = list(collect(root, unused_for=unused_for, now=utc_now(), pinned=jobs, dry_run=dry_run))
    if as_json:
        removed = [{"directory": str(one.environment), "size": one.size} for one in gone]
        printing.document({"removed": removed, "dry_run": dry_run})
        return 0
    for one in gone:
        click.echo(f"{'would remove' if dry_run else 'removed'} {one.environment}")
    size = how_large(sum(one.size for one in gone))
    click.echo(f"{how_many(len(gone), 'environment')}, {size}", err=True)
    return 0


def _pinned(needed: str | None = None) -> dict[str, list[str]]:
    """Return the hashes that jobs of the store on this machine need, and say which store that is.

    Args:
        needed: the option by which to go on where there is no store; None where none is needed, and nothing
            is taken as pinned.

    Raises:
        InvalidInput: `RESPAWN_URL` is set: which ones the jobs of a hub need is known there alone.
        NotFound: there is no store, and one is needed.
    """
    from respawn_jobs.cli.administer.store_access import own_store
    from respawn_jobs.errors import NotFound

    try:
        with own_store() as ledger:
            click.echo(f"respawn: the jobs are those of {ledger.database.url}", err=True)
            return ledger.pinned_environments()
    except NotFound as error:
        if needed is not None:
            raise NotFound(
                f"{error.message}. Nothing was removed: jobs that cannot be asked may need any environment. "
                f"Where there are none, give {needed}"
            ) from error
        click.echo(f"respawn: {error.message}: no environment is taken as pinned by a job", err=True)
        return {}


def _pinned_in_service() -> dict[str, list[str]]:
    """Return the hashes that jobs of the service pin, as far as the caller may see them."""
    from respawn_jobs.cli.common.service_connection import connection
    from respawn_jobs.errors import NotFound

    found: dict[str, set[str]] = {}
    with connection() as connected:
        for job in connected.service.jobs():
            with suppress(NotFound):  # Race: it was removed meanwhile, and pins nothing any more.
                for version in connected.service.versions(job.id):
                    if version.lock is not None:
                        found.setdefault(version.lock, set()).add(job.ref)
    return {lock: sorted(jobs) for lock, jobs in found.items()}


COMMANDS = (check, remove, gc)
