"""What a provisioner and a zygote do when the system refuses something, or takes it away."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from respawn_environments import private_sockets
from respawn_environments.provisioner import RespawnProvisioner
from respawn_environments.warm import fork_safety
from respawn_environments.warm.hidden_modules import HiddenModules
from respawn_environments.warm.zygote_process import ZygoteProcess


def test_a_descriptor_that_holds_sockets_is_closed_once_when_it_cannot_be_held_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    spec = KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher"], display_name="x", language="python")
    kernel = RespawnProvisioner(kernel_spec=spec, parent=AsyncKernelManager())
    kernel._directory = private_sockets.make_directory()
    kernel._hold = held = private_sockets.hold(kernel._directory)
    monkeypatch.setattr(private_sockets, "hold", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        asyncio.run(kernel.pre_launch())
    assert (kernel._hold, kernel._directory) == (None, None)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held)


def test_a_zygote_that_cannot_keep_what_it_writes_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[socket.socket] = []

    def pair(*kind: Any) -> tuple[socket.socket, socket.socket]:
        made.extend(usual(*kind))
        return made[-2], made[-1]

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    usual = socket.socketpair
    monkeypatch.setattr(socket, "socketpair", pair)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OSError, match="No space left"):
        ZygoteProcess([sys.executable], {})
    assert [one.fileno() for one in made] == [-1] * len(made)


def test_a_thread_that_ends_while_its_children_are_listed_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Path("/proc/self/task/0/children")
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    assert not gone.exists()
    assert fork_safety._children() == []


def test_what_an_import_brings_is_hidden_when_it_fails_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brought_first.py").write_text(
        "import warnings; warnings.simplefilter('ignore', BytesWarning)"
    )
    (tmp_path / "fails_then.py").write_text("import brought_first\nraise ImportError('no such library')")
    monkeypatch.syspath_prepend(str(tmp_path))
    before: list[Any] = list(warnings.filters)
    hidden = HiddenModules()
    try:
        with pytest.raises(ImportError, match="no such library"):
            hidden.load(["fails_then"])
        assert "brought_first" not in sys.modules
        assert "brought_first" in hidden.modules
        assert list(warnings.filters) == before
    finally:
        sys.meta_path.remove(hidden)
