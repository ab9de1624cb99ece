"""Inside the kernel: snapshots of its variables, their restore, and the environments kernels run in.

It lives in users' own environments, so its dependencies are few and small, and importing the package itself
imports nothing else.
"""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Give the shell the `%respawn` magic; what `%load_ext respawn_kernels` calls."""
    from respawn_kernels.debug.magics import RespawnMagics

    shell.register_magics(RespawnMagics)
