"""Removes variables from a kernel whose state was restored, before cells make them anew.

When they have, the variables are put into the order in which they were: `globals()` and `dir` tell them so.
"""

from __future__ import annotations

from collections.abc import Iterable

from respawn_kernels.names import live_shell
from respawn_kernels.unheard import unheard

_order: list[str] = []
"""The names before the first was removed."""


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
    _order.extend(shell.user_ns if not _order else ())
    for name in names:
        shell.user_ns.pop(name, None)


@unheard()
def settle() -> None:
    """Put variables that were made anew where they were; those that are new come last."""
    shell = live_shell()
    if shell is None or not _order:
        return
    namespace = shell.user_ns
    known = dict.fromkeys(_order)
    for name in [*(name for name in known if name in namespace), *(n for n in namespace if n not in known)]:
        namespace[name] = namespace.pop(name)
    _order.clear()
