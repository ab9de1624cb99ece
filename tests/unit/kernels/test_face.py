"""The face that notebooks import is light, and says which version it is."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

import respawn
from support.sources import ROOT


def test_version_is_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert respawn.__version__ == project["version"]


@pytest.mark.parametrize("package", ["respawn", "respawn_kernels", "respawn_widgets"])
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    code = f"import sys; before = set(sys.modules); import {package}; print(*set(sys.modules) - before)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    heavy = {"IPython", "distributed", "anywidget", "cloudpickle", "numpy", "blake3", "jupyter_client"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
