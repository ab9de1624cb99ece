"""A Python kernel whose environment knows nothing of Respawn takes snapshots all the same."""

from __future__ import annotations

import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from respawn_kernels.bootstrap import bootstrap_code, link_packages
from support.kernels import AGENT, CellFailed, running_kernel

pytestmark = pytest.mark.integration

_WITHOUT = ("respawn", "jupyterhub_respawn", "_jupyterhub_respawn", "cloudpickle", "blake3", "__editable__")


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """An environment with a kernel, and with nothing that Respawn would bring."""
    directory = tmp_path / "other"
    venv.create(directory, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = directory / "lib" / version / "site-packages"
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith(_WITHOUT) and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    return directory / "bin" / "python"


@pytest.mark.long
def test_kernel_of_another_environment_takes_snapshots(tmp_path: Path, other_python: Path) -> None:
    packages, spool = link_packages(tmp_path / "packages"), tmp_path / "spool"
    with running_kernel(tmp_path, other_python) as kernel:
        with pytest.raises(CellFailed, match="No module named 'respawn_kernels'"):
            kernel.run("import respawn_kernels")
        before = set(kernel.value("sorted(globals())"))
        path = kernel.value("__import__('sys').path")
        kernel.silent(bootstrap_code(packages))
        kernel.silent(f"{AGENT}.start({str(spool)!r})")
        kernel.run("def f(): return y\ny = 5")
        kernel.silent(f"{AGENT}.checkpoint(0)")
        after = set(kernel.value("sorted(globals())"))
        assert {name for name in after - before if not name.startswith("_i")} == {"f", "y"}
        assert kernel.value("__import__('sys').path") == path
    with running_kernel(tmp_path, other_python) as kernel:
        kernel.silent(bootstrap_code(packages))
        kernel.silent(f"{AGENT}.restore({str(spool)!r}, 0)")
        assert kernel.value("f()") == 5
        assert "%respawn" in kernel.run(
            "%load_ext respawn\nprint(get_ipython().magics_manager.lsmagic_docs and '%respawn')"
        )


def test_kernel_with_respawn_uses_its_own(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    with running_kernel(tmp_path) as kernel:
        kernel.silent(bootstrap_code(packages))
        assert str(packages) not in kernel.value("__import__('respawn_kernels').__file__")


def test_kernel_that_cannot_import_it_says_why(tmp_path: Path, other_python: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with running_kernel(tmp_path, other_python) as kernel:
        with pytest.raises(CellFailed, match="No module named 'respawn_kernels'"):
            kernel.silent(bootstrap_code(empty))
        assert str(empty) not in kernel.value("__import__('sys').path")


def test_linking_twice_fixes_links_that_lead_nowhere(tmp_path: Path) -> None:
    packages = link_packages(tmp_path / "packages")
    (packages / "blake3").unlink()
    (packages / "blake3").symlink_to(tmp_path / "gone")
    assert (link_packages(packages) / "blake3" / "__init__.py").exists()
