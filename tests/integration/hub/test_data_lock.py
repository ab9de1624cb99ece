"""One service for each data directory; one whose hub is gone makes room for the next."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from respawn_hub.hub_config import data_lock
from respawn_hub.hub_config.data_lock import DataLock, Holder, holder_of
from respawn_jobs.errors import Conflict
from support.waiting import wait_for

pytestmark = pytest.mark.integration
_HOLD = """
import signal, sys, time
from pathlib import Path
from respawn_hub.hub_config.data_lock import DataLock, Holder
lock = DataLock(Path(sys.argv[1]))
def end(*_):
    lock.stopped_in_order()
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[3] == "deaf" else end)
lock.take(Holder.this_process(4321, "rep-first", int(sys.argv[2]) or None))
print("held", flush=True)
while True:
    time.sleep(0.05)
"""
HoldFor = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[HoldFor]:
    """Start a process that holds the directory, as the service of a hub with a given process."""
    started: list[subprocess.Popen[str]] = []

    def start(hub: int | None, *, deaf: bool = False) -> subprocess.Popen[str]:
        words = [str(tmp_path), str(hub or 0), "deaf" if deaf else "hears"]
        command = [sys.executable, "-c", _HOLD, *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def _me(hub: int | None) -> Holder:
    return Holder.this_process(5000, "rep-second", hub)


def _take(data: Path, me: Holder) -> Holder | None:
    """Take the lock and let go of it again."""
    lock = DataLock(data)
    try:
        return lock.take(me)
    finally:
        lock.release()


def _port(data: Path) -> int:
    holder = holder_of(data)
    assert holder is not None
    return holder.port


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_lock, "_TIME_LIMIT", 0.3)
    monkeypatch.setattr(data_lock, "_ASK_SECONDS", 0.2)
    monkeypatch.setattr(data_lock, "_ENDING_SECONDS", 1.0)


def test_a_service_whose_hub_is_gone_ends_for_the_next_one(hold: HoldFor, dead: int, tmp_path: Path) -> None:
    first = hold(dead)
    assert _take(tmp_path, _me(os.getpid())) is None, "it stopped in order"
    assert first.wait(10) == 0


def test_a_service_of_this_very_hub_ends_for_the_next_one(hold: HoldFor, tmp_path: Path) -> None:
    first = hold(os.getpid())
    _take(tmp_path, _me(os.getpid()))
    assert first.wait(10) == 0


def test_one_that_does_not_end_is_killed_and_its_replica_is_told(
    hold: HoldFor, dead: int, tmp_path: Path
) -> None:
    first = hold(dead, deaf=True)
    before = _take(tmp_path, _me(os.getpid()))
    assert before is not None
    assert before.replica == "rep-first"
    assert first.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("mine", [True, False])
def test_a_service_whose_hub_lives_is_left_alone_and_named(hold: HoldFor, tmp_path: Path, mine: bool) -> None:
    first = hold(os.getppid())
    with pytest.raises(Conflict, match=rf"process {first.pid}, port 4321.*RESPAWN_DATA") as refused:
        _take(tmp_path, _me(os.getpid() if mine else None))
    assert f"the hub of process {os.getppid()} started" in str(refused.value)
    assert first.poll() is None
    assert _port(tmp_path) == 4321


def test_a_replica_that_no_hub_started_is_left_alone(hold: HoldFor, tmp_path: Path) -> None:
    first = hold(None)
    with pytest.raises(Conflict, match="Stop that service"):
        _take(tmp_path, _me(os.getpid()))
    assert first.poll() is None


def test_a_service_on_another_machine_is_left_alone(tmp_path: Path, dead: int) -> None:
    elsewhere = {**asdict(_me(dead)), "host": "elsewhere", "pid": os.getpid()}
    (tmp_path / data_lock.FILE).write_text(json.dumps(elsewhere))
    with (tmp_path / data_lock.FILE).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="on elsewhere"):
            _take(tmp_path, _me(os.getpid()))


def test_a_stranger_with_the_number_of_a_holder_is_not_signalled(tmp_path: Path, dead: int) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time\ntime.sleep(600)"])
    try:
        record = {**asdict(_me(dead)), "pid": stranger.pid}
        (tmp_path / data_lock.FILE).write_text(json.dumps(record))
        with (tmp_path / data_lock.FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(Conflict):
                _take(tmp_path, _me(os.getpid()))
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_holder_is_told_to_the_next_one_and_holds_nothing(hold: HoldFor, tmp_path: Path) -> None:
    first = hold(os.getppid())
    first.kill()
    first.wait()
    before = _take(tmp_path, _me(None))
    assert before is not None
    assert (before.pid, before.replica) == (first.pid, "rep-first")


def test_one_that_ends_before_it_begins_tells_the_next_one_of_the_holder_before_it(
    hold: HoldFor, tmp_path: Path
) -> None:
    first = hold(os.getppid())
    first.kill()
    first.wait()
    lock = DataLock(tmp_path)
    lock.take(_me(None))
    lock.begun_nothing()
    lock.release()
    before = _take(tmp_path, _me(None))
    assert before is not None
    assert before.replica == "rep-first"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "\0" * 100])
def test_whatever_the_file_says_a_directory_that_nobody_holds_is_free(tmp_path: Path, text: str) -> None:
    (tmp_path / data_lock.FILE).write_text(text)
    assert holder_of(tmp_path) is None
    assert _take(tmp_path, _me(None)) is None


def test_the_lock_goes_with_the_process(hold: HoldFor, tmp_path: Path) -> None:
    first = hold(None)
    assert _port(tmp_path) == 4321
    first.kill()
    wait_for(lambda: holder_of(tmp_path) is None, 10, "the lock to go")
