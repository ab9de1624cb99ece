"""What the commands on environments share: options, where environments are, errors in the command's words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

name_argument = click.argument("name", metavar="NAME|DIRECTORY")
images_option = click.option(
    "--images",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("images"),
    help="Where your environments are; else those that come with Respawn.",
)
root_option = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    callback=lambda _context, _parameter, given: given or environments_root(),
    help="Where environments are built; RESPAWN_ENVIRONMENTS when left out.",
)
prefix_option = click.option(
    "--prefix",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(sys.prefix),
    help="Where Jupyter looks for kernels; this Python's own prefix when left out.",
)


def environments_root() -> Path:
    """Return where environments live: `RESPAWN_ENVIRONMENTS`, else `environments` in `RESPAWN_DATA`."""
    from respawn_environments import catalog

    return catalog.environments_root(os.environ)


def shown_progress(as_json: bool) -> Callable[[str], None]:
    """Return what shows the steps: on stderr, where the one JSON document is on stdout."""
    return lambda line: click.echo(line, err=as_json)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the errors of environments into those of the command: InvalidInput, NotFound, Conflict."""
    from respawn_environments.errors import (
        EnvironmentInUse,
        EnvironmentMissing,
        InvalidEnvironment,
        KernelEnvironmentError,
    )
    from respawn_jobs.errors import Conflict, InvalidInput, NotFound

    try:
        yield
    except InvalidEnvironment as error:
        raise InvalidInput(str(error)) from error
    except EnvironmentMissing as error:
        raise NotFound(str(error)) from error
    except (EnvironmentInUse, KernelEnvironmentError) as error:
        raise Conflict(str(error)) from error
