"""Our provisioner's entry point and a kernelspec that names it, for processes that import the source tree."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ENTRY_POINT = (
    "[jupyter_client.kernel_provisioners]\nrespawn = respawn_environments.provisioner:RespawnProvisioner\n"
)


def entry_point(directory: Path) -> Path:
    """Write a distribution that has our entry point; return the directory for the path of imports."""
    about = directory / "respawn_provisioner_of_a_test-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: respawn-provisioner-of-a-test\nVersion: 0\n"
    )
    (about / "entry_points.txt").write_text(ENTRY_POINT)
    return directory


def kernelspec(directory: Path, name: str, **ours: object) -> Path:
    """Write a kernelspec as `respawn kernels build` does; return the directory for `JUPYTER_PATH`."""
    place = directory / "kernels" / name
    place.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "interrupt_mode": "signal",
        "env": {"PYTHONHASHSEED": "7"},
        "metadata": {
            "kernel_provisioner": {"provisioner_name": "respawn"},
            "respawn": {"environment": "test", "lock": "0" * 64, **ours},
        },
    }
    (place / "kernel.json").write_text(json.dumps(spec))
    return directory
