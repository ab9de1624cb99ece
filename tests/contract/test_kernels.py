"""What every `Service` promises of the kernels that jobs can use, in-process and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Service
from respawn_jobs.errors import Unauthenticated
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.kernels import Kernel
from respawn_jobs.remote.client import RemoteService
from support.lonely import TOKEN, answering_hub
from support.service import served

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    ledger = Ledger.embedded(tmp_path_factory.mktemp("contract"))
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def url(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("served")
    with answering_hub({TOKEN: ("ada", [])}) as port, served(ledger, data, hub_port=port) as url:
        yield url


@pytest.fixture(params=["in-process", "http"])
def ada(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[Service]:
    """Somebody who may sign in and nothing else: kernels are no secret."""
    if request.param == "in-process":
        service: Service = ledger.as_actor(Actor("ada", frozenset()))
    else:
        service = RemoteService(request.getfixturevalue("url"), TOKEN)
    yield service
    service.close()


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Jupyter finds kernels besides those of its own environment."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return tmp_path / "kernels"


def install(specs: Path, name: str, document: str) -> None:
    (specs / name).mkdir(parents=True)
    (specs / name / "kernel.json").write_text(document)


def test_kernels_are_listed_by_name_with_language(ada: Service, specs: Path) -> None:
    for name, language in (("zzz", "R"), ("aaa", "Julia")):
        install(specs, name, json.dumps({"argv": ["x"], "display_name": f"My {name}", "language": language}))
    found = ada.kernels()
    assert [kernel.name for kernel in found] == sorted(kernel.name for kernel in found)
    assert Kernel(name="zzz", display_name="My zzz", language="r") in found
    assert Kernel(name="aaa", display_name="My aaa", language="julia") in found


@pytest.mark.parametrize("broken", ["", "[]", '{"argv": 1}'])
def test_a_kernel_that_cannot_be_read_hides_no_other(ada: Service, specs: Path, broken: str) -> None:
    install(specs, "broken", broken)
    install(specs, "whole", json.dumps({"argv": ["x"], "display_name": "", "language": ""}))
    found = {kernel.name: kernel for kernel in ada.kernels()}
    assert found["whole"] == Kernel(name="whole", display_name="whole", language="")
    assert "broken" not in found


def test_nobody_lists_kernels_without_a_sign_in(url: str) -> None:
    stranger = RemoteService(url, "token-of-nobody")
    with pytest.raises(Unauthenticated):
        stranger.kernels()
    stranger.close()


def test_the_answer_is_a_list_of_names_and_languages(url: str, specs: Path) -> None:
    install(specs, "zzz", json.dumps({"argv": ["x"], "display_name": "My zzz", "language": "R"}))
    answer = httpx.get(f"{url}/api/v1/kernels", headers={"Authorization": f"token {TOKEN}"})
    assert {"name": "zzz", "display_name": "My zzz", "language": "r"} in answer.json()
