"""The wheel, and each part of it with only its own extra installed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from support import extras
from support.sources import PARTS, ROOT, modules

pytestmark = pytest.mark.integration

PARTS_OF: dict[str, list[str]] = {
    "kernels": ["respawn_kernels", "respawn"],
    "environments": ["respawn_environments", "respawn_kernels"],
    "dask": ["respawn"],
    "widgets": ["respawn_widgets"],
    "jobs": ["respawn_jobs", "respawn_kernels"],
    "server": ["respawn_server", "respawn_jobs"],
    "hub": ["respawn_hub", "respawn_jobs"],
    "containers": ["respawn_hub"],
}
ROOMS_OF = {"containers": "respawn_hub.containers."}
"""Rooms that need an extra of their own, by its name."""


@dataclass(frozen=True)
class Wheel:
    """The project's wheel, built and unpacked."""

    root: Path
    names: list[str]

    @property
    def distribution(self) -> metadata.Distribution:
        """Its metadata, as an installer would read them."""
        return metadata.Distribution.at(next(self.root.glob("*.dist-info")))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Build the wheel once."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = directory.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(directory / "unpacked")
        return Wheel(directory / "unpacked", archive.namelist())


def test_wheel_holds_the_six_packages_and_nothing_else_at_its_top(wheel: Wheel) -> None:
    top = {name.partition("/")[0] for name in wheel.names}
    assert {name for name in top if ".d" not in name} == set(PARTS)


def test_wheel_brings_the_lab_extension_and_enables_the_server_extension(wheel: Wheel) -> None:
    data = {name.partition(".data/data/")[2] for name in wheel.names}
    assert "share/jupyter/labextensions/respawn/package.json" in data
    assert "etc/jupyter/jupyter_server_config.d/respawn_server.json" in data


def test_wheel_brings_the_environments_with_their_locks(wheel: Wheel) -> None:
    for name in ("base", "dask", "science"):
        for file in ("environment.toml", "requirements.lock"):
            assert f"respawn_environments/images/{name}/{file}" in wheel.names


def test_wheel_holds_every_module_and_marks_each_part_as_typed(wheel: Wheel) -> None:
    for part, root in PARTS.items():
        assert f"{part}/py.typed" in wheel.names
        for module in modules(part):
            assert str(module.path.relative_to(ROOT / root)) in wheel.names


@pytest.mark.parametrize("extra", PARTS_OF)
def test_part_imports_with_only_its_own_extra_installed(extra: str, wheel: Wheel, tmp_path: Path) -> None:
    needed = extras.closure(wheel.distribution, extra)
    names = [
        module.name
        for part in PARTS_OF[extra]
        for module in modules(part)
        # Programs do their work when loaded: `__main__`, and Alembic's scripts.
        if not module.name.endswith("__main__") and ".migrations" not in module.name
        if not any(module.name.startswith(room) for other, room in ROOMS_OF.items() if other != extra)
    ]
    order = tmp_path / "order.json"
    order.write_text(
        json.dumps(
            {
                "root": str(wheel.root),
                "modules": names,
                "hidden": sorted(extras.hidden_modules(needed) - PARTS.keys()),
            }
        )
    )
    done = subprocess.run(
        [sys.executable, extras.__file__, str(order)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert set(loaded) == set(names)
    assert all(Path(place).is_relative_to(wheel.root) for place in loaded.values())
