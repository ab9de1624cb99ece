"""Reasons not to fork a kernel."""

from __future__ import annotations

import sys
import threading
import types

import pytest

from respawn_kernels.exchange.messages import Options
from respawn_kernels.fork import fork_safety
from respawn_kernels.fork.fork_safety import available_bytes, why_not_fork


def test_an_ordinary_process_may_be_forked() -> None:
    assert why_not_fork(0) is None


def test_a_job_may_forbid_it() -> None:
    assert why_not_fork(0, Options(fork=False)) == "the job's settings forbid forking"


def test_a_process_that_uses_cuda_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert "CUDA is initialized" in (why_not_fork(0) or "")


def test_memory_must_be_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "too little memory" in (why_not_fork(1 << 60) or "")
    assert "kernel alone takes" in (why_not_fork(0, Options(memory_mb=1)) or "")
    monkeypatch.setattr(fork_safety, "_group_available", lambda: iter([1000]))
    assert available_bytes() == 1000, "a control group may leave less than the machine"


def test_cells_must_run_in_the_main_thread() -> None:
    told: list[str | None] = []
    thread = threading.Thread(target=lambda: told.append(why_not_fork(0)))
    thread.start()
    thread.join()
    assert told == ["cells do not run in the kernel's main thread"]
