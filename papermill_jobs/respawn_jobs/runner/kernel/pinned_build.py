"""A run's kernel is of the build that its version pins, also when the kernel's name has moved on."""

from __future__ import annotations

from typing import Any


def lock_of(spec: Any) -> str | None:
    """Return the hash of the build that a kernelspec starts; None where it is of no lock."""
    found = ((spec.metadata or {}).get("respawn") or {}).get("lock")
    return str(found) if found else None


def take_pinned(name: str, spec: Any, lock: str | None) -> None:
    """Let a kernelspec start the build that is pinned, where it starts another one.

    Args:
        name: the kernel's name.
        spec: the kernelspec as jupyter_client read it; it is changed.
        lock: the hash that is pinned; None to leave the kernelspec as it is.

    Raises:
        EnvironmentMissing: that build is not here.
    """
    if lock is None or lock_of(spec) == lock:
        return
    from respawn_environments.pins import pinned_spec

    pinned = pinned_spec(name, spec.to_dict(), lock)
    spec.argv = pinned["argv"]
    spec.env, spec.metadata = pinned.get("env") or {}, pinned.get("metadata") or {}
