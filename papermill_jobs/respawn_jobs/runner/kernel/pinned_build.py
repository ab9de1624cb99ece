"""A run's kernel is of the build that its version pins, also when the kernel's name has moved on."""

from __future__ import annotations

from typing import Any

from respawn_environments.kernelspec_contents import lock_of


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
