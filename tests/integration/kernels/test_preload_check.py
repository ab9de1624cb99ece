"""What a fork would not bear is found when an environment is built, and named with its module."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from respawn_environments import own_wheel
from respawn_environments.errors import EnvironmentFailed
from respawn_environments.warm.preload_check import check_preload
from respawn_jobs.cli.entry import run_command
from support.processes import command_of
from support.tiny_environments import locked, offline, wheel
from support.waiting import wait_for
from support.warm import with_path

pytestmark = [pytest.mark.integration, pytest.mark.long]

UNFIT = {
    "own_thread": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
        "has started 1 thread",
    ),
    "bare_thread": (
        "import _thread, threading\n_thread.start_new_thread(threading.Event().wait, ())",
        "has started 1 thread",
    ),
    "own_executor": (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\n"
        "pool.submit(print).result()",
        "has started 1 thread",
    ),
    "own_child": (
        "import subprocess\nchild = subprocess.Popen(['sleep', '3979'])",
        "has started 1 child process (",  # it has its parent's name until the end of execve(2)
    ),
    "ended_child": (
        "import os\nchild = os.fork()\nif not child: os._exit(0)\n"
        "os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)",
        "has started 1 child process",
    ),
    "listens": ("import socket\nserver = socket.create_server(('127.0.0.1', 0))", "has left open: a socket"),
    "both_ends": ("import os\nends = os.pipe()", "has left open: a pipe"),
    "own_selector": ("import selectors\nwaits = selectors.EpollSelector()", "has left open: eventpoll"),
    "own_loop": (
        "import asyncio\nloop = asyncio.new_event_loop()",
        "has left open: a socket, eventpoll",
    ),
    "own_log": ("file = open(__file__ + '.log', 'w')", "own_log.py.log"),
}
FAILS = {
    "raises": ("1 / 0", "the import of raises fails: ZeroDivisionError: division by zero"),
    "leaves": ("import sys\nsys.exit(3)", "the import of leaves fails: SystemExit: 3"),
    "crashes": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "the import of crashes ends the process by SIGSEGV",
    ),
    "exits": ("import os\nos._exit(7)", "the import of exits ends the process with status 7"),
    "absent": (None, "the import of absent fails: ModuleNotFoundError: No module named 'absent'"),
}
POOLS = {
    "sklearn": (
        "import numpy as np\nfrom sklearn.metrics import pairwise_distances_argmin\n"
        "pairwise_distances_argmin(np.ones((60_000, 2)), np.ones((2, 2)))"
    ),
    "polars": (
        "import polars as pl\nrows = pl.DataFrame({'key': [0, 1] * 2000}).lazy()\n"
        "rows.group_by('key').agg(pl.len()).collect()"
    ),
    "torch": "import torch\ntorch.ones(999, 999) @ torch.ones(999, 999)",
}
"""Libraries whose pools of threads work in a fork until they were used before it, with a use of each."""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str | None], None]:
    """Write a module that the interpreter of this test finds."""
    monkeypatch.setenv("PYTHONPATH", with_path(tmp_path)["PYTHONPATH"])

    def write(name: str, source: str | None) -> None:
        if source is not None:
            (tmp_path / f"{name}.py").write_text(source)

    return write


def checked(*modules: str) -> tuple[list[str], dict[str, str]]:
    found = check_preload(Path(sys.executable), modules)
    return found.fit, found.unfit


@pytest.mark.parametrize("name", UNFIT)
def test_what_an_import_starts_is_found_behind_a_library_with_threads_of_its_own(
    name: str, module: Callable[[str, str | None], None]
) -> None:
    source, why = UNFIT[name]
    module(name, source)
    fit, unfit = checked("numpy", name, "json")
    assert (fit, list(unfit)) == (["numpy", "json"], [name])
    assert unfit[name].startswith(f"the import of {name} has ")
    assert why in unfit[name]
    wait_for(lambda: not any("3979" in command_of(one) for one in psutil.process_iter()), 10, "its end")


@pytest.mark.parametrize("name", FAILS)
def test_an_import_that_fails_or_ends_the_process_is_named(
    name: str, module: Callable[[str, str | None], None]
) -> None:
    source, why = FAILS[name]
    module(name, source)
    with pytest.raises(EnvironmentFailed) as caught:
        checked("json", name, "calendar")
    assert str(caught.value) == why


def test_an_interpreter_that_does_not_come_up_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("respawn_environments.warm.preload_check._SECONDS", 0.2)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 600\n")
    python.chmod(0o755)
    with pytest.raises(EnvironmentFailed, match=rf"^{python} takes longer than 0\.2 s to come up$"):
        check_preload(python, ["json"])


@pytest.mark.parametrize("library", POOLS)
def test_a_pool_that_an_import_has_used_is_found(
    library: str, module: Callable[[str, str | None], None]
) -> None:
    pytest.importorskip(library)
    module("uses_it", POOLS[library])
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # a runner may have more cores than the machine that builds
    try:
        fit, unfit = checked("numpy", library, "uses_it")
    finally:
        os.sched_setaffinity(0, before)
    assert (fit, list(unfit)) == (["numpy", library], ["uses_it"])
    assert "the import of uses_it has started" in unfit["uses_it"]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Build an environment by the command, with modules in one wheel; what Respawn needs is this Python's."""
    offline(monkeypatch, tmp_path / "wheels")
    monkeypatch.setattr(own_wheel, "requirements", list)
    monkeypatch.setenv("PYTHONPATH", sysconfig.get_paths()["purelib"])
    made = wheel(tmp_path / "wheels")

    def build(preload: list[str], modules: dict[str, str]) -> tuple[int, str, dict[str, Any]]:
        tiny = locked(tmp_path / "images" / "tiny", made)
        toml = tiny.directory / "environment.toml"
        toml.write_text(f"{toml.read_text()}preload = {json.dumps(preload)}\n")
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), sysconfig.get_paths()["purelib"]]))
        places = ["--root", str(tmp_path / "envs"), "--prefix", str(tmp_path / "prefix")]
        command = ["kernels", "build", "tiny", "--images", str(tmp_path / "images"), *places]
        status = run_command([*command, "--python", sys.executable])
        out, err = capfd.readouterr()
        kernel = tmp_path / "prefix/share/jupyter/kernels/respawn-tiny/kernel.json"
        spec = json.loads(kernel.read_text())["metadata"]["respawn"] if kernel.exists() else {}
        return status, out + err, spec

    return build


