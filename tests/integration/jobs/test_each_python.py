"""The command and its kernels on each Python that Respawn is tested with, where it is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.interpreters import ROOT, python_of, python_versions
from support.notebooks import notebook, text

pytestmark = pytest.mark.integration

_OF_THE_KERNEL = ("tests/unit/kernels", "tests/integration/kernels/test_outside_events.py")


def test_a_run_fails_and_goes_on_on_each_python(newest_python: Path, tmp_path: Path) -> None:
    def respawn(*arguments: str) -> Any:
        code = f"import sys; sys.argv = {['respawn', *arguments, '--json']!r}\n"
        code += "from respawn_jobs.cli import main; main()"
        done = subprocess.run([newest_python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    cells = (
        "import sys\nkept = {'version': sys.version_info[:2]}\nalso = kept",
        "1/0",
        "print(also is kept, also)",
    )
    (tmp_path / "in.ipynb").write_text(text(notebook(*cells)))
    failed = respawn("run", "in.ipynb")
    assert (failed["state"], failed["error"]["name"]) == ("failed", "ZeroDivisionError")
    (tmp_path / "fixed.ipynb").write_text(text(notebook(cells[0], "1/1", cells[2])))
    done = respawn("resume", failed["run"], "--notebook", "fixed.ipynb")
    assert [cell["state"] for cell in done["cells"]] == ["reused", "executed", "executed"]
    (shown,) = json.loads(Path(done["notebook"]).read_text())["cells"][2]["outputs"]
    version = subprocess.check_output(
        [newest_python, "-c", "import sys; print(sys.version_info[:2])"], text=True
    )
    assert shown["text"] == [f"True {{'version': {version.strip()}}}\n"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", python_versions()[1:])
def test_the_kernels_part_passes_its_tests_on_another_python(version: str) -> None:
    python = python_of(version)
    paths = f"{python.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_OF_THE_KERNEL],
        cwd=ROOT,
        env=os.environ | {"PATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, (
        f"{sys.version_info[:2]} passes what {version} does not:\n{done.stdout[-6000:]}"
    )
