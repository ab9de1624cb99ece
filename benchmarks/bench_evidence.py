"""What recording each cell's evidence costs, on notebooks of Python loops, of pandas and of NumPy.

Two kernels run the same cells by turns, one of them with evidence, each in a directory of its own; after four
pairs both are started anew. What is compared are CPU seconds of the kernel's process, all threads together,
from the request to its answer. The bound is the upper end of the 95 % interval of the mean ratio (Student's t
over the logarithms). A second part runs short cells, one of them empty, by turns a hundred times each.

    .venv/bin/python benchmarks/bench_evidence.py            # twenty pairs of ten seconds: half an hour
    .venv/bin/python benchmarks/bench_evidence.py --quick    # six pairs of half a second
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from harness import Series, bound, place, save, table

from support.kernels import AGENT, Kernel, running_kernel  # the harness puts tests/ on the path
from support.pythons import watching_python

PAIRS_PER_KERNEL = 4
SETUP = {
    "loops": """
class Account:
    def __init__(self, number):
        self.number, self.balance = number, 0
    def add(self, amount):
        self.balance += amount
        return self.balance
def digits(number):
    while number:
        yield number % 10
        number //= 10
def work(rounds):
    accounts = [Account(number) for number in range(100)]
    seen = {}
    for turn in range(rounds):
        for account in accounts:
            account.add(turn)
            total = sum(digit * 2 for digit in digits(turn + account.number))
            seen[total] = seen.get(total, 0) + 1
            text = f'{total:04d}'
            if text.endswith('7'):
                seen.pop(total)
""",
    "pandas": """
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
size = 20_000
frame = pd.DataFrame({'k': rng.integers(0, 50, size), 'x': rng.random(size), 's': rng.random(size)})
frame['t'] = frame['k'].map('name {}'.format)
small = frame.drop_duplicates('k')
def work(rounds):
    for turn in range(rounds):
        means = frame.groupby('k').agg(m=('x', 'mean'), s=('s', lambda column: column.sum() / (turn + 1)))
        joined = frame.merge(small[['k', 'x']], on='k', suffixes=('', '_one'))
        joined = joined[joined['x'] > 0.5].sort_values(['t', 'x'])
        means.join(joined.groupby('k')['x_one'].max()).describe()
        frame['t'].str.upper().value_counts().head().to_string()
""",
    "NumPy": """
import numpy as np
rng = np.random.default_rng(0)
a, b = rng.random((300, 300)), rng.random((300, 300))
def work(rounds):
    for turn in range(rounds):
        c = a @ b
        c = np.where(c > c.mean(), np.sqrt(c), np.sin(c))
        np.linalg.solve(c + np.eye(300) * 300, b)
        np.sort(c, axis=1); np.fft.rfft(c); c.reshape(-1, 30).sum(axis=0)
        for row in c[:50]:
            np.dot(row, row)
