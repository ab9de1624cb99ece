"""The kernels that Jupyter finds on this machine, and which of them come from a lock file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from respawn_environments.kernelspec_contents import lock_of, ours
from respawn_environments.pins import install_pinned, is_built, kernel_of

LOGO = "logo-svg.svg"
"""Where Jupyter looks for the icon of a kernel, in the directory of its kernelspec."""
PROVISIONER = "respawn"
"""The entry point of `jupyter_client.kernel_provisioners` by which servers and runners start our kernels."""


@dataclass(frozen=True)
class KernelInfo:
    """A kernel that notebooks can name."""

    name: str
    display_name: str
    language: str
    """Lower case, such as `python` or `r`."""
    lock: str | None
    """Hash of the lock file and the Python that its environment was made from; None where there is none."""
    python: str | None = None
    """That Python's minor version, such as `3.13`; None where it is not known."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """What its environment lets a kernel use, as far as it says: `memory` in bytes, `cpus`, `processes`."""


class UnknownKernel(LookupError):
    """No kernel of that name is installed here, or its kernelspec cannot be read."""

    def __init__(self, name: str, known: list[str], unreadable: str | None = None) -> None:
        """Make the error.

        Args:
            name: the kernel's name.
            known: the names of those that are installed.
            unreadable: why its kernelspec cannot be read; None where there is no such kernel.
        """
        super().__init__(name, known, unreadable)
        self.name = name
        self.known = known
        self.unreadable = unreadable

    def __str__(self) -> str:
        if self.unreadable is not None:
            return f"the kernelspec of {self.name!r} cannot be read: {self.unreadable}"
        close = difflib.get_close_matches(self.name, self.known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"unknown kernel {self.name!r} (known: {', '.join(self.known) or 'none'}){hint}"


def provide() -> None:
    """Let jupyter_client know our provisioner in this process, also where no entry point is installed.

    A source tree on the path has none, nor a checkout that was installed before there was one. Without it
    jupyter_client says that kernels which name it do not exist.
    """
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    point = EntryPoint(
        PROVISIONER,
        "respawn_environments.provisioner:RespawnProvisioner",
        KernelProvisionerFactory.GROUP_NAME,
    )
    KernelProvisionerFactory.provisioners.setdefault(PROVISIONER, point)


def find_kernel(name: str) -> KernelInfo:
    """Return what Jupyter knows of a kernel. Raises UnknownKernel, which names those that are known."""
    return _info(name, _installed(name).to_dict())


def contents_of(name: str) -> dict[str, Any] | None:
    """Return the contents of a kernel's kernel.json; None where there is no such kernel, or it is broken.

    Args:
        name: the kernel's name.
    """
    try:
        return dict(_installed(name).to_dict())
    except UnknownKernel:
        return None


def is_installed(name: str, lock: str) -> bool:
    """Whether a build of a kernel is on this machine: the one that the kernel has now, or one before it.

    Args:
        name: the kernel's name.
        lock: the hash of the build.
    """
    try:
        spec = _installed(name).to_dict()
    except UnknownKernel as error:
        return error.unreadable is None and is_built(None, lock)
    return lock_of(spec.get("metadata")) == lock or is_built(spec, lock)


def pinned_kernel(name: str, lock: str) -> str:
    """Return the name by which this person's Jupyter starts a build of a kernel; it is installed if need be.

    Args:
        name: the kernel's name.
        lock: the hash of the build.

    Raises:
        EnvironmentMissing: the build is not here.
        OSError: a kernelspec cannot be written.
        UnknownKernel: there is no such kernel, and no such build.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    kernels = Path(KernelSpecManager().user_kernel_dir)
    try:
        found = _installed(name)
    except UnknownKernel as error:
        if error.unreadable is not None or not is_built(None, lock):
            raise
        return install_pinned(kernels, name, None, lock)
    if lock_of(found.metadata) == lock:
        return name
    return install_pinned(kernels, name, found.to_dict(), lock, Path(found.resource_dir) / LOGO)


def list_kernels() -> list[KernelInfo]:
    """Return all kernels that Jupyter finds and can read, by name."""
    from jupyter_client.kernelspec import KernelSpecManager

    provide()
    # It leaves out what cannot be read or is uninstalled meanwhile: one broken kernel must not hide others.
    specs = KernelSpecManager().get_all_specs()
    # A pinned build is no kernel of its own: it is listed for the debug notebooks of one person.
    return [_info(name, specs[name]["spec"]) for name in sorted(specs) if kernel_of(name) == name]


def _installed(name: str) -> Any:
    """Return a kernel's kernelspec as jupyter_client reads it. Raises UnknownKernel."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from traitlets import TraitError

    provide()
    manager = KernelSpecManager()
    try:
        return manager.get_kernel_spec(name)
    except NoSuchKernel as error:
        raise UnknownKernel(name, sorted(manager.find_kernel_specs())) from error
    except (OSError, TypeError, ValueError, TraitError) as error:  # no JSON, or not that of a kernelspec
        raise UnknownKernel(name, sorted(manager.find_kernel_specs()), str(error)) from error


def _info(name: str, spec: Mapping[str, Any]) -> KernelInfo:
    about = ours(spec.get("metadata"))
    return KernelInfo(
        name=name,
        display_name=str(spec.get("display_name") or name),
        language=str(spec.get("language") or "").lower(),
        lock=lock_of(spec.get("metadata")),
        python=about.get("python"),
        resources=dict(about.get("resources") or {}),
    )
