"""The processes behind the property tests; see `link` for who speaks to them.

`run` is a notebook's process, with a real IPython shell: it runs the cells of a program, takes a checkpoint
after those that ask for one, as the agent does, and tells what the variables really were. `restore` is
another process, which brings a checkpoint back and tells what it found.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from respawn_kernels import session_state
from respawn_kernels.agent.boundary import KernelSession
from respawn_kernels.capture import incremental_baseline
from respawn_kernels.capture.engine import GroupsEngine
from respawn_kernels.cell_code.write_set import WriteSet
from respawn_kernels.checkpoint.manifest import Manifest
from respawn_kernels.digest import write_whole
from respawn_kernels.namespace import user_names
from respawn_kernels.restore.group_loader import GroupLoader
from respawn_kernels.restore.mapped_blobs import MappedBlobs
from support.checkpoints import in_a_child, main_module
from support.programs.canonical import storable, tell

SETUP = (
    "import collections, functools, itertools, operator, os, random, sys\n"
    "import numpy as np, pandas as pd\nfrom scipy import sparse\n"
    "from sklearn.linear_model import SGDRegressor"
)
"""The first cell of every program."""


class Notebook:
    """Runs programs, one after the other, each in an empty namespace."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        self._shell = InteractiveShell.instance(config=config)
        self._shell.showtraceback = lambda *_, **__: None
        self._engine = GroupsEngine()
        # However small, what may be taken over is: the engine would rather write a small pack anew.
        incremental_baseline._SPARSE = 0.0
        exec(SETUP, {})
        gc.freeze()  # IPython collects garbage between programs; the libraries need not be looked through

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run a program: a list of cells, each with its code and how its boundary is stored, if it is."""
        shell, spool = self._shell, Path(order["spool"])
        for part in ("blobs", "manifests"):
            (spool / part).mkdir(parents=True)
        shell.reset(new_session=True)
        random.seed(order["seed"])
        np.random.seed(order["seed"])
        session = KernelSession(spool, shell.user_ns, WriteSet(shell.user_ns), [])
        session.follow(shell)
        truths: list[dict[str, Any]] = []
        try:
            for cell, (source, how) in enumerate([(SETUP, "inline"), *order["cells"]]):
                outcome = shell.run_cell(source, store_history=True)
                error = repr(outcome.error_in_exec or outcome.error_before_exec or "")
                del outcome
                session.pass_by(cell)
                if how:
                    truths.append({"cell": cell, "error": error, **self._store(session, cell, how)})
        finally:
            session.leave(shell)
        return {"truths": truths}

    def _store(self, session: KernelSession, cell: int, how: str) -> dict[str, Any]:
        truth = _truth(session.namespace)
        if how == "fork":
            _in_a_child(lambda: self._capture(session, cell, forked=True))
        else:
            self._capture(session, cell, forked=False)
        manifest = Manifest.from_json((session.spool / "manifests" / f"{cell}.json").read_bytes())
        after = _truth(session.namespace)
        return {
            **truth,
            "stored": sorted(variable.name for variable in manifest.variables),
            "unstored": {variable.name: variable.reason for variable in manifest.unstored},
            "after": after["told"],
            "taken_over": manifest.parent is not None,
        }

    def _capture(self, session: KernelSession, cell: int, *, forked: bool) -> None:
        parent = session.parent_of(cell)
        manifest = self._engine.capture(
            session.namespace,
            cell,
            session.spool,
            first_seen={},
            execution_count=self._shell.execution_count,
            parent=parent,
            write_set=None if parent is None else session.write_set.since(parent),
            forked=forked,
        )
        path = session.spool / "manifests" / f"{cell}.json"
        write_whole(path, manifest.to_json().encode(), durable=False)


def restore(order: dict[str, Any]) -> dict[str, Any]:
    """Bring one checkpoint back, all of it, and tell what it is."""
    spool = Path(order["spool"])
    manifest = Manifest.from_json((spool / "manifests" / f"{order['cell']}.json").read_bytes())
    with main_module() as namespace:
        loader = GroupLoader(manifest, MappedBlobs(spool / "blobs"), namespace)
        values: dict[str, Any] = {}
        for group in order["groups"] or range(len(manifest.groups)):
            values |= loader.load(group)
        for group in range(len(manifest.groups)):
            values |= loader.load(group)
        hidden = {name: value for name, value in values.items() if name.startswith("#")}
        namespace |= {name: value for name, value in values.items() if name not in hidden}
        session_state.restore({n: v for n, v in hidden.items() if not n.startswith("#out:")})
        found = {n: namespace[n] for n in namespace if n not in ("__name__", "__builtins__")}
        found = {name: value for name, value in found.items() if not name.startswith("__")}
        return {"told": _all(found, hidden, list(found)), "random": _random(), "failed": loader.failed}


def _truth(namespace: dict[str, Any]) -> dict[str, Any]:
    values = {name: namespace[name] for name in user_names(namespace)}
    outputs = {f"#out:{n}": value for n, value in namespace.get("_oh", {}).items()}
    names = storable(values)
    return {"names": names, "told": _all(values, outputs, names), "random": _random()}


def _all(values: dict[str, Any], hidden: dict[str, Any], names: list[str]) -> list[str]:
    outputs = storable({name: value for name, value in hidden.items() if name.startswith("#out:")})
    return tell({**values, **hidden}, [*names, *outputs])


def _random() -> str:
    _, key, place, *_ = np.random.get_state()
    return f"{zlib.crc32(repr(random.getstate()).encode())} {zlib.crc32(key.tobytes())} {place}"


def _in_a_child(work: Callable[[], None]) -> None:
    state = random.getstate()  # Python seeds its generator anew in a forked child

    def there() -> None:
        gc.disable()
        random.setstate(state)
        work()

    in_a_child(there)


def main() -> None:
    """Answer orders, one line of JSON each, until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with Path(os.devnull).open("w") as nowhere:  # what programs display is nobody's
        sys.stdout = nowhere
        _answer(answers)


def _answer(answers: TextIO) -> None:
    notebook = Notebook() if sys.argv[1] == "run" else None
    work = notebook.run if notebook else restore
    for line in sys.stdin:
        try:
            answer = work(json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
