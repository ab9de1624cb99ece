"""The command `kernels image`: an environment as a container image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.administer.environment_options import (
    images_option,
    name_argument,
    plain_errors,
    root_option,
    shown_progress,
)
from respawn_jobs.cli.common.options import json_option

if TYPE_CHECKING:
    from respawn_environments.containers.image import Target


@click.command()
@name_argument
@images_option
@root_option
@click.option(
    "--target",
    type=click.Choice(["server", "kernel"]),
    default="server",
    help="server: with JupyterLab, the hub's single-user server, this command and the gateway. "
    "kernel: the environment alone.",
)
@click.option(
    "--python",
    metavar="3.N",
    help="Minor version of its Python; that of the environment on this machine when left out.",
)
@click.option(
    "--base",
    metavar="IMAGE@sha256:…",
    help="The image to build on, by digest; a small Debian made here when left out.",
)
@click.option("--tag", help="Name of the image; respawn-NAME:HASH when left out.")
@click.option(
    "--wheel",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Respawn's own wheel; the code of this command when left out.",
)
@click.option(
    "--builder", type=click.Choice(["buildah", "podman", "docker"]), help="The program that builds it."
)
@click.option("--mirror", metavar="URL", help="Debian's mirror for the base that is made here.")
@json_option
def image(
    name: str,
    images: Path,
    root: Path,
    target: Target,
    python: str | None,
    base: str | None,
    tag: str | None,
    wheel: Path | None,
    builder: str | None,
    mirror: str | None,
    as_json: bool,
) -> int:
    """Build a container image of an environment from its lock, by buildah, podman or docker.

    The packages are downloaded first, by their hashes; the build itself has no network. See
    docs/how-to/images.md.
    """
    from respawn_environments.containers.image import ImageOptions, make_image
    from respawn_environments.shipped import source_of
    from respawn_jobs.cli.common import printing

    options = ImageOptions(
        target=target,
        python=python,
        base=base,
        tag=tag,
        wheel=wheel,
        builder=builder,
        mirror=mirror,
    )
    with plain_errors():
        made = make_image(source_of(name, images), options, root=root, progress=shown_progress(as_json))
    if as_json:
        printing.document(
            {
                "image": made.tag,
                "hash": made.hash,
                "python": made.python,
                "base": made.base,
                "labels": made.labels,
            }
        )
    return 0
