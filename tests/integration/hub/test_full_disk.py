"""A disk that is really full: the service's health names what takes no writes, until there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from respawn_hub.monitoring import write_probe
from respawn_hub.startup.settings import Settings
from support.executors import NoPlaces
from support.lonely import answering_hub, lonely_service
from support.service import whole_service
from support.waiting import wait_for

pytestmark = pytest.mark.integration
_MEGABYTES = 8


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def _fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def _troubles(service: str) -> set[str]:
    parts = httpx.get(f"{service}/api/v1/health").json()["parts"]
    return {name for name, part in parts.items() if "no room left" in part["detail"]}


def _is_named_until_there_is_room(service: str, disk: Path) -> None:
    assert _troubles(service) == set()
    ballast = _fill(disk)
    every = {"database writes", "blob writes", "data directory"}
    wait_for(lambda: _troubles(service) == every, 40, "health to name the full disk")
    answer = httpx.get(f"{service}/api/v1/health")
    assert answer.json()["status"] == "degraded"
    assert answer.status_code == 200, "what is stored can still be read"
    assert str(disk) not in answer.text
    ballast.unlink()
    wait_for(lambda: _troubles(service) == set(), 20, "health to name nothing")
    left = [name for _, _, names in os.walk(disk) for name in names if name.startswith(".incomplete")]
    assert left == []


def test_a_full_disk_is_named_by_health_until_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for often in ("_FILES_SECONDS", "_TROUBLE_SECONDS"):
        monkeypatch.setattr(write_probe, often, 0.2)
    settings = Settings(data=small_disk / "data")
    with answering_hub() as hub, whole_service(settings, hub_port=hub, executor=NoPlaces()) as service:
        _is_named_until_there_is_room(service, small_disk)


@pytest.mark.slow
def test_a_service_that_looks_as_often_as_it_does_names_a_full_disk(small_disk: Path) -> None:
    with answering_hub() as hub, lonely_service(small_disk / "data", hub) as service:
        _is_named_until_there_is_room(service.url, small_disk)
