"""Where the sockets of a kernel lie: private, near, of a short name, and gone with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_environments import private_sockets
from respawn_environments.kernel_variables import PLACES, kernel_environment


@pytest.fixture
def near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for temporary files with a short path, the only one that there is."""
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as directory:
        place = Path(directory)
        monkeypatch.setattr(private_sockets, "_parents", lambda: iter([tmp_path / ("long" * 20), place]))
        yield place


def test_a_directory_is_private_and_short_enough(near: Path) -> None:
    made = private_sockets.make_directory()
    assert made.parent == near
    assert made.stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(f"{private_sockets.address(made)}-65535")) < private_sockets.MAX_BYTES
    assert private_sockets.was_made_here(private_sockets.address(made))
    assert not private_sockets.was_made_here("127.0.0.1")
    private_sockets.remove(made)
    private_sockets.remove(made)
    assert not list(near.iterdir())


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "lustre", ""])
def test_none_is_made_where_the_file_system_may_be_a_networks(
    near: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(private_sockets, "file_system", lambda _: kind)
    with pytest.raises(private_sockets.NoPlace):
        private_sockets.make_directory()
    assert not list(near.iterdir())


def test_the_file_system_of_a_directory_is_that_of_the_nearest_mount(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"30 22 0:40 / {tmp_path} rw - nfs4 server:/home rw\n"
        f"31 30 0:41 / {tmp_path}/a\\040b rw - tmpfs tmpfs rw\n"
        f"32 22 0:42 / {tmp_path}/Büro rw - cifs //server/share rw\n"
    ).encode()
    # Names are bytes (path_resolution(7)): one that is no UTF-8 is somebody's mount, too.
    other = b"33 22 0:43 / /media/B\xfcro rw - vfat /dev/sdb1 rw\n"
    monkeypatch.setattr(Path, "read_bytes", lambda _: other + text)
    assert private_sockets.file_system(Path("/usr")) == "ext4"
    assert private_sockets.file_system(tmp_path / "home") == "nfs4"
    assert private_sockets.file_system(tmp_path / "a b" / "c") == "tmpfs"
    assert private_sockets.file_system(tmp_path / "Büro" / "c") == "cifs"
    assert private_sockets.file_system(Path(os.fsdecode(b"/media/B\xfcro"))) == "vfat"
    assert private_sockets.file_system(Path(f"{tmp_path}2")) == "ext4"


def test_what_a_killed_server_left_is_removed_once_it_is_old(near: Path) -> None:
    old, young = private_sockets.make_directory(), private_sockets.make_directory()
    (old / "s-1").touch()
    os.utime(old, (0, 0))
    private_sockets.remove_abandoned()
    assert list(near.iterdir()) == [young]


def test_a_directory_that_its_owner_holds_is_kept_until_the_owner_is_gone(near: Path) -> None:
    made = private_sockets.make_directory()
    held = private_sockets.hold(made)
    os.utime(made, (0, 0))
    private_sockets.remove_abandoned()
    assert list(near.iterdir()) == [made]
    os.close(held)
    private_sockets.remove_abandoned()
    assert not list(near.iterdir())


def test_a_directory_that_is_gone_is_made_again_and_no_other_is_taken_for_it(near: Path) -> None:
    made = private_sockets.make_directory()
    private_sockets.remove(made)
    private_sockets.make_again(made)
    private_sockets.make_again(made)
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o755)
    with pytest.raises(PermissionError, match="is not private any more"):
        private_sockets.make_again(made)
    private_sockets.remove(made)
    made.symlink_to(near)
    with pytest.raises(PermissionError, match="is not private any more"):
        private_sockets.make_again(made)


def test_a_servers_kernel_knows_its_person_and_gets_no_token() -> None:
    server = {
        "JUPYTERHUB_USER": "ada",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
        "JUPYTERHUB_API_TOKEN": "secret",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": "x",
        "JUPYTER_TOKEN": "secret",
        "RESPAWN_TOKEN": "secret",
        "AWS_PROFILE": "mine",
    }
    assert kernel_environment(server, also=PLACES).keys() == {
        "JUPYTERHUB_USER",
        "JUPYTERHUB_SERVICE_PREFIX",
        "AWS_PROFILE",
    }
