"""The group `kernels`: what jobs can run in, and the environments that it is made of.

Environments are directories of this machine: their commands need no service. `respawn_environments` does the
work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.administer import environment_images, environment_upkeep
from respawn_jobs.cli.administer.environment_options import (
    images_option,
    name_argument,
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


@click.group()
def kernels() -> None:
    """Make, check and remove the environments that kernels run in.

    Each is a directory with an environment.toml and its lock; see docs/how-to/kernel-environments.md.
    """


@kernels.command()
@name_argument
@images_option
@click.option("--upgrade", is_flag=True, help="Take the newest versions that the requirements allow.")
@click.option(
    "--upgrade-package", "upgrades", multiple=True, metavar="PACKAGE", help="Only of this one; repeatable."
)
@json_option
def lock(name: str, images: Path, upgrade: bool, upgrades: tuple[str, ...], as_json: bool) -> int:
    """Resolve an environment.toml to its lock, with hashes.

    Versions of the old lock stay where they still fit. When nothing fits, the old lock stays as it was.
    """
    from respawn_environments.locking import lock as resolve
    from respawn_environments.shipped import source_of
    from respawn_jobs.cli.common import printing

    with plain_errors():
        changed = resolve(
            source_of(name, images), upgrade=upgrade, upgrades=upgrades, progress=shown_progress(as_json)
        )
    if as_json:
        printing.document(
            {
                "lock": str(changed.lock),
                "packages": changed.packages,
                "added": changed.added,
                "removed": changed.removed,
                "changed": {name: {"old": old, "new": new} for name, (old, new) in changed.changed.items()},
                "files_changed": changed.files_changed,
            }
        )
        return 0
    if changed.is_new:
        click.echo(f"wrote {changed.lock} with {how_many(changed.packages, 'package')}")
        return 0
    for line in changed.lines:
        click.echo(line)
    if not changed.lines:
        click.echo(
            "the same versions, with other files or markers" if changed.files_changed else "nothing changed"
        )
    return 0


@kernels.command()
@name_argument
@images_option
@root_option
@prefix_option
@click.option(
    "--python", help="Version, command or path of the Python to use; the newest found when left out."
)
@json_option
def build(name: str, images: Path, root: Path, prefix: Path, python: str | None, as_json: bool) -> int:
    """Build an environment from its lock, and install its kernel.

    Does nothing when both are there. The old environment of a changed lock stays, for the runs that pin it.
    """
    from respawn_environments.build import create
    from respawn_environments.own_wheel import OwnWheel
    from respawn_environments.shipped import source_of
    from respawn_jobs.cli.common import printing

    with plain_errors():
        made = create(
            source_of(name, images),
            root=root,
            prefix=prefix,
            own=OwnWheel.of_this_code(),
            python=python,
            progress=shown_progress(as_json),
        )
    if as_json:
        document: dict[str, Any] = {
            "kernel": made.kernel,
            "hash": made.lock,
            "python": made.version,
            "directory": str(made.directory),
        }
        document |= {"kernelspec": str(made.kernelspec), "not_preloaded": made.not_preloaded}
        printing.document(document)
    return 0


@kernels.command("list")
@click.option("--environments", "built", is_flag=True, help="List the environments of this machine instead.")
@root_option
@json_option
def list_kernels(built: bool, root: Path, as_json: bool) -> int:
    """List the kernels that jobs can use.

    They are those of the hub, or of this machine where there is no hub. With --environments: what is built on
    this machine, also older versions that a job may pin.
    """
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    if built:
        return _list_environments(root, as_json)
    with connection() as connected:
        found = connected.service.kernels()
    if as_json:
        printing.document([one.model_dump(mode="json") for one in found])
    elif not found:
        click.echo("no kernel is installed")
    else:
        head, profiles = ["kernel", "language", "shown as"], any(one.profiles for one in found)
        rows = [
            [printing.plain(text) for text in (one.name, one.language, one.display_name)]
            + ([printing.plain(", ".join(one.profiles))] if profiles else [])
            for one in found
        ]
        printing.table([*head, "profiles"] if profiles else head, rows)
    return 0


def _list_environments(root: Path, as_json: bool) -> int:
    from respawn_environments.catalog import SHORT, environments
    from respawn_jobs.cli.common import printing

    found = environments(root, also_broken=True)
    if as_json:
        printing.document([environment_document(one) for one in found])
        return 0
    if not found:
        click.echo(f"no environment is in {root}: make one with respawn kernels build science")
        return 0
    rows = [
        [
            printing.plain(one.record.name),
            printing.plain(one.record.display_name),
            one.record.hash[:SHORT],
            one.record.python if one.works else f"{one.record.python} (is gone)",
            how_large(one.record.size),
            printing.moment(one.record.built_at),
            printing.moment(one.last_used) or "never",
            printing.plain(", ".join(map(str, one.kernelspecs)) or "none"),
        ]
        for one in found
    ]
    printing.table(["name", "shown as", "hash", "python", "size", "built", "last used", "kernelspec"], rows)
    return 0


def environment_document(one: BuiltEnvironment) -> dict[str, Any]:
    """Return what `--json` prints of an environment."""
    used = one.last_used
    return {
        "name": one.record.name,
        "display_name": one.record.display_name,
        "hash": one.record.hash,
        "python": one.record.python,
        "works": one.works,
        "size": one.record.size,
        "built_at": one.record.built_at.isoformat(),
        "last_used": used.isoformat() if used else None,
        "respawn": one.record.own_version,
        "directory": str(one.directory),
        "kernelspecs": [str(path) for path in one.kernelspecs],
    }


for command in (environment_images.image, *environment_upkeep.COMMANDS):
    kernels.add_command(command)
