"""Looks at a kernel while the dialog for promoting is filled in: one at a time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from respawn_environments import catalog
from respawn_kernels.host.installed import InstalledPackage, InstalledPackages, marker_environment
from respawn_server.drift import DriftLooks
from support.notebooks import notebook, text
from support.played_environments import kernelspec, played

SOURCE = text(notebook("a = 1", kernel="respawn-tiny"))


class OneKernel:
    """A kernel that answers when it is let, and has one package more at each answer."""

    def __init__(self, prefix: Path, spec: dict[str, Any]) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self._prefix = prefix
        self._spec = spec

    async def spec(self, name: str) -> dict[str, Any] | None:
        return self._spec if name == "respawn-tiny" else None

    async def idle(self, path: str) -> str:
        return path

    async def evaluate(self, kernel: str, expression: str, timeout: float) -> str:
        self.asked += 1
        packages = [InstalledPackage(f"extra-{number}", "1", record="r") for number in range(self.asked)]
        await self.answers.wait()
        found = InstalledPackages(packages, [], [], marker_environment())
        return json.dumps([str(self._prefix), asdict(found)])


async def looked(tmp_path: Path) -> None:
    made = played(tmp_path / "envs", "tiny", "a")
    catalog.complete(made.directory, made.record, b"")
    spec = json.loads((kernelspec(tmp_path, "tiny", made) / "kernel.json").read_text())
    kernel = OneKernel(made.directory, spec)
    looks = DriftLooks(cast("Any", kernel))

    async def look(*, fresh: bool) -> list[str]:
        return await looks.look("report.ipynb", SOURCE, fresh=fresh)

    typing = [asyncio.ensure_future(look(fresh=False)) for _ in range(5)]
    while not kernel.asked:
        await asyncio.sleep(0)
    promoting = [asyncio.ensure_future(look(fresh=True)) for _ in range(3)]
    kernel.answers.set()
    first = ["extra-0 1 is installed and not in the lock"]
    assert await asyncio.gather(*typing) == [first] * 5
    second = [*first, "extra-1 1 is installed and not in the lock"]
    assert await asyncio.gather(*promoting) == [second] * 3, "a look that began before does not do"
    assert kernel.asked == 2
    assert await look(fresh=False) == second
    assert kernel.asked == 2


def test_looks_at_a_kernel_do_not_overlap_and_their_answer_is_shared(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(looked(tmp_path), 60))
