"""Removes variables from a kernel whose state was restored, before cells make them anew."""

from __future__ import annotations

from collections.abc import Iterable

from respawn_kernels.names import live_shell
from respawn_kernels.unheard import unheard


@unheard()
def forget(names: Iterable[str]) -> None:
    """Remove variables from the user's namespace; those that it does not have are left out.

    Args:
        names: The variables.

    Raises:
        RuntimeError: This is no IPython kernel.
    """
    shell = live_shell()
    if shell is None:
        raise RuntimeError("there is no IPython session whose variables could be removed")
    for name in names:
        shell.user_ns.pop(name, None)
