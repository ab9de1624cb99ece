"""A library adds a part of the session's state by an entry point."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_kernels.checkpoint.manifest import Manifest
from support.kernels import AGENT, running_kernel

pytestmark = pytest.mark.integration

LIBRARY = {
    "lib_of_tests/__init__.py": "level = 1\ndef set_level(value):\n    global level\n    level = value\n",
    "lib_of_tests/respawn.py": (
        "import lib_of_tests\n"
        "class Level:\n"
        "    name = '#lib_of_tests'\n"
        "    title = 'the level of the library'\n"
        "    def fingerprint(self): return lib_of_tests.level\n"
        "    def capture(self): return None if lib_of_tests.level == 1 else lib_of_tests.level\n"
        "    def restore(self, value, shell): lib_of_tests.set_level(value)\n"
        "class Broken(Level):\n"
        "    name = '#broken_of_tests'\n"
        "    def fingerprint(self): raise RuntimeError('no fingerprint')\n"
        "    def capture(self): raise RuntimeError('not today')\n"
    ),
    "lib_of_tests-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lib-of-tests\nVersion: 1.0\n",
    "lib_of_tests-1.0.dist-info/entry_points.txt": (
        "[respawn.session_state]\n"
        "lib_of_tests = lib_of_tests.respawn:Level\n"
        "broken_of_tests = lib_of_tests.respawn:Broken\n"
        "absent_of_tests = nowhere_of_tests:Probe\n"
    ),
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution in a path of its own, as pip installs one."""
    for name, text in LIBRARY.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


@pytest.mark.usefixtures("library")
def test_probe_of_a_library_is_captured_and_restored(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r})")
        assert not kernel.value("'lib_of_tests' in __import__('sys').modules")
        kernel.run("import lib_of_tests; lib_of_tests.set_level(7)")
        kernel.silent(f"{AGENT}.checkpoint(0)")
    manifest = Manifest.from_json((spool / "manifests" / "0.json").read_bytes())
    unstored = {item.name: item.reason for item in manifest.unstored}
    assert unstored == {"#broken_of_tests": "RuntimeError: not today"}
    assert "#lib_of_tests" in [frame.name for group in manifest.groups for frame in group.frames]
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.restore({str(spool)!r}, 0)")
        assert kernel.value("lib_of_tests.level") == 7
