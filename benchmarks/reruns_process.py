"""Notebooks that run in forked processes of their own, and can go on from after each of their cells.

A notebook runs in IPython's shell. After each cell a copy of the process waits; asked to, it forks another
that removes names, runs cells and tells what is there afterwards. So a state is given back whole, as a
restored kernel has it, and what differs in the end is what a plan got wrong. Files are as the first run
left them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SEED = 7
_COMPARED = frozenset(
    [
        "#random",
        "#numpy.random",
        "#decimal",
        "#numpy.errors",
        "#numpy.print",
        "#pandas",
        "#matplotlib",
        "#cwd",
        "#env",
        "#sys.path",
    ]
)
"""Parts whose fingerprint says the same in every process; the filters of warnings are compared as text."""
_OF_THE_BENCHMARK = frozenset(["#streams", "#config"])
"""What capturing the output of cells changes here, and nowhere else."""
_COUNT = re.compile(r"(Out|In ?)\[\d+\]|0x[0-9a-f]{6,}")


@dataclass(frozen=True)
class Told:
    """What is there after cells ran: outputs by cell, variables, parts of the session's state, files."""

    outputs: dict[int, str]
    names: list[str]
    lines: list[str]
    state: dict[str, str]
    files: dict[str, str]
    stopped: int | None
    """The cell that raised, if one did."""

    def same(self, truth: Told) -> bool:
        """Return whether this is what running from the top leaves; outputs are compared by the caller."""
        mine = (self.lines, self.state, self.files, self.stopped)
        return mine == (truth.lines, truth.state, truth.files, truth.stopped)


@dataclass
class Played:
    """A notebook that has run, with its states."""

    told: Told
    evidence: list[dict[str, Any]]
    directory: Path
    _ends: list[Connection] = field(default_factory=list)

    def attempt(
        self, point: int, removed: Sequence[str], order: Sequence[tuple[int, str]], names: Sequence[str]
    ) -> Told:
        """Go on from the state after `point` cells, and tell of these names."""
        self._ends[point].send((list(removed), list(order), list(names)))
        found = self._ends[point].recv()
        if isinstance(found, str):
            raise RuntimeError(found)  # noqa: TRY004  it is what went wrong there
        return found


@contextlib.contextmanager
def played(cells: Sequence[str], names: Sequence[str] | None = None) -> Iterator[Played]:
    """Run a notebook and keep its states as long as the context lasts.

    Args:
        cells: the sources.
        names: of which variables it tells in the end; None for all.
    """
    pipes = [Pipe() for _ in range(len(cells) + 2)]
    directory = Path(tempfile.mkdtemp(prefix="respawn-reruns-"))
    child = os.fork()
    if child == 0:
        for mine_of_child, _ in pipes:
            mine_of_child.close()
        _run_all(cells, names, directory, [theirs for _, theirs in pipes])
    mine = [end for end, _ in pipes]
    for _, theirs in pipes:
        theirs.close()
    try:
        told, evidence = mine[-1].recv()
        yield Played(told, evidence, directory, mine)
    finally:
        for end in mine:
            end.close()
        os.waitpid(child, 0)
        shutil.rmtree(directory, ignore_errors=True)


def _run_all(
    cells: Sequence[str], names: Sequence[str] | None, directory: Path, ends: list[Connection]
) -> None:
    """Run all cells in this process, which is forked for it, and never return."""
    from respawn_kernels.evidence.recording import leave, watch

    code = 1
    try:
        (directory / "run").mkdir()
        os.chdir(directory / "run")
        shell = _shell()
        watch(shell, directory / "spool")
        outputs: dict[int, str] = {}
        stopped = None
        _hold(0, shell, directory, ends, names)
        for place, source in enumerate(cells):
            outputs[place], failed = _cell(shell, source)
            if failed:
                stopped = place
                break
            _hold(place + 1, shell, directory, ends, names)
        leave()
        evidence = [_evidence(directory / "spool" / "evidence" / f"{n + 1}.json") for n in range(len(cells))]
        shutil.copytree(directory / "run", directory / "left")
        ends[-1].send((_told(shell, outputs, names, stopped), evidence))
        code = 0
    finally:
        os._exit(code)


