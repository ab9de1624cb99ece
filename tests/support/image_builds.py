"""The image of `base`, really built of this checkout, with the same environment on this machine beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.build import KernelEnvironment, create
from respawn_environments.containers.image import ContainerImage, ImageOptions, make_image
from respawn_environments.own_wheel import OwnWheel
from respawn_environments.shipped import source_of
from support.containers import Containers, missing
from support.interpreters import ROOT

PYTHON = "3.11"
"""That of the Debian whose base is made."""
WORK = "/srv/work"
"""Where a test's directory is in its containers."""
VARIABLES = {"RESPAWN_DATA": f"{WORK}/data", "RESPAWN_RESTORE": f"{WORK}/restored"}

needs_containers = pytest.mark.skipif(
    bool(missing()), reason=f"needs {', '.join(missing())}: make containers"
)


@dataclass(frozen=True)
class BuiltImage:
    """An image, how to start it, and the same environment on this machine."""

    image: ContainerImage
    containers: Containers
    here: KernelEnvironment
    wheel: Path
    prefix: Path
    """Where the kernel of `here` is installed."""

    def respawn(self, work: Path, *words: str, status: int = 0) -> Any:
        """Return the document that the command prints in a fresh container."""
        command = ["sh", "-c", f'cd {WORK} && exec "$@"', "sh", "respawn", *words, "--json"]
        printed = self.containers.run(
            self.image.tag, *command, volumes={work: WORK}, variables=VARIABLES, status=status
        )
        return json.loads(printed)


def built_image(factory: pytest.TempPathFactory) -> BuiltImage:
    """Build both."""
    place = factory.mktemp("images")
    source, root = source_of("base", ROOT / "images"), place / "envs"
    own = OwnWheel.of_this_code()
    here = create(source, root=root, prefix=place / "prefix", own=own, python=PYTHON)
    containers = Containers.configured(place)
    wheel = _wheel(place)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in containers.variables.items():
            patched.setenv(name, value)
        made = make_image(source, ImageOptions(wheel=wheel), root=root, progress=print)
    return BuiltImage(made, containers, here, wheel, place / "prefix")


def _wheel(directory: Path) -> Path:
    """Make Respawn's wheel of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(directory), str(ROOT)], check=True)
    return next(directory.glob("*.whl"))
