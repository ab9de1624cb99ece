"""What of a process's variables reaches the kernels that it starts: not what would let a notebook act as it.

Limit: what runs under the same account can be read by a notebook all the same. The account is the boundary.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

_OURS = ("RESPAWN_", "JUPYTERHUB_", "CONFIGPROXY_", "JPY_API_TOKEN", "JUPYTER_TOKEN")
KEPT = frozenset({"RESPAWN_RESTORE"})
PLACES = frozenset(
    {"JUPYTERHUB_USER", "JUPYTERHUB_SERVER_NAME", "JUPYTERHUB_BASE_URL", "JUPYTERHUB_SERVICE_PREFIX"}
)
"""Where the server of a person is to be found: notebooks in it make links of them, and they open nothing."""

_OF_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE")
"""Variables with paths that Python reads while it starts."""


def relative_place(environ: Mapping[str, str]) -> str | None:
    """Return the variable by which Python finds modules in the directory that it starts in, if there is one.

    An empty entry is that directory, such as a colon at the end makes one.

    Args:
        environ: The variables of a kernel.
    """
    for name in _OF_PYTHON:
        given = environ.get(name)
        if given and not all(map(os.path.isabs, given.split(os.pathsep))):
            return name
    return None


def kernel_environment(environ: Mapping[str, str], also: Collection[str] = ()) -> dict[str, str]:
    """Return the environment for a kernel: that of the process that starts it, without its credentials.

    JupyterHub's variables go because they carry tokens, Respawn's because they lead to the store, Jupyter's
    token because it opens the server. What else a person has in the environment, such as their own `AWS_*`,
    is theirs.

    Args:
        environ: The variables of the process.
        also: Names of variables that the kernel gets besides.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in KEPT or name in also or not name.startswith(_OURS)
    }
