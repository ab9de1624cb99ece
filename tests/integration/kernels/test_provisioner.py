"""Kernels of our environments in a person's server, and wherever else jupyter_client starts one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty
from typing import Any

import httpx
import papermill
import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from respawn_environments import private_sockets
from respawn_environments.warm.warm_kernels import WarmKernels
from respawn_jobs.runner.kernel.kernel_process import KernelFailed, KernelProcess
from respawn_server.kernel import Kernels
from support.jupyter import Jupyter, running_jupyter
from support.notebooks import notebook, printed_by, text
from support.played_environments import kernelspec as specified
from support.played_environments import played
from support.processes import runs
from support.provisioners import entry_point, kernelspec
from support.waiting import wait_for
from support.warm import ready, warm

__all__ = ["warm"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

KERNEL = "respawn-test"
SECRETS = {
    "JUPYTERHUB_API_TOKEN": "secret-of-the-hub",
    "JPY_API_TOKEN": "secret-of-the-hub",
    "RESPAWN_TOKEN": "secret-of-the-service",
    "RESPAWN_DB_URL": "secret-of-the-service",
    "CONFIGPROXY_AUTH_TOKEN": "secret-of-the-proxy",
}
LOOK = """
import json, os, random
print(json.dumps({
    "pid": os.getpid(),
    "environ": dict(os.environ),
    "cmdline": open("/proc/self/cmdline").read(),
    "draws": [random.random(), os.urandom(8).hex()],
    "session": get_ipython().kernel.session.session,
}))
"""
WAITS = """
import time
try:
    print('waits', flush=True); time.sleep(60)
except KeyboardInterrupt:
    print('interrupted')
"""


@contextmanager
def connected(server: Jupyter, kernel: str) -> Iterator[tuple[BlockingKernelClient, dict[str, Any]]]:
    """Give a client of a server's kernel, as `jupyter console --existing` is one, and its connection file."""
    file = server.root.parent / "runtime" / f"kernel-{kernel}.json"
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels()
    try:
        wait_for(lambda: answers(client), 60, "the kernel")
        yield client, json.loads(file.read_text())
    finally:
        client.stop_channels()


def answers(client: BlockingKernelClient) -> bool:
    """Return whether a kernel is up; `wait_for_ready` takes one that is slow to start for a dead one.

    Both channels must have something that answers this question. After a restart, what the kernel before it
    sent may still be there while the client has not yet connected again to what the new one publishes.
    """
    asked = client.kernel_info()

    def heard(get: Callable[..., dict[str, Any]], limit: float) -> bool:
        try:
            while get(timeout=limit)["parent_header"].get("msg_id") != asked:
                pass
        except Empty:
            return False
        return True

    return heard(client.get_shell_msg, 1) and heard(client.get_iopub_msg, 0.2)


def printed(client: BlockingKernelClient, code: str, *, meanwhile: Any = None) -> str:
    heard: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            heard.append(message["content"]["text"])
            if meanwhile is not None and len(heard) == 1:
                meanwhile()

    reply = client.execute_interactive(code, timeout=60, output_hook=hear)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(heard)


def started(client: httpx.Client) -> str:
    answer = client.post("/api/kernels", json={"name": KERNEL})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def look(server: Jupyter, kernel: str) -> dict[str, Any]:
    with connected(server, kernel) as (client, connection):
        seen: dict[str, Any] = json.loads(printed(client, LOOK))
    return {**seen, "connection": connection, "warm": "respawn_environments.warm.zygote" in seen["cmdline"]}


def zygotes_of(server: int, *kernels: int) -> list[int]:
    """Return the processes of a server that fork kernels; a forked kernel has the same command line."""
    children = psutil.Process(server).children()
    named = [one.pid for one in children if "respawn_environments.warm.zygote" in one.cmdline()]
    return [pid for pid in named if pid not in kernels]


