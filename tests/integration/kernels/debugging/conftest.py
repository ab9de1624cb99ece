"""Kernels of debug notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from respawn_kernels.exchange.restore_point import RestorePoint, run_directory
from support.debug_kernels import RUN
from support.kernels import AGENT, Kernel, running_kernel

CELL = """
import os, random, numpy as np, pandas as pd
big = np.arange(2_000_000, dtype="f8")
view = big[10:20]
prices = pd.DataFrame({"name": ["tea", "milk"], "price": [3.0, 1.0]})
column = prices["price"]
sum = "a name that hides a builtin"
class Account:
    def __init__(self, owner): self.owner = owner
    def __eq__(self, other): return self.owner == other.owner
ada = Account("ada")
stream = (n for n in [])
limit = 2.0
def total(): return big[:3].sum() + limit
def dear(): return prices.query("price > @limit")
os.environ["STAGE"] = "test"
pd.set_option("display.max_rows", 7)
random.seed(3)
"""


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    with running_kernel(directory) as kernel:
        kernel.silent(f"{AGENT}.start({str(directory / 'spool')!r})")
        kernel.run(CELL)
        kernel.run("'the result'")
        kernel.silent(f"{AGENT}.checkpoint(2)")
    return directory / "spool"


@pytest.fixture
def fetched(spool: Path) -> Path:
    """A download of its own, which a test may harm."""
    directory = run_directory(RUN)
    (directory / "manifests").mkdir(parents=True)
    (directory / "blobs").mkdir()
    for path in spool.glob("*s/*"):
        if path.parent.name in ("blobs", "manifests"):
            (directory / path.parent.name / path.name).write_bytes(path.read_bytes())
    (directory / "restore.json").write_text(RestorePoint(RUN, 2, "python3", failing_cell=3).to_json())
    return directory


@pytest.fixture
def kernel(tmp_path: Path, fetched: Path) -> Iterator[Kernel]:
    with running_kernel(tmp_path) as running:
        running.run("%load_ext respawn")
        yield running
