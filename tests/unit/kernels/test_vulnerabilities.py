"""Known vulnerabilities are named where pip-audit can tell; else it is said that nobody looked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_environments import vulnerabilities
from respawn_environments.vulnerabilities import Audit, Vulnerability, audit

MARKERS = {"python_full_version": "3.13.1"}
HASH = f"--hash=sha256:{'0' * 64}"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock with two versions of a package, for two Pythons, and one that is built from source."""
    path = tmp_path / "requirements.lock"
    path.write_text(
        "--no-binary flask\n"
        f"flask==0.5 {HASH}\n"
        f"numpy==2.0 ; python_full_version < '3.12' {HASH}\n"
        f"numpy==2.1 ; python_full_version >= '3.12' {HASH}\n"
    )
    return path


@pytest.fixture
def pip_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what puts a pip-audit on PATH that writes a document, and ends with 1, as for findings."""

    def put(document: str) -> None:
        program = tmp_path / "bin" / "pip-audit"
        program.parent.mkdir()
        (tmp_path / "document.json").write_text(document)
        program.write_text(
            "#!/bin/sh\n"
            f'cp "$2" {tmp_path}/asked.txt\n'
            'while [ "$1" != --output ]; do shift; done\n'
            f'[ ! -s {tmp_path}/document.json ] || cp {tmp_path}/document.json "$2"\n'
            "echo the index does not answer >&2\nexit 1\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return put


def test_what_is_known_is_named_with_the_version_that_fixes_it(pip_audit, lock: Path) -> None:
    vulnerable = {
        "name": "flask",
        "version": "0.5",
        "vulns": [{"id": "PYSEC-2019-179", "fix_versions": ["1.0"]}],
    }
    clean = {"name": "numpy", "version": "2.1", "vulns": []}
    pip_audit(json.dumps({"dependencies": [vulnerable, clean]}))
    found = Vulnerability("flask", "0.5", "PYSEC-2019-179", ("1.0",))
    assert audit(lock, MARKERS) == Audit((found,), None)
    asked = (lock.parent / "asked.txt").read_text().splitlines()
    assert asked == [f"flask==0.5 {HASH}", f"numpy==2.1 {HASH}"]


def test_what_it_could_not_look_up_is_told_as_not_checked(pip_audit, lock: Path) -> None:
    unknown = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}
    pip_audit(json.dumps({"dependencies": [unknown, {"name": "numpy", "version": "2.1", "vulns": []}]}))
    looked = audit(lock, MARKERS)
    assert looked.found == ()
    assert looked.not_checked == "pip-audit finds nothing on 1 of 2 packages where it looks (ours)"


@pytest.mark.parametrize("document", ["", "{}", "no document"])
def test_an_audit_that_fails_is_told_with_its_reason(document: str, pip_audit, lock: Path) -> None:
    pip_audit(document)
    assert audit(lock, MARKERS) == Audit((), "pip-audit failed: the index does not answer")


def test_where_it_is_not_installed_the_message_says_how_to_install_it(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vulnerabilities, "_pip_audit", lambda: None)
    told = audit(lock, MARKERS).not_checked
    assert told is not None
    assert told.startswith("pip-audit is not installed (")
    assert told.endswith(" -m pip install pip-audit)")