def test_a_persons_server_has_its_second_kernel_from_a_zygote(tmp_path: Path) -> None:
    places = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    environment = {
        **SECRETS,
        "JUPYTERHUB_USER": "ada",
        "JUPYTER_PATH": str(kernelspec(tmp_path / "jupyter", KERNEL)),
        "PYTHONPATH": os.pathsep.join([str(entry_point(tmp_path / "plugin")), *places]),
    }
    with running_jupyter(tmp_path / "server", environment) as server, server.client() as http:
        first = look(server, started(http))
        assert not first["warm"]

        def comes_warm() -> str | None:
            kernel = started(http)
            if look(server, kernel)["warm"]:
                return kernel
            http.delete(f"/api/kernels/{kernel}")
            return None

        kernel = wait_for(comes_warm, 120, "the zygote's imports")
        second = look(server, kernel)
        for seen in (first, second):
            assert not {name for name, value in seen["environ"].items() if "secret-of" in value}
            assert seen["environ"]["JUPYTERHUB_USER"] == "ada"
            place = Path(seen["connection"]["ip"]).parent
            assert seen["connection"]["transport"] == "ipc"
            assert place.stat().st_mode & 0o777 == 0o700
            assert max(len(os.fsencode(path)) for path in place.iterdir()) < 100
        assert not set(first["draws"]) & set(second["draws"])
        assert first["session"] != second["session"]
        assert first["connection"]["key"] != second["connection"]["key"]

        with connected(server, kernel) as (client, _):
            interrupt = f"/api/kernels/{kernel}/interrupt"
            assert printed(client, WAITS, meanwhile=lambda: http.post(interrupt)) == "waits\ninterrupted\n"
            printed(client, "kept = 1")
            assert http.post(f"/api/kernels/{kernel}/restart").status_code == 200
            wait_for(lambda: answers(client), 60, "the kernel")  # at the same sockets, by the same client
            assert printed(client, "print('kept' in globals())") == "False\n"
        again = look(server, kernel)
        assert again["warm"]
        assert again["pid"] != second["pid"]
        assert again["connection"] == second["connection"]
        assert not runs(second["pid"])

        places = {Path(seen["connection"]["ip"]).parent for seen in (first, second)}
        [zygote] = zygotes_of(psutil.Process(again["pid"]).ppid(), again["pid"])
        assert http.delete(f"/api/kernels/{kernel}").status_code == 204
        assert not Path(second["connection"]["ip"]).parent.exists()
    wait_for(
        lambda: not any(runs(pid) for pid in (zygote, first["pid"], again["pid"])),
        30,
        "the end of all processes",
    )
    assert not [place for place in places if place.exists()]


def test_papermill_runs_over_private_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspec(tmp_path / "jupyter", KERNEL)))
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.syspath_prepend(str(entry_point(tmp_path / "plugin")))
    cell = (
        "import json, os\nfrom ipykernel.connect import get_connection_info\n"
        "info = json.loads(get_connection_info())\n"
        "print(info['transport'], info['ip'], 'JUPYTERHUB_API_TOKEN' in os.environ)"
    )
    (tmp_path / "one.ipynb").write_text(text(notebook(cell)))
    executed = papermill.execute_notebook(
        tmp_path / "one.ipynb", tmp_path / "out.ipynb", kernel_name=KERNEL, progress_bar=False
    )
    transport, ip, token = printed_by(executed.cells[-1]).split()
    assert (transport, token) == ("ipc", "False")
    assert not Path(ip).parent.exists()


def test_debug_notebooks_and_variables_of_one_kernel_work_in_a_warm_one(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspec(tmp_path / "jupyter", KERNEL)))
    monkeypatch.syspath_prepend(str(entry_point(tmp_path / "plugin")))
    code = "import os; print(os.environ['JPY_SESSION_NAME'])"

    async def both() -> list[tuple[str, str | None]]:
        managers = AsyncMappingKernelManager(root_dir=str(tmp_path), connection_dir=str(tmp_path))
        seen = []
        for name in ("first.ipynb", "second.ipynb"):
            environment = {**os.environ, "JPY_SESSION_NAME": name}
            kernel = await managers.start_kernel(kernel_name=KERNEL, env=environment)
            await managers.get_kernel(kernel).ready
            executed = await Kernels(None, managers, None).execute(kernel, code)
            seen.append((printed_by(vars(executed)), managers.get_kernel(kernel).provisioner.plain_start))
            await managers.shutdown_kernel(kernel)
            ready(warm)
        return seen

    assert asyncio.run(both()) == [
        ("first.ipynb\n", "no kernel like it was used here before"),
        ("second.ipynb\n", None),
    ]


def test_a_warm_kernel_works_in_a_directory_that_is_named_from_this_processs_own(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspec(tmp_path / "jupyter", KERNEL)))
    monkeypatch.syspath_prepend(str(entry_point(tmp_path / "plugin")))
    (tmp_path / "tmp").mkdir()  # there is one below the root, too, where a zygote works
    monkeypatch.chdir(tmp_path)

    async def places() -> list[tuple[str | None, str]]:
        seen = []
        for _ in range(2):
            manager = AsyncKernelManager(kernel_name=KERNEL)
            await manager.start_kernel(cwd="tmp")
            seen.append((manager.provisioner.plain_start, psutil.Process(manager.provisioner.pid).cwd()))
            await manager.shutdown_kernel(now=True)
            ready(warm)
        return seen

    plain, forked = asyncio.run(places())
    assert plain == ("no kernel like it was used here before", str(tmp_path / "tmp"))
    assert forked == (None, str(tmp_path / "tmp"))


