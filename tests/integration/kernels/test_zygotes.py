"""Zygotes that are slow, silent, killed, idle or of another version, and files beside what they import."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from respawn_environments.warm import zygote as zygotes
from respawn_environments.warm.forked_kernel import KernelOfZygote
from respawn_environments.warm.hidden_modules import HiddenModules
from respawn_environments.warm.orders import PROTOCOL, Order, hear
from respawn_environments.warm.warm_kernels import WarmKernels
from respawn_environments.warm.zygote_process import (
    NeverWarm,
    NoAnswer,
    NotWarm,
    ZygoteProcess,
)
from support.waiting import wait_for
from support.warm import ready, warm, with_path

__all__ = ["warm"]

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f", "none.json"]


def fork(warm: WarmKernels, directory: Path, environment: dict[str, str]) -> None:
    """Have a kernel forked, and end it."""
    with (directory / "log").open("wb") as log:
        kernel = KernelOfZygote(warm.fork(COMMAND, str(directory), environment, log.fileno()))
    kernel.kill()
    kernel.wait()


def refused(warm: WarmKernels, directory: Path, environment: dict[str, str]) -> NotWarm:
    with pytest.raises(NotWarm) as raised:
        fork(warm, directory, environment)
    return raised.value


@contextmanager
def importing(
    environment: dict[str, str], *names: str, program: tuple[str, ...] = ()
) -> Iterator[ZygoteProcess]:
    made = ZygoteProcess([sys.executable, *program], environment, names)
    try:
        yield made
    finally:
        made.close()


def test_one_that_was_killed_while_it_imported_is_tried_again(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(os.environ)
    refused(warm, tmp_path, environment)
    warm.prepare()
    [first] = warm._zygotes.values()
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: first.ended, 30, "the end of the zygote")
    for _ in range(2):
        error = refused(warm, tmp_path, environment)
        assert "the zygote is gone" in str(error)
        assert not isinstance(error, NeverWarm), "it is for a while alone"
    warm.prepare()
    assert not warm._zygotes
    for refusal in warm._refused.values():
        assert refusal.pause == 5.0
        refusal.until = 0.0  # the pause is over
    refused(warm, tmp_path, environment)
    ready(warm)
    fork(warm, tmp_path, environment)
    assert not warm._refused


def test_one_whose_imports_raise_is_not_tried_again(warm: WarmKernels, tmp_path: Path) -> None:
    (tmp_path / "respawn.py").write_text("raise ValueError('broken')")
    environment = with_path(tmp_path)
    refused(warm, tmp_path, environment)
    warm.prepare()
    wait_for(lambda: "broken" in str(refused(warm, tmp_path, environment)), 60, "the zygote's imports")
    assert isinstance(refused(warm, tmp_path, environment), NeverWarm)
    warm.prepare()
    assert not warm._zygotes


def test_one_that_does_not_answer_in_time_is_kept_until_it_is_silent_thrice(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(os.environ)
    refused(warm, tmp_path, environment)
    ready(warm)
    [zygote] = warm._zygotes.values()

    def silent() -> None:
        with monkeypatch.context() as patched:
            patched.setattr("respawn_environments.warm.zygote_process._ANSWER_SECONDS", 0.1)
            assert isinstance(refused(warm, tmp_path, environment), NoAnswer)
        for refusal in warm._refused.values():
            refusal.until = 0.0

    os.kill(zygote.pid, signal.SIGSTOP)
    silent()
    os.kill(zygote.pid, signal.SIGCONT)
    fork(warm, tmp_path, environment)
    assert warm.latest is zygote
    os.kill(zygote.pid, signal.SIGSTOP)
    for _ in range(3):
        assert list(warm._zygotes.values()) == [zygote]
        silent()
    assert not warm._zygotes


def test_one_that_is_ended_while_it_is_asked_leads_to_a_plain_start(
    warm: WarmKernels, tmp_path: Path
) -> None:
    environment = dict(os.environ)
    refused(warm, tmp_path, environment)
    warm.prepare()
    [zygote] = warm._zygotes.values()
    zygote.close()  # the main thread does, of a server that starts another kernel meanwhile
    error = refused(warm, tmp_path, environment)
    assert str(error) == "the zygote was ended meanwhile"
    assert not isinstance(error, NeverWarm), "another one may be asked at once"
    assert not warm._refused
    assert "the zygote is gone" in zygote.with_last_words(NotWarm("the zygote is gone"))


def test_one_that_fails_takes_no_other_with_it_that_has_come_into_its_place(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(os.environ)
    refused(warm, tmp_path, environment)
    warm.prepare()
    [(want, first)] = warm._zygotes.items()

    def fails(*_: object) -> int:
        warm._dismiss(want)
        warm._wanted.append(want)
        warm.prepare()
        raise NotWarm("it is gone")

    monkeypatch.setattr(first, "fork", fails)
    assert str(refused(warm, tmp_path, environment)) == "it is gone"
    [second] = warm._zygotes.values()
    assert second is not first
    assert not second.ended


def test_an_order_that_is_too_long_to_be_sent_is_said_to_be_so_and_not_tried_again(
    warm: WarmKernels, tmp_path: Path
) -> None:
    environment = {**os.environ, "LONG": "x" * 100_000, "LONGER": "y" * 110_000}
    refused(warm, tmp_path, environment)
    ready(warm)
    error = refused(warm, tmp_path, environment)
    assert "the kernel's command and variables have more than 200,000 bytes" in str(error)
    warm.prepare()
    assert not warm._zygotes


def test_the_one_that_was_used_least_recently_goes_first(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm._enabled = False
    monkeypatch.setenv("RESPAWN_WARM_KERNELS", "2")
    warm.enable()
    first, second, third = ({**os.environ, "OMP_NUM_THREADS": number} for number in "123")
    for environment in (first, second):
        refused(warm, tmp_path, environment)
    ready(warm)
    for environment in (second, first):
        fork(warm, tmp_path, environment)
    refused(warm, tmp_path, third)
    ready(warm)
    assert [dict(one.environment)["OMP_NUM_THREADS"] for one in warm._zygotes] == ["1", "3"]


def test_none_is_started_where_they_are_switched_off(
    warm: WarmKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm._enabled = False
    monkeypatch.setenv("RESPAWN_WARM_KERNELS", "no")
    warm.enable()
    assert "switched off" in str(refused(warm, tmp_path, dict(os.environ)))
    warm.prepare()
    assert not warm._zygotes


def test_one_whose_imports_hang_ends_by_itself(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(600)")
    source = Path(zygotes.__file__).read_text().replace("_IMPORT_SECONDS = 600.0", "_IMPORT_SECONDS = 0.5")
    program = ("-c", f"import sys; del sys.argv[1:3]; exec({source!r})")
    with importing(with_path(tmp_path), "hangs", program=program) as zygote:
        wait_for(lambda: zygote.ended, 60, "its end")
        with pytest.raises(NeverWarm) as raised:
            zygote._is_ready()
        assert "its imports took too long" in zygote.with_last_words(raised.value)


def test_a_rehearsal_that_hangs_is_ended(tmp_path: Path) -> None:
    code = (
        "import time; from respawn_environments.warm import rehearsal\n"
        "rehearsal._SECONDS = 0.2; rehearsal._come_up = lambda: time.sleep(600)\n"
        "print(rehearsal.modules_of_a_start())"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)
    assert printed == "Rehearsed(modules=[], magics=[])\n"


def test_one_that_nobody_asks_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zygotes, "_IDLE_SECONDS", 0.05)
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        assert zygotes.Zygote(its, {}, HiddenModules()).serve() is None


def test_a_file_beside_what_is_imported_does_not_matter_and_one_that_hides_it_does(tmp_path: Path) -> None:
    first, packages = tmp_path / "first", tmp_path / "packages"
    for directory in (first, packages):
        directory.mkdir()
    (packages / "helper.py").write_text("VALUE = 1")
    path = {**with_path(packages)}
    path["PYTHONPATH"] = f"{first}{os.pathsep}{path['PYTHONPATH']}"
    with importing(path, "helper") as zygote:
        wait_for(zygote._is_ready, 60, "the zygote's imports")
        (first / "rows.csv").write_text("1,2")
        (packages / "other.py").write_text("")
        zygote.check()
        (first / "helper.py").write_text("VALUE = 2")
        with pytest.raises(NotWarm, match=r"helper would be imported from another place, since .*first"):
            zygote.check()
        (first / "helper.py").unlink()
        zygote.check()


def told(zygote: ZygoteProcess, packet: bytes, *descriptors: int) -> tuple[socket.socket, dict[str, Any]]:
    """Send what another version might, and return the gate with the first answer."""
    gate, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gate.settimeout(60)
    with other:
        socket.send_fds(zygote._end, [packet], [*descriptors, other.fileno()])
    fields, _ = hear(gate)
    assert fields is not None
    return gate, fields


def test_versions_are_said_and_what_another_one_says_is_answered(tmp_path: Path) -> None:
    order = Order(["-f", "none.json"], str(tmp_path), dict(os.environ), os.getpid())
    with importing(dict(os.environ)) as zygote, (tmp_path / "log").open("wb") as log:
        wait_for(zygote._is_ready, 60, "the zygote's imports")
        for nonsense in (b'{"later": 1}', b"no JSON", b'["list"]'):
            gate, answer = told(zygote, nonsense)
            gate.close()
            assert answer["protocol"] == PROTOCOL
            assert "the order is not understood" in answer["problem"]
        later = {**asdict(order), "until": zygotes.time.monotonic() + 600, "priority": 3}
        gate, answer = told(zygote, json.dumps(later).encode(), log.fileno())
        gate.close()  # nobody takes it, and so it ends
        assert answer["pid"] is not None
        zygote.check()


def test_one_of_another_protocol_is_not_asked() -> None:
    later = "import functools\nAnswer = functools.partial(Answer, protocol=2)\n"
    source = Path(zygotes.__file__).read_text().replace("if __name__", f"{later}if __name__")
    program = ("-c", f"import sys; del sys.argv[1:3]; exec({source!r})")
    with (
        importing(dict(os.environ), program=program) as zygote,
        pytest.raises(NeverWarm, match="speaks protocol 2, and this process 1"),
    ):
        wait_for(zygote._is_ready, 60, "the zygote's imports")
