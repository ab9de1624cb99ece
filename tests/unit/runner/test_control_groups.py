"""Control groups of both versions, on a tree of files as Linux shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from respawn_jobs.host.control_groups import ControlGroup, Controller, make_group
from respawn_jobs.host.process_tree import started
from respawn_kernels.exchange.messages import GROUP_PREFIX

FIRST = "5:cpu,cpuacct:/runner\n4:memory:/slice/runner\n3:pids:/runner\n0::/\n"
SECOND = "0::/service.slice/runner\n"
ALL: list[Controller] = ["memory", "pids", "cpu"]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    for own in ("memory/slice/runner", "pids/runner", "cpu,cpuacct/runner"):
        (tmp_path / own).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def second(tmp_path: Path) -> Path:
    (tmp_path / "service.slice" / "runner").mkdir(parents=True)
    (tmp_path / "service.slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    os.setxattr(tmp_path / "service.slice", "user.delegate", b"1")
    return tmp_path


def made(root: Path, own: str, controllers: list[Controller] = ALL) -> ControlGroup:
    group = make_group("7", controllers, root=root, own=own)
    assert group is not None
    return group


def place(parent: Path) -> Path:
    (found,) = parent.glob(f"{GROUP_PREFIX}*")
    return found


def test_the_first_version_makes_a_group_below_the_runners_for_each_controller(first: Path) -> None:
    group = made(first, FIRST)
    memory, pids = place(first / "memory/slice/runner"), place(first / "pids/runner")
    cpu = place(first / "cpu,cpuacct/runner")
    (memory / "memory.limit_in_bytes").write_text("9223372036854771712")
    group.add(4711)
    group.limit_memory(400 << 20)
    group.limit_processes(99)
    group.limit_cpus(1.5)
    assert {(one / "cgroup.procs").read_text() for one in (memory, pids, cpu)} == {"4711"}
    assert (memory / "memory.limit_in_bytes").read_text() == str(400 << 20)
    assert (pids / "pids.max").read_text() == "99"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "150000"
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (memory / "memory.max_usage_in_bytes").write_text("419430400\n")
    assert (group.version, group.memory_kills(), group.memory_peak()) == ("cgroup_v1", 2, 400 << 20)
    group.release(4711)
    assert (first / "memory/slice/runner/cgroup.procs").read_text() == "4711"


def test_the_second_version_makes_one_group_beside_the_runners(second: Path) -> None:
    group = made(second, SECOND)
    here = place(second / "service.slice")
    group.add(4711)
    group.limit_memory(400 << 20)
    group.limit_processes(99)
    group.limit_cpus(0.5)
    files = ("cgroup.procs", "memory.max", "memory.swap.max", "pids.max", "cpu.max")
    assert [(here / name).read_text() for name in files] == [
        "4711",
        str(400 << 20),
        "0",
        "99",
        "50000 100000",
    ]
    (here / "memory.events").write_text("low 0\nhigh 0\nmax 31\noom 1\noom_kill 1\noom_group_kill 0\n")
    (here / "memory.peak").write_text("419430400\n")
    (here / "pids.events").write_text("max 3\n")
    assert (group.version, group.memory_kills(), group.refused_forks()) == ("cgroup_v2", 1, 3)
    group.release(4711)
    assert (second / "service.slice/runner/cgroup.procs").read_text() == "4711"


@pytest.mark.parametrize("mark", [b"0", None])
def test_nothing_is_made_in_a_group_that_was_not_delegated(second: Path, mark: bytes | None) -> None:
    """By root neither, who may write there: the kernel would leave its service's group."""
    os.removexattr(second / "service.slice", "user.delegate")
    if mark is not None:
        os.setxattr(second / "service.slice", "user.delegate", mark)
    assert make_group("7", ALL, root=second, own=SECOND) is None
    assert not list(second.rglob(f"{GROUP_PREFIX}*"))


def test_a_group_without_a_say_in_cores_says_so(second: Path) -> None:
    with pytest.raises(OSError, match="no controller 'cpu'"):
        made(second, SECOND, ["memory"]).limit_cpus(1)


def test_controllers_that_are_not_handed_down_are_asked_for(second: Path) -> None:
    control = second / "service.slice" / "cgroup.subtree_control"
    control.write_text("memory\n")
    made(second, SECOND)
    assert control.read_text() == "+pids +cpu"


@pytest.mark.parametrize(
    "own", ["0::/\n", "0::/elsewhere/runner\n", "4:memory:/slice/runner\n", "nonsense", ""]
)
def test_where_no_group_can_be_made_nothing_is_left(first: Path, own: str) -> None:
    assert make_group("7", ALL, root=first, own=own) is None
    assert not list(first.rglob(f"{GROUP_PREFIX}*"))


def test_a_group_that_cannot_be_made_whole_is_not_made(first: Path) -> None:
    (first / "pids" / "runner").rmdir()
    assert make_group("7", ALL, root=first, own=FIRST) is None
    assert not list(first.rglob(f"{GROUP_PREFIX}*"))


def test_groups_of_runners_that_are_gone_are_removed_and_those_of_others_stay(second: Path) -> None:
    parent = second / "service.slice"
    gone = parent / f"{GROUP_PREFIX}{os.getpid()}-1-7"  # the number is ours, and was another process's before
    living = parent / f"{GROUP_PREFIX}{os.getppid()}-{started(os.getppid())}-7"
    gone.mkdir()
    living.mkdir()
    group = made(second, SECOND)
    assert not gone.exists()
    assert living.exists()
    assert group.remove()
