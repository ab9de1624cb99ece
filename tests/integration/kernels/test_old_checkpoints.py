"""Checkpoints that older versions wrote are restored by this one."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from respawn_kernels.exchange.restore_point import RestorePoint, run_directory
from support.kernels import AGENT, Kernel, running_kernel

pytestmark = pytest.mark.integration

RUN = "run-0123456789"
CHECKPOINTS = sorted((Path(__file__).parents[2] / "data" / "checkpoints").glob("format-*"))


@pytest.fixture(params=CHECKPOINTS, ids=lambda path: path.name)
def stored(request: pytest.FixtureRequest) -> Path:
    manifest = json.loads((request.param / "manifests" / "3.json").read_text())
    if manifest["python"].split(".")[:2] != platform.python_version().split(".")[:2]:
        pytest.skip(f"it was taken by Python {manifest['python']}")
    return Path(request.param)


def check(kernel: Kernel) -> None:
    assert kernel.value("(ada.greet(), shared, holder['list'] is shared, total())") == (
        "hello ada",
        [1, 2],
        True,
        49_995_001,
    )
    kernel.run("view[0] = 0; column.iloc[0] = 5; step_up(); table[10] = 10")
    assert kernel.value("(int(view[0]), float(frame.x[0]), seen(), words[8], frame.text[8999])") == (
        10,
        0.0,
        1,
        "word 1",
        "some text",
    )
    kernel.run("step = 2; table[0] = 5; greeting = 'bye '")
    assert kernel.value("(total(), ada.greet(), type(ada) is Account)") == (49_995_007, "bye ada", True)
    assert kernel.value("random.random()") == 0.6229016948897019


def test_resumed_run_gets_the_state(tmp_path: Path, stored: Path) -> None:
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.restore({str(stored)!r}, 3)")
        check(kernel)


def test_debug_notebook_gets_the_state(tmp_path: Path, stored: Path) -> None:
    run_directory(RUN).parent.mkdir(parents=True)
    run_directory(RUN).mkdir()
    for part in ("blobs", "manifests"):
        (run_directory(RUN) / part).symlink_to(stored / part, target_is_directory=True)
    point = RestorePoint(RUN, 3, "python3", failing_cell=4)
    (run_directory(RUN) / "restore.json").write_text(point.to_json())
    with running_kernel(tmp_path) as kernel:
        shown = kernel.run(f"%load_ext respawn\n%respawn restore {RUN}")
        assert "table" in shown
        assert "cannot pickle 'generator' object" in shown
        check(kernel)
