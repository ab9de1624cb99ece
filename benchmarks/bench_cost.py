"""What it costs to measure what cells cost: for each cell, and while a long one runs.

Trivial cells are executed with measuring and without, by turns, in runs of a store in this process; what is
compared is the median time from the start of one cell to that of the next. Then kernels of several sizes
sleep, and the CPU time of all that the meter does in its threads is set against the time that they sleep.

    .venv/bin/python benchmarks/bench_cost.py            # four minutes
    .venv/bin/python benchmarks/bench_cost.py --quick    # half a minute
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

from harness import Series, place, save, table

from respawn_jobs.api.runner_protocol import SERVICE_CAN
from respawn_jobs.ledger.attempts import runner_port
from respawn_jobs.runner.kernel.process_meter import ProcessMeter
from support.bench import Bench, opened  # the harness puts tests/ on the path

CELLS = 50
SIZES_GB = (0, 1, 3)
METHODS = ("begin", "look", "traffic", "end")


class Meter:
    """Adds up the CPU time of the meter."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in METHODS:
            setattr(ProcessMeter, name, self._counted(getattr(ProcessMeter, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            before = time.thread_time()
            try:
                return call(*arguments)
            finally:
                self.seconds += time.thread_time() - before

        return counted


def short_cells(bench: Bench, rounds: int) -> tuple[Series, Series]:
    """Execute trivial cells, by turns with and without measuring."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for measured in itertools.islice(itertools.cycle((True, False)), 2 * rounds):
        runner_port.SERVICE_CAN = SERVICE_CAN if measured else ()
        cells = bench.run(*["1"] * CELLS).cells
        starts = [cell.started_at for cell in cells if cell.started_at is not None]
        found[measured] += [(after - before).total_seconds() for before, after in itertools.pairwise(starts)]
    runner_port.SERVICE_CAN = SERVICE_CAN
    return Series("trivial cell, measured", found[True]), Series("… not measured", found[False])


def share(bench: Bench, meter: Meter, gigabytes: int, seconds: float) -> float:
    """Return the share of a core that measuring takes while a kernel of a size sleeps."""
    fill = f"x = bytearray({gigabytes} * 10**9)\nx[::4096] = b'y' * len(x[::4096])"
    meter.seconds = 0.0
    detail = bench.run(fill, f"import time; time.sleep({seconds})")
    return meter.seconds / sum(cell.seconds or 0.0 for cell in detail.cells)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    seconds = 5.0 if options.quick else 60.0
    meter = Meter()
    with place() as home, opened(home) as bench:
        measured, without = short_cells(bench, 1 if options.quick else 5)
        table("From the start of a trivial cell to that of the next", [measured, without])
        shares = {f"{size} GB": share(bench, meter, size, seconds) for size in SIZES_GB}
    print("\nShare of a core while a kernel sleeps (goal: 0.5 %)")
    for size, found in shares.items():
        print(f"  {size:5} {found:8.2%}")
    save("cost", __doc__ or "", [measured, without], shares=shares, seconds=seconds)


if __name__ == "__main__":
    main()
