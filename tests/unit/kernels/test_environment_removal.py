"""Environments that are listed, kept while somebody needs them, and removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from respawn_environments import catalog
from respawn_environments.catalog import environments
from respawn_environments.errors import EnvironmentInUse, EnvironmentMissing, InvalidEnvironment
from respawn_environments.removal import collect, remove, running_in
from support.played_environments import BUILT, kernelspec, played
from support.waiting import wait_for

MONTH = timedelta(days=30)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "envs"


def gone(root: Path, after: timedelta, **options: object) -> list[str]:
    pinned = options.pop("pinned", {})
    found = collect(root, unused_for=MONTH, now=BUILT + after, pinned=pinned, **options)  # type: ignore[arg-type]
    return [one.environment.name for one in found if one.environment]


def test_a_name_is_removed_with_its_kernel(root: Path, tmp_path: Path) -> None:
    made = played(root, "science", "a")
    spec = kernelspec(tmp_path / "prefix", "science", made)
    removal = remove("science", root=root, prefix=tmp_path / "prefix", pinned={})
    assert (removal.kernelspecs, removal.environment) == ([spec], made.directory)
    assert not spec.exists()
    assert not made.directory.exists()
    with pytest.raises(EnvironmentMissing, match=r"no environment 'science' .*there: none"):
        remove("science", root=root, prefix=tmp_path / "prefix", pinned={})


def test_what_somebody_needs_is_kept_and_named_unless_that_is_agreed_to(root: Path, tmp_path: Path) -> None:
    made = played(root, "science", "a")
    own, other = (kernelspec(tmp_path / prefix, "science", made) for prefix in ("prefix", "other"))
    pinned = {made.record.hash: ["user/ada/report"]}
    with pytest.raises(EnvironmentInUse) as caught:
        remove("science", root=root, prefix=tmp_path / "prefix", pinned=pinned)
    assert str(other) in str(caught.value)
    assert str(own) not in str(caught.value)
    assert "1 job pins it (user/ada/report)" in str(caught.value)
    assert own.exists()
    assert environments(root) == [made]
    remove("science", root=root, prefix=tmp_path / "prefix", pinned=pinned, force=True)
    assert not [path for path in (own, other, made.directory) if path.exists()]


def test_an_environment_in_which_a_process_runs_is_kept(root: Path, tmp_path: Path) -> None:
    made = played(root, "science", "a")
    made.python.unlink()
    made.python.symlink_to(sys.executable)
    with subprocess.Popen([made.python, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            # Between its exec and the setting of its arguments a process has an empty command line.
            wait_for(lambda: running_in(made.directory) == [process.pid])
            with pytest.raises(EnvironmentInUse, match=f"1 process runs in it .{process.pid}"):
                remove("science", root=root, prefix=tmp_path, pinned={})
            assert gone(root, 2 * MONTH) == []
        finally:
            process.kill()
    assert gone(root, 2 * MONTH) == [made.directory.name]


def test_older_versions_of_a_name_are_named_by_their_hash(root: Path, tmp_path: Path) -> None:
    old, new = played(root, "science", "a"), played(root, "science", "b", BUILT + MONTH)
    kernelspec(tmp_path, "science", new)
    assert [one.record.hash[0] for one in environments(root)] == ["b", "a"]
    with pytest.raises(
        InvalidEnvironment, match=r"stands for several environments.*bbbbbbbbbbbb, aaaaaaaaaaaa"
    ):
        remove("science", root=root, prefix=tmp_path / "elsewhere", pinned={})
    remove("aaaaaa", root=root, prefix=tmp_path, pinned={})
    assert environments(root) == [new]
    assert not old.directory.exists()


def test_a_kernel_whose_environment_is_gone_is_removed_alone(root: Path, tmp_path: Path) -> None:
    made = played(root, "science", "a")
    spec = kernelspec(tmp_path, "science", made)
    shutil.rmtree(made.directory)
    removal = remove("science", root=root, prefix=tmp_path, pinned={})
    assert (removal.kernelspecs, removal.environment) == ([spec], None)
    assert not spec.exists()


def test_an_environment_whose_python_is_gone_is_removed_collected_and_kept_like_others(
    root: Path, tmp_path: Path
) -> None:
    named, pinned, idle = (played(root, name, digit) for name, digit in zip("npi", "abc", strict=True))
    spec = kernelspec(tmp_path, "n", named)
    for one in (named, pinned, idle):
        one.python.unlink()
    assert environments(root) == []
    assert [one.works for one in environments(root, also_broken=True)] == [False] * 3
    jobs = {pinned.record.hash: ["user/ada/report"]}
    with pytest.raises(EnvironmentInUse, match="1 job pins it"):
        remove("p", root=root, prefix=tmp_path, pinned=jobs)
    removal = remove("n", root=root, prefix=tmp_path, pinned=jobs)
    assert (removal.kernelspecs, removal.environment) == ([spec], named.directory)
    assert gone(root, 2 * MONTH, pinned=jobs) == [idle.directory.name]
    assert environments(root, also_broken=True) == [pinned]


def test_the_lock_of_another_account_is_minded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def as_another_account(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_RDWR and path.exists():
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *mode)

    with catalog.alone(root, "a" * 64):
        monkeypatch.setattr(os, "open", as_another_account)
        with pytest.raises(BlockingIOError), catalog.alone(root, "a" * 64):
            pass
    with catalog.alone(root, "a" * 64):
        pass


def test_a_kernel_whose_environment_is_in_another_root_is_left_alone(root: Path, tmp_path: Path) -> None:
    made = played(tmp_path / "others", "science", "a")
    spec = kernelspec(tmp_path, "science", made)
    for force in (False, True):
        with pytest.raises(EnvironmentMissing, match=r"which is not in .*envs: name its place with --root"):
            remove("science", root=root, prefix=tmp_path, pinned={}, force=force)
    assert spec.exists()
    assert environments(tmp_path / "others") == [made]


def test_only_what_nobody_needs_and_nobody_used_is_collected(root: Path, tmp_path: Path) -> None:
    started, pinned, used, idle = (
        played(root, name, digit) for name, digit in zip("stui", "abcd", strict=True)
    )
    kernelspec(tmp_path, "s", started)
    catalog.mark_used(used.directory)
    moment = (BUILT + MONTH).timestamp()
    os.utime(used.directory / ".used", (moment, moment))
    jobs = {pinned.record.hash: ["user/ada/report"]}
    assert gone(root, MONTH - timedelta(hours=1), pinned=jobs) == []
    assert gone(root, MONTH, pinned=jobs, dry_run=True) == [idle.directory.name]
    assert gone(root, MONTH, pinned=jobs) == [idle.directory.name]
    assert gone(root, 2 * MONTH, pinned=jobs) == [used.directory.name]
    assert environments(root) == [started, pinned]


def test_what_a_build_left_is_collected_and_what_is_being_built_is_not(root: Path) -> None:
    left = root / f"left-{'a' * 12}"
    left.mkdir(parents=True)
    other = root / "something else"
    other.mkdir()
    with catalog.alone(root, "a" * 64):
        assert gone(root, timedelta(0)) == []
    assert gone(root, timedelta(0)) == [left.name]
    assert other.exists()


def test_a_damaged_record_does_not_count(root: Path) -> None:
    made = played(root, "science", "a")
    for damaged in (b"", b"{}", b'{"lock": "x", "project": null}'):
        (made.directory / ".complete").write_bytes(damaged)
        assert environments(root) == []
        assert catalog.with_hash(root, made.record.hash) is None
        assert gone(root, 2 * MONTH) == []
