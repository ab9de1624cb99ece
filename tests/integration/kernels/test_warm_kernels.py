"""A kernel that comes from a zygote is the kernel that a plain start gives, sooner."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from respawn_environments import private_sockets
from respawn_environments.warm.orders import Order, hear, tell
from respawn_environments.warm.warm_kernels import WarmKernels
from respawn_environments.warm.zygote_process import NotWarm, ZygoteProcess
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_jobs.runner.kernel.ready_kernel import ReadyKernel
from support.processes import runs
from support.waiting import wait_for
from support.warm import of_zygote, printed, ready, using, warm, with_path

__all__ = ["warm"]

pytestmark = pytest.mark.integration

LOOK = """
import gc, inspect, json, locale, os, random, resource, signal, sys, threading, uuid, warnings
def handler(number):
    found = signal.getsignal(number)
    return getattr(found, '__qualname__', str(found))
print('SEEN' + json.dumps({
    'same': {
        'argv': [one for one in sys.argv if not one.endswith('.json')],
        'orig_argv': [one for one in sys.orig_argv if not one.endswith('.json')],
        'path': sys.path,
        'flags': str(sys.flags),
        'directory': os.getcwd(),
        'began in': get_ipython().starting_dir,
        'visited': list(map(str, _dh)),
        **{f'variable {name}': value for name, value in os.environ.items()},
        'name': open('/proc/self/comm').read(),
        'threads': sorted(type(one).__name__ for one in threading.enumerate()),
        'main thread': threading.current_thread() is threading.main_thread(),
        'handlers': {number: handler(number) for number in sorted(signal.valid_signals())},
        'blocked': sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        'umask': os.umask(os.umask(0o22)),
        'limits': [resource.getrlimit(one) for one in range(10)],
        'priority': os.nice(0),
        'leads its session': os.getsid(0) == os.getpgid(0) == os.getpid(),
        'parent': os.getppid(),
        'stdin': os.readlink('/proc/self/fd/0') != '' and sys.stdin is not None,
        'warnings': [str(one) for one in warnings.filters],
        'locale': locale.setlocale(locale.LC_ALL),
        'collection': [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        'main module': sorted(vars(sys.modules['__main__'])),
        'main is ours': sys.modules['__main__'].__dict__ is globals(),
        'recursion': sys.getrecursionlimit(),
        'our own modules': [one for one in sys.modules if one.startswith('respawn_environments')],
        'output': sys.stdout.encoding,
        'profile': [sys.getprofile(), sys.gettrace()],
    },
    'descriptors': len(os.listdir('/proc/self/fd')),
    'modules': sorted(sys.modules),
    'draws': [random.random(), uuid.uuid4().hex, os.urandom(8).hex()],
    'key': get_ipython().kernel.session.key.decode(),
    'session': get_ipython().kernel.session.session,
    'id': str(get_ipython().kernel.ident),
}))
"""


async def look(kernel: KernelProcess) -> dict[str, Any]:
    text = await printed(kernel, LOOK)
    [line] = [line for line in text.splitlines() if line.startswith("SEEN")]
    seen: dict[str, Any] = json.loads(line.removeprefix("SEEN"))
    return {**seen, "of a zygote": of_zygote(kernel)}


def test_a_notebook_sees_no_difference(warm: WarmKernels, tmp_path: Path) -> None:
    plain = asyncio.run(using(tmp_path, look))
    ready(warm)
    first, second = asyncio.run(using(tmp_path, look)), asyncio.run(using(tmp_path, look))

    assert [seen["of a zygote"] for seen in (plain, first, second)] == [False, True, True]
    for seen in (first, second):
        assert _differing(plain["same"], seen["same"]) == {}
    assert first["descriptors"] <= plain["descriptors"]
    assert set(plain["modules"]) <= set(first["modules"])
    for one, other in ((plain, first), (first, second)):
        assert not set(one["draws"]) & set(other["draws"])
        assert one["session"] != other["session"]
        assert one["id"] != other["id"]


def test_one_that_was_ready_shows_no_difference(warm: WarmKernels, tmp_path: Path) -> None:
    plain = asyncio.run(using(tmp_path, look))
    ready(warm)
    early = ReadyKernel("python3")
    try:
        assert early.serves("python3", tmp_path, None)
        kernel = early.take()
        seen = early.runner.run(look(kernel))
        early.runner.run(kernel.close())
    finally:
        early.close()

    assert seen["of a zygote"]
    assert _differing(plain["same"], seen["same"]) == {}


def test_one_that_was_ready_is_not_used_when_a_new_one_would_differ(
    warm: WarmKernels, tmp_path: Path
) -> None:
    asyncio.run(using(tmp_path, look))
    ready(warm)
    early = ReadyKernel("python3")
    process = early._unused.pid if early._unused else None
    try:
        assert not early.serves("another", tmp_path, None)
        warm.close()
        assert not early.serves("python3", tmp_path, None)
    finally:
        early.close()
    assert process is not None
    assert not runs(process)


def _differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (one.get(name), other.get(name))
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    }


def test_two_that_are_forked_at_once_share_no_random_numbers(warm: WarmKernels, tmp_path: Path) -> None:
    async def both() -> list[dict[str, Any]]:
        return list(await asyncio.gather(using(tmp_path, look), using(tmp_path, look)))

    asyncio.run(using(tmp_path, look))
    ready(warm)
    one, other = asyncio.run(both())
    assert one["of a zygote"]
    assert other["of a zygote"]
    assert not set(one["draws"]) & set(other["draws"])
    for name in ("session", "id", "key"):
        assert one[name]
        assert one[name] != other[name], name


def test_a_kernel_is_interrupted_killed_and_its_end_is_known(warm: WarmKernels, tmp_path: Path) -> None:
    async def interrupted(kernel: KernelProcess) -> str:
        async def next_text() -> str:
            while True:
                message = await kernel.client.get_iopub_msg(timeout=60)
                if message["msg_type"] == "stream":
                    return str(message["content"]["text"])

        waits = (
            "try:\n    print('waits', flush=True); time.sleep(60)\nexcept BaseException as e: print(repr(e))"
        )
        kernel.client.execute(f"import time\n{waits}")
        assert await next_text() == "waits\n"
        await kernel.interrupt()
        return await next_text()

    async def ended(kernel: KernelProcess, code: str) -> str:
        kernel.client.execute(code)
        while await kernel.alive():
            await asyncio.sleep(0.01)
        return kernel.exit_reason()

    asyncio.run(using(tmp_path, look))
    ready(warm)
    assert asyncio.run(using(tmp_path, interrupted)) == "KeyboardInterrupt()\n"
    exits = asyncio.run(using(tmp_path, lambda kernel: ended(kernel, "import os; os._exit(3)")))
    assert exits == "its process exited with status 3"
    killed = asyncio.run(using(tmp_path, lambda kernel: ended(kernel, "import os; os.kill(os.getpid(), 9)")))
    assert killed == "its process was ended by SIGKILL, as when memory runs out"


@pytest.mark.long
def test_what_is_odd_ends_in_a_plain_start(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def came_warm(**options: Any) -> bool:
        return bool(asyncio.run(using(tmp_path, look, **options))["of a zygote"])

    assert not came_warm()
    ready(warm)
    assert came_warm()
    assert not came_warm(hash_seed="4711"), "texts must hash as they did in the state"
    with monkeypatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "3")
        assert not came_warm(), "libraries read such variables while they are imported"
    [zygote] = [one for one in warm._zygotes.values() if one.forked]
    os.kill(zygote.pid, signal.SIGKILL)
    assert not came_warm()
    ready(warm)
    assert came_warm(), "another zygote takes the place of one that was killed"


def test_a_kernel_of_changed_packages_starts_plainly(tmp_path: Path) -> None:
    helper = tmp_path / "packages" / "helper.py"
    helper.parent.mkdir()
    helper.write_text("VALUE = 1")
    zygote = ZygoteProcess([sys.executable], with_path(helper.parent), ["helper"])
    try:
        wait_for(zygote._is_ready, 60, "the zygote's imports")
        helper.write_text("VALUE = 10")
        order = Order(["-f", "none.json"], str(tmp_path), dict(os.environ), os.getpid())
        changed = pytest.raises(NotWarm, match=r"helper\.py was changed since it was imported")
        with (tmp_path / "log").open("wb") as log, changed:
            zygote.fork(order, log.fileno())
    finally:
        zygote.close()


def test_an_answer_that_comes_too_late_leaves_no_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("respawn_environments.warm.zygote_process._ANSWER_SECONDS", 0.5)
    zygote = ZygoteProcess([sys.executable], os.environ)
    try:
        wait_for(zygote._is_ready, 60, "the zygote's imports")
        order = Order(["-f", str(tmp_path / "kernel.json")], str(tmp_path), dict(os.environ), os.getpid())
        os.kill(zygote.pid, signal.SIGSTOP)
        with (tmp_path / "log").open("wb") as log, pytest.raises(NotWarm, match="did not answer within"):
            zygote.fork(order, log.fileno())
        # The time of this one is not over when the zygote comes to it: it forks, and nobody takes it.
        late, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with gate, (tmp_path / "log").open("wb") as log:
            tell(zygote._end, order, [log.fileno(), gate.fileno()])
        os.kill(zygote.pid, signal.SIGCONT)
        pid = hear(late)[0]["pid"]  # type: ignore[index]
        assert runs(pid)
        late.close()
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 30, "the end of the kernel that nobody takes")
        wait_for(lambda: _held_by(zygote.pid)[1] == 0, 30, "the zygote's own children")
        assert not (tmp_path / "kernel.json").exists(), "a kernel writes its connection file as it binds"
        assert (tmp_path / "log").read_text() == ""
    finally:
        zygote.close()


def test_an_interpreter_without_respawn_is_asked_once(warm: WarmKernels, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-m", "ipykernel_launcher", "-f", "none.json"]  # -S: no site-packages

    def refused() -> str:
        with (tmp_path / "log").open("wb") as log, pytest.raises(NotWarm) as raised:
            warm.fork(command, str(tmp_path), environment, log.fileno())
        warm.prepare()
        return str(raised.value)

    assert refused() == "no kernel like it was used here before"
    why = "No module named"
    wait_for(lambda: why in refused(), 30, "the end of the zygote")
    assert why in refused(), "the reason is said each time"
    assert not warm._zygotes


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "the import of odd has started 1 thread",
        ),
        ("1 / 0", "the import of odd fails: ZeroDivisionError: division by zero"),
        ("import os; os._exit(7)", "the import of odd ends the process with status 7"),
    ],
)
def test_imports_that_no_fork_bears_are_named(tmp_path: Path, source: str, why: str) -> None:
    (tmp_path / "odd.py").write_text(source)
    zygote = ZygoteProcess([sys.executable], with_path(tmp_path), ["odd"])
    try:
        with pytest.raises(NotWarm, match=why):
            wait_for(zygote._is_ready, 60, "the zygote's imports")
    finally:
        zygote.close()


RUNNER = """
import asyncio, pathlib, sys
from respawn_jobs.runner.kernel.kernel_process import KernelProcess
from respawn_environments.warm.warm_kernels import warm_kernels
from respawn_jobs.runner.kernel.ready_kernel import ReadyKernel
from respawn_environments.warm.warm_kernels import warm_kernels
from support.waiting import wait_for

async def kernel(directory):
    found = await KernelProcess.start("python3", directory=directory, log=directory / "log")
    await found.connect(60)
    return found

async def main(directory):
    await (await kernel(directory)).close()
    warm_kernels.prepare()
    [zygote] = warm_kernels._zygotes.values()
    wait_for(zygote._is_ready, 60, "the zygote's imports")
    warm = await kernel(directory)
    provisioner = warm.manager.provisioner
    print(zygote.pid, provisioner.pid, type(provisioner.process).__name__, flush=True)
    sys.stdin.read()

warm_kernels.enable()
asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def test_zygote_and_kernel_die_with_their_runner(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUNNER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as runner:
        assert runner.stdout is not None
        zygote, kernel, kind = runner.stdout.readline().split()
        assert kind == "KernelOfZygote"
        runner.kill()
    wait_for(lambda: not runs(int(zygote)) and not runs(int(kernel)), 30, "the end of zygote and kernel")


@pytest.mark.parametrize("number", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_kernels_that_were_used_and_closed_leave_nothing(
    warm: WarmKernels, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    sockets = Path(tempfile.mkdtemp(prefix="rs-", dir="/tmp"))  # of a short name, as addresses of sockets are
    monkeypatch.setattr(private_sockets, "_parents", lambda: iter([sockets]))

    async def printing(kernel: KernelProcess) -> str:
        assert of_zygote(kernel)
        assert list(sockets.iterdir())
        return await printed(kernel, "print(sum(range(10)))")

    asyncio.run(using(tmp_path, look))
    ready(warm)
    asyncio.run(using(tmp_path, printing))
    [zygote] = warm._zygotes.values()
    before = _held_by(os.getpid()), _held_by(zygote.pid), set(temporary.rglob("*"))
    for _ in range(number):
        assert asyncio.run(using(tmp_path, printing)) == "45\n"
    wait_for(
        lambda: (_held_by(os.getpid()), _held_by(zygote.pid)) == before[:2], 30, "the end of the last kernel"
    )
    assert set(temporary.rglob("*")) == before[2]
    sockets.rmdir()  # which nothing is left in


def _held_by(pid: int) -> tuple[int, int]:
    """Return how many descriptors and how many children a process has."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), sum(len(one.read_text().split()) for one in children)
