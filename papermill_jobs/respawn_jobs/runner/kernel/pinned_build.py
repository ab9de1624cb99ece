"""A run's kernel is of the build that its version pins, also when the kernel's name has moved on."""

from __future__ import annotations

import os
from typing import Any

from respawn_environments.kernelspec_contents import lock_of
from respawn_jobs.host.process_environment import IMAGE_VARIABLES, PROFILE_VARIABLE


def spec_of(manager: Any, lock: str | None) -> Any:
    """Return the kernelspec of a kernel's manager, made to start the build that is pinned.

    Args:
        manager: jupyter_client's manager of one kernel; its kernelspec is changed.
        lock: the hash that is pinned; None to leave the kernelspec as it is.

    Raises:
        EnvironmentMissing: that build is not here.
        NoSuchKernel: there is no such kernel, and no build of it is pinned.
    """
    from jupyter_client.kernelspec import KernelSpec, NoSuchKernel

    try:
        spec = manager.kernel_spec
    except NoSuchKernel:
        if lock is None:
            raise
        spec = None
    if lock is None or (spec is not None and lock_of(spec.metadata) == lock):
        return spec
    from respawn_environments.pins import pinned_spec

    pinned = pinned_spec(manager.kernel_name, spec.to_dict() if spec is not None else None, lock)
    if spec is None:
        spec = manager._kernel_spec = KernelSpec(**pinned)
    spec.argv = pinned["argv"]
    spec.env, spec.metadata = pinned.get("env") or {}, pinned.get("metadata") or {}
    return spec


def not_here(name: str, error: Exception) -> str:
    """Return that a kernel, or the build of it that is pinned, is not here, and which kernels are.

    Args:
        name: the kernel's name.
        error: what was raised when its kernelspec was looked for.
    """
    from jupyter_client.kernelspec import NoSuchKernel

    from respawn_environments.kernelspecs import list_kernels

    known = ", ".join(kernel.name for kernel in list_kernels()) or "none"
    why = "there is no kernel of that name" if isinstance(error, NoSuchKernel) else str(error)
    return f"kernel {name!r} could not be started{_where()}: {why}. The kernels there: {known}"


def _where() -> str:
    """Return where this is, as far as a hub has said it."""
    profile = os.environ.get(PROFILE_VARIABLE)
    image = next((found for one in IMAGE_VARIABLES if (found := os.environ.get(one))), None)
    words = [f"profile {profile}"] if profile else []
    words += [f"image {image}"] if image else []
    return f" in a server of {' with '.join(words)}" if words else ""
