"""Libraries with a pool of threads compute in each fork as they do otherwise, or are refused by name."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.warm.warm_kernels import WarmKernels
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from support.programs.forks_with_pools import WORK
from support.warm import of_zygote, printed, ready, using, warm

__all__ = ["warm"]
pytestmark = [pytest.mark.integration, pytest.mark.long]

PROGRAM = Path(__file__).parents[2] / "support" / "programs" / "forks_with_pools.py"
BEAR_A_USE = {"numpy", "scipy", "pyarrow"}
"""Whose pool is made anew in the child of a process that has used it; that of the others never answers."""


def forks(library: str, how: str, number: int) -> dict[str, Any]:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(PROGRAM), library, how, str(number)]
    threads = {"OMP_NUM_THREADS": "2"}  # a process that has one core, or was told of one, has no pool
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **threads})
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


NUMBERS = [5, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("library", WORK)
def test_a_library_that_was_imported_computes_the_same_in_every_fork(library: str, number: int) -> None:
    assert forks(library, "imported", number) == {"problem": None, "children": number, "others": 0}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("library", WORK)
def test_a_pool_that_was_used_computes_the_same_in_every_fork_or_is_refused(
    library: str, number: int
) -> None:
    seen = forks(library, "used", number)
    same = {"problem": None, "children": number, "others": 0}
    refused = {"problem": f"the threads of {library} do not work in a fork", "children": 0, "others": 0}
    # On a machine that has been busy for minutes MKL makes no threads, and torch bears the fork then.
    assert seen == same or (library not in BEAR_A_USE and seen == refused)


@pytest.mark.parametrize("number", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_kernels_of_a_zygote_with_all_these_libraries_compute_the_same(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    libraries = [name for name in WORK if importlib.util.find_spec(name)]
    monkeypatch.setattr("respawn_environments.provisioner.preloaded", lambda _: libraries)

    async def computed(kernel: KernelProcess) -> tuple[list[str], bool]:
        return [await printed(kernel, f"{WORK[name]}print(work())") for name in libraries], of_zygote(kernel)

    plain, warm_start = asyncio.run(using(tmp_path, computed))
    assert not warm_start
    ready(warm)
    for _ in range(number):
        assert asyncio.run(using(tmp_path, computed)) == (plain, True)
