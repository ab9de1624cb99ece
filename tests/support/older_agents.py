"""A kernelspec whose environment keeps an older `respawn_kernels` than the runner's.

The agent is made of today's by taking away what came later, and by what only its time wrote.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import respawn_kernels

_FIRST = {
    "agent/__init__.py": [
        ("from respawn_kernels.agent.removal import settle as settle\n", ""),
        ("import restore as restore", "import first_restore as restore"),
        ("import restore_again as restore_again", "import first_restore_again as restore_again"),
    ],
    "agent/requests.py": [
        ("KernelFacts(hash_seed.own(), PROTOCOL, CAPABILITIES).write(directory)", "_first_facts(directory)"),
    ],
}
_ADDED = """

def _first_facts(directory):
    document = dumps({"hash_seed": hash_seed.own()}).encode()
    write_whole(directory / "holds" / "kernel.json", document, durable=False)


def first_restore(directory, cell, report_to=None, producers=()):
    return restore(directory, cell, report_to, producers)


def first_restore_again(directory, cell, report_to=None):
    return restore_again(directory, cell, report_to)
"""
_LATER = {"agent/requests.py": [("hash_seed.own(), PROTOCOL,", "hash_seed.own(), PROTOCOL + 1,")]}


def first_agent(root: Path) -> str:
    """Install the kernel whose agent is of the first generation: it names no capability. Returns its name."""
    return _installed(root, "first-agent", _FIRST, _ADDED)


def later_agent(root: Path) -> str:
    """Install a kernel whose agent is of a generation that this runner does not know. Returns its name."""
    return _installed(root, "later-agent", _LATER, "")


def _installed(root: Path, name: str, changes: dict[str, list[tuple[str, str]]], added: str) -> str:
    packages = root / name
    source = Path(respawn_kernels.__file__).parent
    shutil.copytree(source, packages / "respawn_kernels", ignore=shutil.ignore_patterns("__pycache__"))
    for path, replaced in changes.items():
        file = packages / "respawn_kernels" / path
        text = file.read_text()
        for old, new in replaced:
            assert old in text, f"{path} does not have {old!r} any more: take the older agent from elsewhere"
            text = text.replace(old, new)
        file.write_text(text)
    with (packages / "respawn_kernels" / "agent" / "requests.py").open("a") as file_of_agent:
        file_of_agent.write(added)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "env": {"PYTHONPATH": str(packages)},
    }
    directory = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "kernel.json").write_text(json.dumps(spec))
    return name
