"""Real environments for JupyterLab: the packages of `base`, and small wheels that are made here.

uv takes the packages from its cache, which `make kernel` has filled.
"""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path
from unittest.mock import patch

from respawn_environments.build import KernelEnvironment, create
from respawn_environments.definition import EnvironmentSource
from respawn_environments.lockfile import header
from respawn_environments.own_wheel import OwnWheel
from respawn_environments.shipped import shipped
from support.tiny_environments import pin


def build_lab(place: Path, name: str, display_name: str, *wheels: Path) -> KernelEnvironment:
    """Build an environment and install its kernel below `place`, as `respawn kernels build` does.

    Args:
        place: where `images`, `envs` and `prefix` are.
        name: the environment's name.
        display_name: how JupyterLab shows it.
        wheels: what it has beside the packages of `base`.
    """
    directory = place / "images" / name
    directory.mkdir(parents=True, exist_ok=True)
    asked = ["ipykernel", *(path.name.split("-")[0].replace("_", "-") for path in wheels)]
    (directory / "environment.toml").write_text(
        f'python = ">=3.11"\nrequirements = {asked}\ndisplay-name = "{display_name}"\npreload = ["json"]\n'
    )
    source = EnvironmentSource.read(directory)
    pins = "".join(f"{pin(path)}    # via -r environment.toml.in\n" for path in wheels)
    source.lock.write_text(f"{header(name, source.definition.digest)}{_cached_base()}{pins}")
    places = " ".join(sorted({str(path.parent) for path in wheels}))
    variables = {"UV_OFFLINE": "1", "UV_CACHE_DIR": _cache(), **({"UV_FIND_LINKS": places} if places else {})}
    with patch.dict(os.environ, variables):
        return create(
            source, root=place / "envs", prefix=place / "prefix", own=OwnWheel.of_this_code(), progress=_quiet
        )


def _cached_base() -> str:
    """Return the pins of the packages of `base`, in the versions of `science`: those are in the cache."""
    names = {_name(entry) for entry in _entries("base")}
    return "".join(entry for entry in _entries("science") if _name(entry) in names)


def _entries(environment: str) -> list[str]:
    """Return a lock's pins, each with its lines of hashes and of who wants it."""
    pins = (shipped() / environment / "requirements.lock").read_text().split("\n", 2)[2]
    return [entry for entry in re.split(r"^(?=\w)", pins, flags=re.MULTILINE) if "==" in entry]


def _name(entry: str) -> str:
    return entry.partition("==")[0]


def _cache() -> str:
    """Return the account's own cache of uv: tests have a home of their own."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return os.environ.get("UV_CACHE_DIR") or str(home / ".cache" / "uv")


def _quiet(_: str) -> None: ...
