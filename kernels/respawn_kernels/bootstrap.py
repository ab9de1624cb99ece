"""Bootstrap of the agent in a Python kernel of another environment.

A notebook may run with any Python kernel, also one in whose environment Respawn is not installed. For that
kernel a runner makes a directory of links to the few packages that the agent needs. The kernel has it at the
end of its import path while it imports them, and never again: what the notebook itself imports is not changed
by it. Limit: blake3 and zstandard are compiled, so the other kernel must have the same Python version; else
the bootstrap raises and there are no snapshots.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

BOOTSTRAP_PACKAGES = ("respawn_kernels", "respawn", "cloudpickle", "blake3", "platformdirs", "zstandard")

_BOOTSTRAP = """
def bring():
    import sys
    try:
        import respawn_kernels.agent, respawn
    except ImportError:
        for name in [n for n in sys.modules if n.partition(".")[0] in ("respawn_kernels", "respawn")]:
            del sys.modules[name]
        sys.path.append({packages!r})
        try:
            import respawn_kernels.agent, respawn, platformdirs, zstandard
        finally:
            sys.path.remove({packages!r})
bring()
"""


def link_packages(directory: Path) -> Path:
    """Fill a directory with links to the agent's packages, and return it.

    Raises:
        ImportError: one of the packages is not installed here.
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in BOOTSTRAP_PACKAGES:
        link = directory / name
        if not link.exists():
            link.unlink(missing_ok=True)  # a link that leads nowhere any more
            link.symlink_to(_package(name), target_is_directory=True)
    return directory


def bootstrap_code(packages: Path) -> str:
    """Return code that imports the agent in a kernel and leaves no name in its namespace.

    It raises ImportError in a kernel that cannot import it.

    Args:
        packages: the directory that `link_packages` filled.
    """
    return f"exec({_BOOTSTRAP.format(packages=str(packages))!r}, {{}})"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{name} is not installed here", name=name)
    return Path(next(iter(spec.submodule_search_locations))).resolve()
