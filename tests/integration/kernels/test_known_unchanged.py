"""In a real kernel what no cell touches is taken over from the checkpoint before, not looked at again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.kernels import AGENT, running_kernel

pytestmark = pytest.mark.integration

_STATE = "import numpy as np\nbig = np.arange(2_000_000.0)\nother = [1]"


def test_an_array_that_no_cell_names_is_taken_over(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with running_kernel(tmp_path) as kernel:
        kernel.silent(f"{AGENT}.start({str(spool)!r})")
        for cell, code in enumerate([_STATE, "1 + 1", "other.append(2)", "big[0] = 9"]):
            kernel.run(code)
            kernel.silent(f"{AGENT}.checkpoint({cell})")
    manifests = [json.loads((spool / "manifests" / f"{cell}.json").read_bytes()) for cell in range(4)]
    assert [one["parent"] for one in manifests[:3]] == [None, 0, 1]
    assert all(one["payload"]["written"] < 100_000 for one in manifests[1:3])
