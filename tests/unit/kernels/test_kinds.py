"""Objects of a hundred kinds: each comes back as code sees it, or is listed before anybody relies on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from support.classes.kinds import kinds
from support.sources import ROOT

NAMED = {kind.name: kind.named for kind in kinds()}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the two processes of `support.classes.trip` found, by kind."""
    place = tmp_path_factory.mktemp("kinds")
    environment = {
        **os.environ,
        **{"PYTHONPATH": str(ROOT / "tests"), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
    }
    told = {}
    for step in ("store", "load"):
        command = [sys.executable, "-m", "support.classes.trip", step, str(place)]
        subprocess.run(command, check=True, env=environment, cwd=place, timeout=240)
        told[step] = json.loads((place / f"{step}.json").read_text())
    return {name: {"store": told["store"][name], "load": told["load"][name]} for name in NAMED}


@pytest.mark.parametrize("name", list(NAMED))
def test_it_comes_back_as_it_was_or_is_named(name: str, found: dict[str, dict[str, Any]]) -> None:
    stored, loaded = found[name]["store"], found[name]["load"]
    assert "error" not in stored, stored["error"]
    assert "error" not in loaded, loaded["error"]
    assert not loaded["failed"], "what the check of the writer promised did not load"
    assert not stored["unchecked"]
    for why in stored["unstored"].values():
        assert NAMED[name], f"is not stored: {why}"
        assert re.search(NAMED[name], why), why
    if not stored["unstored"]:
        assert loaded["seen"] == stored["seen"]
