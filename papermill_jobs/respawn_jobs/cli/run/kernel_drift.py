"""What `promote` says of a kernel that is unlike its lock: nobody can ask a running kernel here.

The directory of the build is compared, file by file. A kernel that Jupyter does not know here, as on another
machine than the hub's, is not looked at.
"""

from __future__ import annotations

import json
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


def write_proposal(promotion: Promotion, directory: Path) -> None:
    """Write what the kernel has now as the environment.toml of another environment.

    Raises:
        Conflict: there is one already, or the environment cannot say what it has.
    """
    from respawn_environments.definition import DEFINITION
    from respawn_environments.errors import KernelEnvironmentError
    from respawn_environments.kernel_drift import build_of, proposal

    path = directory / DEFINITION
    if path.exists():
        raise Conflict(f"{path} is there already: name another directory with --propose", path=str(path))
    built = build_of(_spec(promotion) or {})
    if built is None:
        return
    try:
        text = proposal(built.python)
    except KernelEnvironmentError as error:
        raise Conflict(str(error)) from error
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    click.echo(f"wrote {path}: next, respawn kernels lock {directory}", err=True)


def _spec(promotion: Promotion) -> dict[str, Any] | None:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    from respawn_environments.pins import kernel_of

    name = promotion.kernel
    if name is None:
        named = json.loads(promotion.notebook).get("metadata", {}).get("kernelspec") or {}
        name = named.get("name")
    try:
        found: dict[str, Any] = KernelSpecManager().get_kernel_spec(kernel_of(str(name))).to_dict()
    except (NoSuchKernel, ValueError):
        return None
    return found
