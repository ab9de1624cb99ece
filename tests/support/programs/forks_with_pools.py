"""Use a library's pool of threads, fork, compute with the pool in the child, and compare.

    python forks_with_pools.py LIBRARY HOW NUMBER

HOW is `imported`, which leaves the pool alone before the forks, or `used`. Prints what the check of zygotes
says of this process; where it says nothing, how many children computed what is computed without a fork.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable

from respawn_environments.warm.fork_safety import StartedByImports, Unfit, check_pools

WORK = {
    "numpy": """
import numpy as np
def work():
    square = np.arange(90_000.0).reshape(300, 300) / 1e5
    return float((square @ square).sum())
""",
    "scipy": """
import numpy as np
import scipy.linalg
def work():
    square = np.arange(40_000.0).reshape(200, 200) / 1e5 + np.eye(200)
    return float(scipy.linalg.lu_factor(square)[0].sum())
""",
    "sklearn": """
import numpy as np
from sklearn.metrics import pairwise_distances_argmin
def work():
    points = np.arange(8000.0).reshape(4000, 2) % 97
    return int(pairwise_distances_argmin(points, points[:40]).sum())
""",
    "pyarrow": """
import pyarrow as pa
def work():
    numbers = pa.chunked_array([list(range(1000))] * 16)
    table = pa.table({"key": numbers, "value": numbers}).group_by("key").aggregate([("value", "sum")])
    return sum(table["value_sum"].to_pylist())
""",
    "polars": """
import polars as pl
def work():
    rows = pl.DataFrame({"key": list(range(1000)) * 16, "value": list(range(16_000))}).lazy()
    return int(rows.group_by("key").agg(pl.col("value").sum()).collect()["value"].sum())
""",
    "torch": """
import torch
def work():
    square = torch.arange(90_000, dtype=torch.float64).reshape(300, 300) / 1e5
    return float((square @ square).sum())
""",
}
_SECONDS = 30


def main(library: str, how: str, number: int) -> None:
    """Print a JSON object: `problem`, `children` that computed the same, `others` with what they gave."""
    started = StartedByImports()
    found: dict[str, Callable[[], object]] = {}
    with started.noted():
        exec(WORK[library], found)  # type: ignore[arg-type]
    started.check(library)
    problem = None
    expected = found["work"]() if how == "used" else None
    try:
        check_pools({library: library}, _SECONDS)
    except Unfit as error:
        problem = str(error)
    answers = [_of_child(found["work"]) for _ in range(number)] if problem is None else []
    expected = found["work"]() if expected is None else expected
    same = answers.count(expected)
    print(json.dumps({"problem": problem, "children": same, "others": len(answers) - same}))


def _of_child(work: Callable[[], object]) -> object:
    """Return what a child computes; None for one that does not come to an end."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read() if select.select([answer], [], [], _SECONDS)[0] else ""
    if not text:
        os.kill(child, 9)
    os.waitpid(child, 0)
    return json.loads(text) if text else None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
