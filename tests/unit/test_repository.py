"""What the repository must not contain, and what must agree in it."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from respawn_environments import own_wheel
from respawn_environments.definition import EnvironmentSource
from respawn_environments.lockfile import made_of, read_lock, versions_in
from support.sources import ROOT

PINNED = re.compile(r"^[A-Za-z0-9._-]+(\[[A-Za-z0-9,._-]+\])?==[^ ;]+( *;.*)?( \\)?$")

SHOWN = {".html", ".j2", ".css", ".js", ".mjs", ".svg"}
"""What a browser is given."""

CDN = re.compile(
    r"""(?:src|href)\s*=\s*["']?(?:https?:)?//   # <script src=//…>, <link href=https://…>
      | @import\s+(?:url\()?["']?(?:https?:)?//   # styles of styles
      | url\(\s*["']?(?:https?:)?//               # fonts and images of styles
      | \bimport\b[^;\n]*["']https?://            # modules
      | \bfrom\s+["']https?://
      | \b(?:unpkg\.com|jsdelivr\.net|cdnjs\.|esm\.sh|skypack\.dev|googleapis\.com|jspm\.)""",
    re.VERBOSE,
)

MACHINE_PATH = re.compile(
    r"(?<![\w.$}/-])/(?:home/(?!jovyan\b)|root/|work/|Users/|opt/(?!respawn\b))[A-Za-z]"
)


def tracked() -> list[Path]:
    """Return the files that belong to the repository and can be read as text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000]]


def test_nothing_that_browsers_get_is_fetched_from_elsewhere() -> None:
    wrong = []
    for path in tracked():
        if path.suffix not in SHOWN:
            continue
        text = re.sub(r"<a\b[^>]*>", "", path.read_text())  # a link that people follow is no asset
        wrong += [f"{path.relative_to(ROOT)}: {found.group()}" for found in CDN.finditer(text)]
    assert not wrong


def test_no_file_names_a_place_of_one_machine() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked()
        if path.name not in {"test_repository.py", "Containerfile", "images.md"}
        and "vendor" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not wrong


ENVIRONMENTS = sorted(path.parent.name for path in ROOT.glob("images/*/environment.toml"))


@pytest.mark.parametrize(
    "lock",
    [
        "requirements-dev.lock",
        *(f"images/{name}/requirements.lock" for name in ENVIRONMENTS),
        "benchmarks/peers.lock",
    ],
)
def test_lock_pins_every_package_and_names_no_index(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith((" ", "#", "--no-binary "))]
    assert len(wanted) > 20
    assert [line for line in wanted if not PINNED.match(line)] == []
    assert [line for line in lines if "://" in line or "--index" in line or "--find-links" in line] == []


def test_environments_come_with_the_lock_of_what_they_ask_for_and_with_what_respawn_needs() -> None:
    assert {"base", "dask", "science", "spark"} <= set(ENVIRONMENTS)
    for name in ENVIRONMENTS:
        source = EnvironmentSource.read(ROOT / "images" / name)
        assert made_of(source.lock) == source.definition.digest, f"respawn kernels lock {name}"
        assert not own_wheel.unmet(read_lock(source.lock)), f"respawn kernels lock {name}"
        assert versions_in(source.lock)["ipykernel"]


def test_development_lock_checks_every_download_by_its_hash() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements-dev.lock").read_text())
    unchecked = [entry.split()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert not unchecked


def test_proxy_lock_pins_by_hash_and_names_no_registry() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert "node_modules/configurable-http-proxy" in packages
    for name, package in packages.items():
        if name:
            assert package["integrity"].startswith("sha512-"), name
            assert "resolved" not in package, name


def test_version_is_the_same_everywhere() -> None:
    import respawn

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lab = json.loads((ROOT / "hub_ext/respawn_server/labextension/package.json").read_text())
    assert project["version"] == respawn.__version__ == lab["version"]
    assert f"[{project['version']}]" in (ROOT / "CHANGELOG.md").read_text()