def _shell() -> Any:
    import numpy as np
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    random.seed(SEED)
    np.random.seed(SEED)
    settings = Config()
    settings.HistoryManager.enabled = False  # its thread, and so its lock, does not outlive a fork
    settings.InteractiveShell.colors = "NoColor"
    shell = InteractiveShell.instance(config=settings)
    shell.user_ns["respawn_first"] = set(shell.user_ns)
    return shell


def _cell(shell: Any, source: str) -> tuple[str, bool]:
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        result = shell.run_cell(source, store_history=True)
    shown = "\n".join(str(output.data.get("text/plain")) for output in captured.outputs)
    # How often the shell has executed is another after a resume, and so are addresses.
    return _COUNT.sub("", f"{captured.stdout}{shown}"), not result.success


def _evidence(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {"unwatched": "nothing was recorded"}
    found: dict[str, Any] = json.loads(file.read_text())
    return {**found, "changed": sorted(set(found.get("changed", ())) - _OF_THE_BENCHMARK)}


def _hold(
    point: int, shell: Any, directory: Path, ends: list[Connection], names: Sequence[str] | None
) -> None:
    """Leave a copy of this process that goes on from here when it is asked to."""
    from respawn_kernels.evidence.recording import leave

    drawn = random.getstate()
    if os.fork() != 0:
        return
    leave()
    for number, end in enumerate(ends):
        if number != point:
            end.close()
    end = ends[point]
    with contextlib.suppress(EOFError, OSError):
        while True:
            removed, order, told_of = end.recv()
            child = os.fork()
            if child == 0:
                random.setstate(drawn)  # CPython seeds it anew in a forked child
                _attempt(shell, directory, removed, order, told_of, end)
            os.waitpid(child, 0)
    os._exit(0)


def _attempt(
    shell: Any,
    directory: Path,
    removed: Sequence[str],
    order: Sequence[tuple[int, str]],
    names: Sequence[str],
    end: Connection,
) -> None:
    where = Path(tempfile.mkdtemp(dir=directory))
    try:
        shutil.copytree(directory / "left", where / "run")
        os.chdir(where / "run")
        for name in removed:
            shell.user_ns.pop(name, None)
        outputs, stopped = {}, None
        for place, source in order:
            outputs[place], failed = _cell(shell, source)
            if failed:
                stopped = place
                break
        end.send(_told(shell, outputs, names, stopped))
    except Exception as error:  # noqa: BLE001  whoever waits for an answer gets one
        end.send(f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(where, ignore_errors=True)
        os._exit(0)


def _told(shell: Any, outputs: dict[int, str], names: Sequence[str] | None, stopped: int | None) -> Told:
    from respawn_kernels.session_state import fingerprints
    from support.programs.canonical import tell

    values = {
        name: value
        for name, value in shell.user_ns.items()
        if name not in shell.user_ns["respawn_first"] and not name.startswith("_") and name != "respawn_first"
    }
    chosen = sorted(values) if names is None else [name for name in names if name in values]
    here = str(Path.cwd())
    state = {
        name: repr(value).replace(here, "here") for name, value in fingerprints().items() if name in _COMPARED
    }
    here = Path()
    state["#warnings"] = repr(warnings.filters)
    files = {
        str(path): path.read_text(errors="replace") if path.is_file() else "" for path in here.rglob("*")
    }
    shown = [
        f"{name}: {_COUNT.sub('', repr(values[name]))}" for name in chosen
    ]  # of objects without a dict, too
    return Told(outputs, chosen, [*tell(values, chosen), *shown], state, files, stopped)
