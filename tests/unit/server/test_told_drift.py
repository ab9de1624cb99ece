"""Who promotes from a kernel unlike its lock has agreed to what was told of it, and to nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest

from respawn_environments import catalog
from respawn_kernels.host.installed import marker_environment
from respawn_server.drift import DriftLooks
from support.notebooks import notebook, text
from support.played_environments import kernelspec, played

SOURCE = text(notebook("a = 1", kernel="respawn-tiny"))
TOLD = "/srv/ada/lib is on the import path beside the environment"


class OneKernel:
    """A server's kernels, of which one is behind the notebook."""

    def __init__(self, prefix: Path, spec: dict[str, Any]) -> None:
        self._prefix = prefix
        self._spec = spec

    async def spec(self, name: str) -> dict[str, Any] | None:
        return self._spec if name == "respawn-tiny" else None

    async def idle(self, path: str) -> str:
        return path

    async def evaluate(self, kernel: str, expression: str, timeout: float) -> str:
        found = {"packages": [], "unowned": [], "paths": ["/srv/ada/lib"], "markers": marker_environment()}
        return json.dumps([str(self._prefix), found])


@pytest.fixture
def looks(tmp_path: Path) -> DriftLooks:
    made = played(tmp_path / "envs", "tiny", "a")
    catalog.complete(made.directory, made.record, b"")
    spec = json.loads((kernelspec(tmp_path, "tiny", made) / "kernel.json").read_text())
    return DriftLooks(cast("Any", OneKernel(made.directory, spec)))


def test_nothing_was_told_before_a_look(looks: DriftLooks) -> None:
    assert looks.seen("a.ipynb", SOURCE) == []


def test_what_was_told_is_that_of_the_last_look_at_the_same_notebook_and_kernel(looks: DriftLooks) -> None:
    assert asyncio.run(looks.look("a.ipynb", SOURCE, fresh=False)) == [TOLD]
    assert looks.seen("a.ipynb", SOURCE) == [TOLD]
    assert looks.seen("b.ipynb", SOURCE) == []
    assert looks.seen("a.ipynb", SOURCE.replace("tiny", "other")) == []