""",
}
SHORT = """
means = frame.head(200).groupby('k').agg(t=('x', lambda s: s.sum()))
means.describe(); frame.head(50).merge(means, on='k').sort_values('x').to_string(); means.to_json()
frame.head(50).pivot_table(index='k', values='x'); frame[['x', 's']].head(50).rolling(3).mean()
frame.head(50).to_csv(); frame.head(50).melt(); pd.concat([means, means]); pd.cut(frame['x'].head(9), 3)
"""
COUNT = """
import sys
_seen, _events = set(), sys.monitoring.events
sys.monitoring.use_tool_id(5, 'count')
sys.monitoring.register_callback(
    5, _events.PY_START, lambda code, _: (_seen.add(id(code)), sys.monitoring.DISABLE)[1]
)
sys.monitoring.set_events(5, _events.PY_START)
"""
STOP = "sys.monitoring.set_events(5, 0); sys.monitoring.free_tool_id(5)"


def cpu_seconds(kernel: Kernel) -> float:
    """Return what all threads of the kernel have computed so far."""
    total = 0
    for task in Path(f"/proc/{kernel.pid}/task").iterdir():
        with suppress(OSError):  # it ended
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def timed(kernel: Kernel, code: str) -> float:
    """Run a cell and return its CPU seconds."""
    before = cpu_seconds(kernel)
    kernel.run(code)
    return cpu_seconds(kernel) - before


@contextmanager
def pair(home: Path, python: Path, setup: str) -> Iterator[tuple[Kernel, Kernel]]:
    """Give two kernels that have run the set-up, the first one with evidence."""
    with ExitStack() as stack:
        kernels = []
        for watched in (True, False):
            directory = home / ("with" if watched else "without")
            directory.mkdir(exist_ok=True)
            kernel = stack.enter_context(running_kernel(directory, python))
            kernel.silent(f"{AGENT}.start({str(directory / 'spool')!r})")
            if not watched:  # before its first cell, so it has no audit hook
                kernel.silent("__import__('respawn_kernels.evidence.recording', fromlist=['leave']).leave()")
            kernel.run(setup)
            kernels.append(kernel)
        yield kernels[0], kernels[1]


def rounds_for(home: Path, python: Path, setup: str, seconds: float) -> int:
    """Return how many rounds of the work take about that long."""
    with pair(home, python, setup) as (_, without):
        without.run("work(1)")
        rounds, taken = 1, 0.0
        while taken < min(seconds, 1.0) / 2:
            rounds *= 2
            taken = timed(without, f"work({rounds})")
    return max(1, round(rounds * seconds / taken))


def long_cells(home: Path, python: Path, name: str, pairs: int, seconds: float) -> tuple[Series, Series]:
    """Measure pairs of long cells, by turns with and without evidence."""
    setup = SETUP[name]
    code = f"work({rounds_for(home, python, setup, seconds)})"
    found: dict[bool, list[float]] = {True: [], False: []}
    for first in range(0, pairs, PAIRS_PER_KERNEL):
        with pair(home, python, setup) as (watched, without):
            for kernel in (watched, without):
                kernel.run("work(1)")
            for number in range(first, min(first + PAIRS_PER_KERNEL, pairs)):
                order = [(True, watched), (False, without)]
                for with_evidence, kernel in order if number % 2 else reversed(order):
                    found[with_evidence].append(timed(kernel, code))
    return Series(f"{name}, with evidence", found[True]), Series(f"{name}, without", found[False])


def short_cells(home: Path, python: Path, times: int) -> tuple[int, dict[str, tuple[Series, Series]]]:
    """Measure short cells; return how many code objects run in the one with many, and the cells' times."""
    cells = {"empty cell": "pass", "cell of many code objects": SHORT}
    found = {name: (Series(f"{name}, with", []), Series(f"{name}, without", [])) for name in cells}
    with pair(home, python, SETUP["pandas"]) as kernels:
        for kernel in kernels:
            for code in cells.values():
                kernel.run(code)
        for _ in range(times):
            for name, code in cells.items():
                for kernel, series in zip(kernels, found[name], strict=True):
                    series.seconds.append(timed(kernel, code))
        kernels[1].run(COUNT)
        kernels[1].run(SHORT)
        count = int(kernels[1].value("len(_seen)"))
        kernels[1].run(STOP)
    return count, found


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--only", choices=[*SETUP, "short"], action="append")
    options = parser.parse_args()
    pairs = options.pairs or (6 if options.quick else 20)
    seconds = options.seconds or (0.5 if options.quick else 10.0)
    python = watching_python() or Path(sys.executable)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    series: list[Series] = []
    results: dict[str, object] = {"python": str(python), "pairs": pairs, "seconds": seconds}
    with place() as home:
        for name in SETUP:
            if options.only and name not in options.only:
                continue
            watched, without = long_cells(home, python, name, pairs, seconds)
            ratio, upper = bound(watched.seconds, without.seconds)
            table(f"Cells of {seconds:g} s, {name}", [watched, without])
            print(f"  ratio {ratio:.4f}, upper end of its 95 % interval {upper:.4f} (goal: 1.02)")
            results[name] = {"ratio": ratio, "upper": upper}
            series += [watched, without]
        if not options.only or "short" in options.only:
            count, cells = short_cells(home, python, 30 if options.quick else 100)
            cost = {name: (a.median - b.median) * 1000 for name, (a, b) in cells.items()}
            table(
                f"Short cells; {count} code objects run in the second",
                [s for two in cells.values() for s in two],
            )
            each = cost["cell of many code objects"] / count * 1000
            print(f"  an empty cell takes {cost['empty cell']:.2f} ms more")
            print(f"  {each:.2f} ms more for each thousand code objects, all included (goal: 3)")
            results["short"] = {"code objects": count, "ms": cost, "ms per thousand": each}
            series += [one for two in cells.values() for one in two]
    how = " ".join((__doc__ or "").split("\n\n")[1].split())
    save("evidence-quick" if options.quick else "evidence", how, series, **results)


if __name__ == "__main__":
    main()
