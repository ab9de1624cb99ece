"""What processes use, as /proc tells it of this process and its children."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from respawn_jobs.host import process_tree

_WAITS = "import sys; print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _WAITS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_a_family_is_a_process_with_all_below_it(child: subprocess.Popen[str]) -> None:
    assert child.pid in process_tree.children_of(os.getpid())
    assert process_tree.family(child.pid, os.getpid()) == [child.pid]
    assert child.pid in process_tree.with_descendants([os.getpid()])


def test_what_a_process_uses_is_counted_and_stays_when_its_child_has_ended() -> None:
    before = process_tree.usage([os.getpid()])
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    burns = "import time\nwhile time.process_time() < 0.3: pass\nopen('/dev/null', 'w').write('x' * 100_000)"
    subprocess.run([sys.executable, "-c", burns], check=True)
    after = process_tree.usage([os.getpid()])
    assert 0.3 < after.cpu_seconds - before.cpu_seconds < 3
    assert after.written_bytes - before.written_bytes >= 100_000


def test_memory_that_is_shared_counts_once(child: subprocess.Popen[str]) -> None:
    memory, resident = process_tree.memory(child.pid), process_tree.resident_bytes(child.pid)
    assert memory is not None
    assert resident is not None
    assert memory.measure == "pss"
    assert memory.private <= memory.total <= resident


def test_the_peak_starts_again_where_it_is_reset() -> None:
    takes = (
        "import sys\nx = bytearray(100_000_000); x[::4096] = b'x' * len(x[::4096]); del x\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", takes]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        before = process_tree.peak_bytes(child.pid)
        assert before is not None
        assert before > 100_000_000
        assert process_tree.reset_peak(child.pid)
        after = process_tree.peak_bytes(child.pid)
        assert after is not None
        assert after < 60_000_000
        child.kill()


def test_a_process_that_nobody_has_waited_for_has_its_time_and_no_memory() -> None:
    burns = "import time\nwhile time.process_time() < 0.1: pass"
    with subprocess.Popen([sys.executable, "-c", burns]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process_tree.usage([child.pid]).cpu_seconds >= 0.1
        assert process_tree.memory(child.pid) is None


def test_a_process_that_is_gone_has_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert process_tree.started(child.pid) is None
    assert process_tree.usage([child.pid]) == process_tree.ProcessUsage(0.0, 0, 0, 0, ())
    assert process_tree.memory(child.pid) is None
    assert process_tree.peak_bytes(child.pid) is None
    assert not process_tree.reset_peak(child.pid)


def test_the_memory_of_a_kernel_without_proportional_sizes_is_what_is_resident(
    child: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = process_tree._read

    def refused(path: str) -> bytes:
        if path.endswith("smaps_rollup"):
            raise PermissionError(path)
        return read(path)

    monkeypatch.setattr(process_tree, "_read", refused)
    memory = process_tree.memory(child.pid)
    assert memory == process_tree.Memory(process_tree.resident_bytes(child.pid) or 0, "rss")
