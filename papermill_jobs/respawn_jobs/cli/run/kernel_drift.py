"""What `promote` says of a kernel that is unlike its lock: nobody can ask a running kernel here.

The directory of the build is compared, file by file. A kernel that Jupyter does not know here, as on another
machine than the hub's, is not looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.errors import Conflict

if TYPE_CHECKING:
    from respawn_jobs.api.service import Promotion

_MAX_SENT = 100
_MAX_LENGTH = 1000


def with_drift(promotion: Promotion) -> Promotion:
    """Return a promotion with what of its kernel's build is unlike the lock."""
    from respawn_environments.errors import KernelEnvironmentError
    from respawn_environments.kernel_drift import drift_of_kernel

    spec = _spec(promotion)
    if spec is None:
        return promotion
    try:
        found = [one.message[:_MAX_LENGTH] for one in drift_of_kernel(spec)]
    except (KernelEnvironmentError, OSError) as error:  # a person may know why, and promote all the same
        found = [f"its build cannot be compared with its lock: {error}"[:_MAX_LENGTH]]
    return promotion.model_copy(update={"drift": found[:_MAX_SENT]})


def proposed(promotion: Promotion, directory: Path) -> str | None:
    """Return what the kernel has now as an environment.toml; None for a kernel that is of no build here.

    Args:
        promotion: names the kernel.
        directory: where it will be written; nothing is made there yet.

    Raises:
        Conflict: there is one already, it cannot be made, or the environment cannot say what it has.
    """
    from respawn_environments.definition import DEFINITION
    from respawn_environments.errors import KernelEnvironmentError
    from respawn_environments.kernel_drift import build_of, proposal

    path = directory / DEFINITION
    if path.exists():
        raise Conflict(f"{path} is there already: name another directory with --propose", path=str(path))
    there = next(one for one in (path.absolute().parent, *path.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise Conflict(f"{path} cannot be written: {there} is not a writable directory", path=str(path))
    built = build_of(_spec(promotion) or {})
    try:
        return proposal(built.python) if built is not None else None
    except KernelEnvironmentError as error:
        raise Conflict(str(error)) from error


def write_proposal(text: str, directory: Path) -> None:
    """Write an environment.toml that was proposed, and say what comes next.

    Raises:
        Conflict: it cannot be written; what was promoted meanwhile stays.
    """
    from respawn_environments.definition import DEFINITION

    path = directory / DEFINITION
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Conflict(
            f"the notebook was promoted, and {path} cannot be written: {error.strerror}", path=str(path)
        ) from error
    click.echo(f"wrote {path}: next, respawn kernels lock {directory}", err=True)


def _spec(promotion: Promotion) -> dict[str, Any] | None:
    from respawn_environments.kernelspecs import contents_of
    from respawn_environments.pins import kernel_of

    name = promotion.kernel
    if name is None:
        named = json.loads(promotion.notebook).get("metadata", {}).get("kernelspec") or {}
        name = named.get("name")
    return contents_of(kernel_of(str(name)))