def test_the_command_names_what_it_does_not_preload_and_tries_it_once(build: Any) -> None:
    thread = {"pool": UNFIT["own_thread"][0]}
    status, told, spec = build(["json", "pool"], thread)
    assert status == 0, told
    assert "trying what is preloaded: json, pool" in told
    why = "the import of pool has started 1 thread"
    assert told.splitlines()[-1] == f"pool is not preloaded: {why}"
    assert (spec["preload"], spec["not_preloaded"]) == (["json"], {"pool": why})

    status, told, again = build(["json", "pool"], thread)
    assert "trying" not in told
    assert told.splitlines()[-1] == f"pool is not preloaded: {why}"
    assert again == spec
    status, told, changed = build(["json", "calendar"], {})
    assert "trying what is preloaded: json, calendar" in told, "another list is tried anew"
    assert (changed["preload"], changed.get("not_preloaded")) == (["json", "calendar"], None)


def test_a_preload_that_crashes_is_named_before_the_kernel_is_replaced(build: Any) -> None:
    assert build(["json"], {})[0] == 0
    status, told, spec = build(["json", "crashes"], {"crashes": FAILS["crashes"][0]})
    assert status != 0
    where = "images/tiny/environment.toml: preload: the import of crashes ends the process by SIGSEGV"
    assert f"{where}; the kernel respawn-tiny is as it was" in told
    assert spec["preload"] == ["json"]
