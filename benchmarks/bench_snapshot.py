"""Keeping a notebook's state and bringing it back, beside dill, cloudpickle and Metaflow's store.

The state: 1 GB of random float64, a frame of five million rows with two text columns (Arrow strings, and
again with Python's), a fitted forest of 100 trees, a dict of 100,000 lists, views and aliases. Fifteen
cells follow, most of which change little. Respawn's kernel is a real one, driven as a runner drives it:
each boundary is held in a forked child, which saves itself. The others dump all of it, each in a fresh
process, in the same run on the same machine; the kernel waits while they do. Every restore is in a process
that has seen nothing yet; files are in the page cache. A peer's fifteen cells are fifteen times the bytes
of its first dump.

Then the same for one array of 10 MB to 1 GB (8 GB with --full) and for 10 to 100,000 variables, and a
notebook of 20 cells of half a second each over 1 GB, `papermill` and `respawn run`, the whole command.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import snapshot_before
import snapshot_ours
import snapshot_state as states
from harness import ROOT, place, save, sources_of, table
from snapshot_limits import limits
from snapshot_notebook import twenty_cells

PEERS = ROOT / ".respawn" / "peers" / "bin" / "python"
_MAX_FOR_METAFLOW = 200_000_000
"""Its gzip takes a minute for each gigabyte."""


@dataclass
class Row:
    """What one contender did with one state; lists of one number per round."""

    contender: str
    waits: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    durable: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    change_bytes: list[float] = field(default_factory=list)
    all_bytes: list[float] = field(default_factory=list)
    small: list[float] = field(default_factory=list)
    everything: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    everything_read: list[float] = field(default_factory=list)
    unstored: list[str] = field(default_factory=list)

    def medians(self) -> dict[str, Any]:
        """Return the middle of each row, for the result file."""
        values = {k: v for k, v in vars(self).items() if isinstance(v, list) and k != "unstored"}
        found: dict[str, Any] = {key: median(value) for key, value in values.items() if value}
        return {"contender": self.contender, **found, "rounds": len(self.whole), "unstored": self.unstored}


@dataclass(frozen=True)
class State:
    """A state to store: its code, the cells after it, and what is looked at when it is back."""

    code: str
    cells: list[str]
    small: str
    everything: str


def ours(home: Path, state: State, rounds: int) -> Row:
    """Measure Respawn."""
    row = Row("respawn")
    for _ in range(rounds):
        with _scratch(home) as directory:
            stored = snapshot_ours.store(directory, state.code, state.cells)
            row.waits += stored.waits
            row.whole.append(stored.whole)
            row.durable.append(stored.durable)
            row.first_bytes.append(stored.size)
            row.change_bytes.append(stored.growth[state.cells.index(_change(state))])
            row.all_bytes.append(stored.size + sum(stored.growth))
            row.unstored = stored.unstored
            lazily = snapshot_ours.restore(directory, stored.last, "lazily", [state.small])
            now = snapshot_ours.restore(directory, stored.last, "now", [state.small, state.everything])
            warm = snapshot_ours.restore(directory, stored.last, "now", [state.small], states.IMPORTS)
            row.small.append(lazily["after"][0])
            row.everything.append(now["after"][0])
            row.warm.append(warm["after"][0])
            row.everything_read.append(now["after"][1])
    return row


def peer(home: Path, name: str, state: State, rounds: int) -> Row:
    """Measure another way to store the state."""
    row = Row(name)
    for _ in range(rounds):
        with _scratch(home) as directory:
            stored = _peer_step(name, "store", directory, state.code)
            loaded = _peer_step(name, "load", directory, f"{state.small}\n{state.everything}")
            warm = _peer_step(name, "load", directory, state.small, states.IMPORTS)
        row.waits.append(stored["seconds"])
        row.whole.append(stored["seconds"])
        row.durable.append(stored["durable"])
        row.first_bytes.append(stored["bytes"])
        row.change_bytes.append(stored["bytes"])
        row.all_bytes.append(stored["bytes"] * len(state.cells))
        row.small.append(loaded["after"][0])
        row.everything.append(loaded["seconds"])
        row.warm.append(warm["seconds"])
        row.everything_read.append(loaded["after"][1])
    return row


def main() -> None:
    """Measure, print and save."""
    options = _options()
    scale = 0.02 if options.quick else 1.0
    if options.before:
        beside(options.before, scale, options.rounds)
        return
    slow = 1 if options.quick else options.slow_rounds
    document: dict[str, Any] = {"states": {}, "sizes": {}, "variables": {}}
    with place() as home:
        found = limits(home, options.rounds)
        table("The machine, seconds for 1 GiB", found)
        for text in options.texts:
            state = State(states.state(scale, text), states.CELLS, states.SMALL, states.ALL)
            rows = [ours(home, state, options.rounds)]
            for name in options.peers:
                rounds = options.rounds if name == "cloudpickle" else slow
                rows.append(peer(home, name, state, rounds))
            _tell(f"The state with {text} texts, at scale {scale:g}", rows)
            document["states"][text] = [row.medians() for row in rows]
        for kind, points in _sweeps(options).items():
            for point, state in points.items():
                rows = [ours(home, state, slow)]
                rows += [peer(home, n, state, 1) for n in options.peers if _bearable(n, kind, point)]
                _tell(f"{point:,} {'bytes in one array' if kind == 'sizes' else 'variables'}", rows)
                document[kind][point] = [row.medians() for row in rows]
        notebook = twenty_cells(home, options.quick, slow) if options.notebook else []
    save("snapshot", (__doc__ or "").strip(), [*found, *notebook], scale=scale, **document)


def beside(commit: str, scale: float, rounds: int) -> None:
    """Measure Respawn beside an earlier commit of it, print and save."""
    code = states.state(scale, "arrow")
    with place() as home, sources_of(commit) as sources:
        rows = snapshot_before.compare(home, sources, code, states.CELLS, states.SMALL, rounds)
    snapshot_before.tell(f"The state at scale {scale:g}, beside {commit}", rows)
    how = (snapshot_before.__doc__ or "").strip()
    save("snapshot-before", how, [], scale=scale, before=commit, rows=[row.as_dict() for row in rows])


def _sweeps(options: argparse.Namespace) -> dict[str, dict[int, State]]:
    if not options.sweeps:
        return {}
    sizes = [10**7, 10**8] if options.quick else [10**7, 10**8, 10**9, *([8 * 10**9] if options.full else [])]
    counts = [10, 1_000] if options.quick else [10, 1_000, 100_000]
    array, many = states.ARRAY, states.MANY
    return {
        "sizes": {
            n: State(array.format(floats=n // 8), [states.CHANGE], states.SMALL, states.ARRAY_ALL)
            for n in sizes
        },
        "variables": {
            n: State(many.format(count=n), [states.MANY_CHANGE], states.SMALL, states.MANY_ALL)
            for n in counts
        },
    }


def _bearable(name: str, kind: str, point: int) -> bool:
    return name != "metaflow" or point <= (_MAX_FOR_METAFLOW if kind == "sizes" else 1_000)


def _change(state: State) -> str:
    return states.CHANGE if states.CHANGE in state.cells else state.cells[0]


def _peer_step(name: str, step: str, directory: Path, code: str, imports: str = "") -> dict[str, Any]:
    program = Path(__file__).parent / "snapshot_peer.py"
    command = [str(PEERS), str(program), name, step, str(directory), imports]
    done = subprocess.run(
        command, input=code, capture_output=True, text=True, check=False, cwd=directory.parent
    )
    if done.returncode:
        raise RuntimeError(f"{name} could not {step}:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


class _scratch:
    """A directory that is gone afterwards: states are large."""

    def __init__(self, home: Path) -> None:
        self._path = home / "scratch"

    def __enter__(self) -> Path:
        self._path.mkdir()
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


_ROWS: list[tuple[str, str, Callable[[float], str]]] = [
    ("kernel kept waiting per cell", "waits", lambda s: f"{s * 1000:,.1f} ms"),
    ("first checkpoint, whole", "whole", lambda s: f"{s:,.2f} s"),
    ("… and on the disk (fsync)", "durable", lambda s: f"{s:,.2f} s"),
    ("bytes of it", "first_bytes", lambda b: f"{b / 1e6:,.1f} MB"),
    ("bytes after one change", "change_bytes", lambda b: f"{b / 1e6:,.2f} MB"),
    ("bytes of all cells", "all_bytes", lambda b: f"{b / 1e6:,.0f} MB"),
    ("restore to first use of a small variable", "small", lambda s: f"{s:,.3f} s"),
    ("restore of everything", "everything", lambda s: f"{s:,.2f} s"),
    ("… where the libraries were imported before", "warm", lambda s: f"{s:,.2f} s"),
    ("… and all of it read, in a fresh process", "everything_read", lambda s: f"{s:,.2f} s"),
]


def _tell(title: str, rows: list[Row]) -> None:
    """Print a table with a column per contender, and how many times less than it Respawn takes."""
    print(f"\n{title} ({os.cpu_count()} cores, {len(rows[0].whole)} rounds)")
    width = max(len(told) for told, _, _ in _ROWS)
    print(" " * (width + 2) + "".join(f"{row.contender:>26}" for row in rows))
    for told, name, shown in _ROWS:
        line, our = f"  {told:{width}}", median(getattr(rows[0], name))
        for row in rows:
            value = median(getattr(row, name))
            ratio = f" ({value / our:,.1f}x)" if row is not rows[0] and our else ""
            line += f"{shown(value) + ratio:>26}"
        print(line, flush=True)
    if rows[0].unstored:
        print(f"  not stored by respawn: {'; '.join(rows[0].unstored)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of Respawn and cloudpickle")
    parser.add_argument("--slow-rounds", type=int, default=1, help="of dill, Metaflow and the sweeps")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the size, to try this program")
    parser.add_argument("--full", action="store_true", help="one array of 8 GB too (24 GB of memory)")
    parser.add_argument("--texts", nargs="*", default=["arrow", "object"])
    parser.add_argument("--peers", nargs="*", default=["dill", "cloudpickle", "metaflow"])
    parser.add_argument("--no-sweeps", dest="sweeps", action="store_false")
    parser.add_argument("--no-notebook", dest="notebook", action="store_false")
    parser.add_argument("--before", metavar="COMMIT", help="beside an earlier commit, and no peers")
    options = parser.parse_args()
    if not options.before and not PEERS.exists():
        parser.error("the peers are missing; `make bench` installs them")
    if options.quick and not options.before:
        options.rounds = 1
    return options


if __name__ == "__main__":
    main()