@pytest.mark.parametrize("ends", ["restart", "crash"])
def test_a_kernel_whose_sockets_were_removed_comes_again_at_the_same_place(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspec(tmp_path / "jupyter", KERNEL)))
    monkeypatch.syspath_prepend(str(entry_point(tmp_path / "plugin")))

    async def again() -> tuple[Path, int]:
        managers = AsyncMappingKernelManager(root_dir=str(tmp_path), connection_dir=str(tmp_path))
        kernel = await managers.start_kernel(kernel_name=KERNEL)
        manager = managers.get_kernel(kernel)
        await manager.ready
        place = Path(manager.ip).parent
        shutil.rmtree(place)
        if ends == "crash":
            manager.provisioner.process.kill()
        await managers.restart_kernel(kernel, now=True)
        executed = await Kernels(None, managers, None).execute(kernel, "print(6 * 7)")
        assert printed_by(vars(executed)) == "42\n"
        assert Path(manager.ip).parent == place
        mode = place.stat().st_mode & 0o777
        await managers.shutdown_kernel(kernel, now=True)
        return place, mode

    place, mode = asyncio.run(again())
    assert mode == 0o700
    assert not place.exists()


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = kernelspec(tmp_path / "jupyter", KERNEL)
    monkeypatch.setenv("JUPYTER_PATH", str(place))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.syspath_prepend(str(entry_point(tmp_path / "plugin")))
    file = place / "kernels" / KERNEL / "kernel.json"
    spec = json.loads(file.read_text())
    spec["argv"][0] = str(tmp_path / "gone" / "bin" / "python")
    file.write_text(json.dumps(spec))

    async def fails_in_a_server() -> None:
        managers = AsyncMappingKernelManager(root_dir=str(tmp_path), connection_dir=str(tmp_path / "runtime"))
        with suppress(FileNotFoundError):
            kernel = await managers.start_kernel(kernel_name=KERNEL)
            await managers.get_kernel(kernel).ready
            pytest.fail("there is no such program")

    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as parent:
        monkeypatch.setattr(private_sockets, "_parents", lambda: iter([Path(parent)]))
        asyncio.run(fails_in_a_server())
        with pytest.raises(KernelFailed, match="could not be started"):
            asyncio.run(KernelProcess.start(KERNEL, directory=tmp_path, log=tmp_path / "log"))
        assert list(Path(parent).iterdir()) == []
    assert list((tmp_path / "runtime").glob("*")) == []


def test_each_start_is_noted_as_a_use_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    made = played(tmp_path / "envs", "noted", "a")
    made.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    made.python.chmod(0o755)
    file = specified(tmp_path / "prefix", "noted", made) / "kernel.json"
    spec = json.loads(file.read_text())
    spec["argv"] += ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    file.write_text(json.dumps(spec))

    async def used() -> None:
        kernel = await KernelProcess.start("respawn-noted", directory=tmp_path, log=tmp_path / "log")
        await kernel.close(now=True)

    assert made.last_used is None
    asyncio.run(used())
    assert made.last_used is not None


def test_sockets_at_which_a_kernel_listens_are_kept_however_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as parent:
        monkeypatch.setattr(private_sockets, "_parents", lambda: iter([Path(parent)]))
        lives, ended = private_sockets.make_directory(), private_sockets.make_directory()
        with socket.socket(socket.AF_UNIX) as kernel, socket.socket(socket.AF_UNIX) as killed:
            kernel.bind(f"{private_sockets.address(lives)}-1")
            kernel.listen()
            killed.bind(f"{private_sockets.address(ended)}-1")
            killed.close()  # its file stays, as that of a kernel that was killed
            for directory in (lives, ended):
                os.utime(directory, (0, 0))
            private_sockets.remove_abandoned()
            assert list(Path(parent).iterdir()) == [lives]


def test_the_key_of_a_kernel_lies_beside_its_sockets_and_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspec(tmp_path / "jupyter", KERNEL)))
    monkeypatch.syspath_prepend(str(entry_point(tmp_path / "plugin")))

    async def once() -> Path:
        manager = AsyncKernelManager(kernel_name=KERNEL)
        await manager.start_kernel()
        file = Path(manager.connection_file)
        assert file.exists()
        assert str(file.parent / "s") == manager.ip
        await manager.shutdown_kernel(now=True)
        return file.parent

    assert not asyncio.run(once()).exists()
