"""What of a process's variables reaches the kernels that it starts: not what would let a notebook act as it.

Limit: what runs under the same account can be read by a notebook all the same. The account is the boundary.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

_OURS = ("RESPAWN_", "JUPYTERHUB_", "CONFIGPROXY_", "JPY_API_TOKEN", "JUPYTER_TOKEN")
KEPT = frozenset({"RESPAWN_RESTORE"})
PLACES = frozenset(
    {"JUPYTERHUB_USER", "JUPYTERHUB_SERVER_NAME", "JUPYTERHUB_BASE_URL", "JUPYTERHUB_SERVICE_PREFIX"}
)
"""Where the server of a person is to be found: notebooks in it make links of them, and they open nothing."""


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
