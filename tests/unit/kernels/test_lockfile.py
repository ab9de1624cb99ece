"""Locks: what is read from them, what is refused, what a new one has unlike the old."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_environments import own_wheel, programs
from respawn_environments.build import create
from respawn_environments.errors import EnvironmentFailed, InvalidEnvironment, NoInterpreter
from respawn_environments.lockfile import environment_hash, header, made_of, read_lock, versions_in
from respawn_environments.locking import lock
from respawn_environments.own_wheel import OwnWheel
from respawn_kernels.host.installed import marker_environment
from support.tiny_environments import locked, offline, source, wheel

TEXT = """\
# a comment
old-thing==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r environment.in
Old_Thing==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(TEXT)
    return path


def test_entries_have_name_version_hashes_and_marker(path: Path) -> None:
    old, new = read_lock(path)
    assert (old.name, old.version, old.hashes) == ("old-thing", "1.0", ("sha256:aa", "sha256:bb"))
    markers = {**marker_environment(), "python_full_version": "3.13.1"}
    assert [one.applies(markers) for one in (old, new)] == [False, True]
    assert versions_in(path) == {"old-thing": "1.0, 2.0"}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("numpy==2.0", "has no hash for 'numpy==2.0': `respawn kernels lock` writes them"),
        ("numpy>=2.0 --hash=sha256:aa", "does not pin 'numpy>=2.0' to one version"),
        ("-e . --hash=sha256:aa", "'-e .', which is no requirement"),
    ],
)
def test_an_entry_that_pins_nothing_is_refused_by_name(entry: str, says: str, path: Path) -> None:
    path.write_text(entry)
    with pytest.raises(InvalidEnvironment, match=r"requirements\.lock") as caught:
        read_lock(path)
    assert says in str(caught.value)


def test_the_hash_of_an_environment_is_of_lock_python_and_own_code(path: Path) -> None:
    known = {environment_hash(path, minor, own) for minor in ("3.12", "3.13") for own in (None, "aa", "bb")}
    assert len(known) == 6
    path.write_text(header("x", "0" * 16) + TEXT)
    assert environment_hash(path, "3.12", "aa") in known
    assert made_of(path) == "0" * 16


def test_the_same_code_makes_the_same_wheel_and_other_code_another(tmp_path: Path) -> None:
    one, same, other = (OwnWheel((("respawn/__init__.py", text),)) for text in (b"a", b"a", b"b"))
    assert one.digest == same.digest != other.digest
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    assert one.write(tmp_path / "1").read_bytes() == same.write(tmp_path / "2").read_bytes()
    assert one.version in one.write(tmp_path).name
    own = OwnWheel.of_this_code()
    assert {name.partition("/")[0] for name, _ in own.files} == set(own_wheel.PACKAGES)
    assert not [name for name, _ in own.files if name.endswith(".pyc") or "/images/" in name]


def test_a_lock_without_what_respawn_needs_or_of_another_definition_is_refused(tmp_path: Path) -> None:
    tiny = locked(tmp_path / "tiny", wheel(tmp_path / "wheels"))
    places = {"root": tmp_path / "envs", "prefix": tmp_path / "prefix"}
    with pytest.raises(
        InvalidEnvironment, match=r"not have what Respawn needs .*ipykernel.*kernels lock tiny"
    ):
        create(tiny, own=OwnWheel.of_this_code(), **places)
    changed = source(tmp_path / "tiny", requirements='["tiny-thing", "more"]')
    with pytest.raises(InvalidEnvironment, match=r"environment\.toml was changed after .*kernels lock tiny"):
        create(changed, **places)
    assert not (tmp_path / "envs").exists()


def test_a_python_that_is_not_there_or_not_allowed_is_told_before_anything_is_made(tmp_path: Path) -> None:
    made = wheel(tmp_path / "wheels")
    places = {"root": tmp_path / "envs", "prefix": tmp_path / "prefix"}
    with pytest.raises(NoInterpreter, match=r"'3\.97'.*found: 3"):
        create(locked(tmp_path / "tiny", made), python="3.97", **places)
    with pytest.raises(NoInterpreter, match=r"'3\.98'.*found: 3"):
        create(locked(tmp_path / "tiny", made, python="3.98"), **places)
    with pytest.raises(InvalidEnvironment, match=r"asks for Python 3\.98, and .* is 3\.\d+: name another"):
        create(locked(tmp_path / "tiny", made, python="3.98"), python="python3", **places)
    assert not (tmp_path / "envs").exists()


def test_lock_is_resolved_and_what_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_wheel, "requirements", list)
    offline(monkeypatch, tmp_path / "wheels")
    wheel(tmp_path / "wheels")
    tiny = source(tmp_path / "tiny")
    told: list[str] = []
    first = lock(tiny, progress=told.append)
    assert (first.is_new, first.packages, first.added) == (True, 1, {"tiny-thing": "1.0"})
    assert [one.version for one in read_lock(tiny.lock)] == ["1.0"]
    assert made_of(tiny.lock) == tiny.definition.digest
    assert str(tmp_path) not in tiny.lock.read_text()

    wheel(tmp_path / "wheels", version="2.0")
    wheel(tmp_path / "wheels", name="more")
    assert lock(tiny, progress=told.append).lines == []
    grown = source(tmp_path / "tiny", requirements='["tiny-thing", "more"]')
    assert lock(grown, progress=told.append).lines == ["+ more 1.0"]
    assert lock(tiny, upgrade=True, progress=told.append).lines == ["- more 1.0", "~ tiny-thing 1.0 → 2.0"]


def test_what_does_not_resolve_leaves_the_lock_and_tells_uvs_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_wheel, "requirements", list)
    offline(monkeypatch, tmp_path / "wheels")
    tiny = locked(tmp_path / "tiny", wheel(tmp_path / "wheels"))
    before = tiny.lock.read_bytes()
    with pytest.raises(
        EnvironmentFailed,
        match=r"(?s)environment\.toml cannot be resolved; the lock is as it was.*tiny-thing>3",
    ):
        lock(source(tmp_path / "tiny", requirements='["tiny-thing>3"]'), progress=lambda _: None)
    assert tiny.lock.read_bytes() == before


def test_without_uv_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_uv", lambda: None)
    with pytest.raises(EnvironmentFailed, match=r"made by uv, which is not here: .* -m pip install uv"):
        lock(source(tmp_path / "tiny"), progress=lambda _: None)
