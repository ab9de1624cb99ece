"""What is wrong with an environment or a limit is named by the command, before anything is replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from respawn_environments import own_wheel
from support.ledgers import command
from support.notebooks import notebook, text
from support.tiny_environments import locked, offline, source, wheel
from support.waiting import wait_for

__all__ = ["command"]
pytestmark = [pytest.mark.integration, pytest.mark.long]

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kernels(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `respawn kernels …` on environments of small wheels below `tmp_path`."""
    offline(monkeypatch, tmp_path / "wheels")
    monkeypatch.setattr(own_wheel, "requirements", list)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "envs"))
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    # What kernels need is not in the tiny environment: they have it of this interpreter.
    monkeypatch.setenv(
        "PYTHONPATH",
        os.pathsep.join([os.environ.get("PYTHONPATH", ""), sysconfig.get_paths()["purelib"]]),
    )
    locked(tmp_path / "images" / "tiny", wheel(tmp_path / "wheels"))
    return command


def built(kernels: Command, tmp_path: Path) -> tuple[int, str, str]:
    prefix = str(tmp_path / "prefix")
    return kernels("kernels", "build", "tiny", "--prefix", prefix, "--python", sys.executable)


def everything(*places: Path) -> dict[str, bytes]:
    """Return each file below some places with its bytes."""
    return {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}


def test_a_lock_that_does_not_resolve_leaves_lock_and_kernel(kernels: Command, tmp_path: Path) -> None:
    assert built(kernels, tmp_path)[0] == 0
    images = tmp_path / "images" / "tiny"
    source(images, requirements='["tiny-thing>3"]')
    before = everything(images, tmp_path / "prefix", tmp_path / "envs")
    status, _, err = kernels("kernels", "lock", "tiny")
    assert status != 0
    assert "images/tiny/environment.toml cannot be resolved; the lock is as it was" in err
    assert "tiny-thing>3" in err
    status, _, err = built(kernels, tmp_path)
    assert status != 0
    assert "environment.toml was changed after requirements.lock was made" in err
    assert everything(images, tmp_path / "prefix", tmp_path / "envs") == before


def test_a_file_without_the_hash_of_the_lock_leaves_the_kernel(kernels: Command, tmp_path: Path) -> None:
    assert built(kernels, tmp_path)[0] == 0
    locked(tmp_path / "images" / "tiny", wheel(tmp_path / "wheels", version="2.0"))
    with (tmp_path / "wheels" / "tiny_thing-2.0-py3-none-any.whl").open("ab") as file:
        file.write(b"\0")
    before = everything(tmp_path / "prefix"), sorted(path.name for path in (tmp_path / "envs").iterdir())
    status, out, err = built(kernels, tmp_path)
    assert status != 0
    assert "tiny" in err
    assert "sha256" in err
    assert "trying Python" not in out
    assert everything(tmp_path / "prefix") == before[0]
    assert sorted(path.name for path in (tmp_path / "envs").iterdir()) == before[1]


@pytest.fixture
def waiting(kernels: Command, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
    """A run in the tiny environment that has begun, its file to begin and the file that it waits for."""
    assert built(kernels, tmp_path)[0] == 0
    begun, go = tmp_path / "begun", tmp_path / "go"
    waits = f"import os, time\nopen({str(begun)!r}, 'w').close()\n"
    waits += f"while not os.path.exists({str(go)!r}):\n    time.sleep(0.05)"
    cells = [waits, "import tiny_thing\nprint(tiny_thing.value)"]
    (tmp_path / "report.ipynb").write_text(text(notebook(*cells, kernel="respawn-tiny")))
    respawn = str(Path(sys.executable).with_name("respawn"))
    running = [respawn, "run", "report.ipynb", "-o", "out.ipynb"]
    with subprocess.Popen(
        running, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process, begun, go
        go.touch()


def test_an_environment_is_not_removed_while_a_run_or_a_job_needs_it(
    kernels: Command, waiting: tuple[subprocess.Popen[str], Path, Path], tmp_path: Path
) -> None:
    process, begun, go = waiting
    wait_for(lambda: begun.exists() or process.poll() is not None, 120, "the run")
    assert process.poll() is None, process.communicate()[0]
    before = everything(tmp_path / "prefix", tmp_path / "envs")
    remove = ["kernels", "remove", "tiny", "--prefix", str(tmp_path / "prefix")]
    status, _, err = kernels(*remove)
    assert status != 0
    assert "is needed: 1 job pins it" in err
    assert "run in it (" in err or "runs in it (" in err
    assert "Nothing was removed" in err
    assert everything(tmp_path / "prefix", tmp_path / "envs").keys() == before.keys()
    go.touch()
    assert process.communicate(timeout=120)[0] is not None
    assert process.returncode == 0
    assert "3\\n" in (tmp_path / "out.ipynb").read_text()

    assert kernels(*remove, "--force")[0] == 0
    (directory,) = {Path(path).parents[0] for path in before if path.endswith("/.complete")}
    assert not directory.exists()
    status, _, err = kernels("run", "report.ipynb")
    assert status != 0
    assert "respawn-tiny" in err, "the kernel that is gone is named"


def test_a_memory_limit_below_what_the_kernel_needs_is_named_by_the_command(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "large.py").write_text("large = b'x' * (80 << 20)")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("RESPAWN_DATA", str(tmp_path / "data"))
    (tmp_path / "one.ipynb").write_text(text(notebook("open('executed', 'w').close()")))
    status, _, err = command("run", "one.ipynb", "--memory", "3M")
    assert (status, "64" in err) == (2, True)
    status, out, err = command("run", "one.ipynb", "--memory", "100MiB")
    assert status != 0
    assert "MiB before its first cell, and may take 100 MiB" in out + err
    assert not (tmp_path / "executed").exists()
