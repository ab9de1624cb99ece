"""The kernels that Jupyter finds on this machine, and which of them come from a lock file."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


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


class UnknownKernel(LookupError):
    """No kernel of that name is installed here."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        close = difflib.get_close_matches(self.name, self.known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"unknown kernel {self.name!r} (known: {', '.join(self.known) or 'none'}){hint}"


def find_kernel(name: str) -> KernelInfo:
    """Return what Jupyter knows of a kernel. Raises UnknownKernel, which names those that are known."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        return _info(name, manager.get_kernel_spec(name))
    except (NoSuchKernel, ValueError) as error:  # ValueError: not even a possible name
        raise UnknownKernel(name, sorted(manager.find_kernel_specs())) from error


def list_kernels() -> list[KernelInfo]:
    """Return all kernels that Jupyter finds, by name."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    found = []
    for name in sorted(manager.find_kernel_specs()):
        try:
            found.append(_info(name, manager.get_kernel_spec(name)))
        except (NoSuchKernel, ValueError):
            continue  # Race: uninstalled between the listing and the look.
    return found


def _info(name: str, spec: object) -> KernelInfo:
    metadata = getattr(spec, "metadata", None) or {}
    ours = metadata.get("respawn") or {}
    return KernelInfo(
        name=name,
        display_name=str(getattr(spec, "display_name", "") or name),
        language=str(getattr(spec, "language", "") or "").lower(),
        lock=ours.get("lock"),
        python=ours.get("python"),
    )
