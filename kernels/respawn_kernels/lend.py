"""Lending the agent to a Python kernel of another environment.

A notebook may run with any Python kernel, also one whose environment knows nothing of Respawn. For that
kernel a runner makes a directory of links to the few packages that the agent needs, and the kernel looks
there last, once, while it imports them: what the notebook itself imports is never changed by it. Limit:
blake3 and zstandard are compiled, so the other kernel must be of the same Python version; else the bootstrap
raises and there are no snapshots.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

LENT = ("respawn_kernels", "respawn", "cloudpickle", "blake3", "platformdirs", "zstandard")

_BOOTSTRAP = """
def bring():
    import sys
    try:
        import respawn_kernels.agent, respawn_kernels.plain, respawn
    except ImportError:
        for name in [n for n in sys.modules if n.partition(".")[0] in ("respawn_kernels", "respawn")]:
            del sys.modules[name]
        sys.path.append({lent!r})
        try:
            import respawn_kernels.agent, respawn_kernels.plain, respawn, platformdirs, zstandard
        finally:
            sys.path.remove({lent!r})
bring()
"""


def lend(directory: Path) -> Path:
    """Fill a directory with links to the agent's packages, and return it.

    Raises:
        ImportError: one of the packages is not installed here.
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in LENT:
        link = directory / name
        if not link.exists():
            link.unlink(missing_ok=True)  # a link that leads nowhere any more
            link.symlink_to(_package(name), target_is_directory=True)
    return directory


def bootstrap_code(lent: Path) -> str:
    """Return code that makes the agent importable in a kernel and leaves no name in its namespace.

    It raises ImportError in a kernel that cannot take it.
    """
    return f"exec({_BOOTSTRAP.format(lent=str(lent))!r}, {{}})"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{name} is not installed here", name=name)
    return Path(next(iter(spec.submodule_search_locations))).resolve()
