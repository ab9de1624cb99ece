"""Runners and kernels in miniature, to be killed: `python -m support.holding`.

Everything is imported once, then each line on stdin, `{"spool", "seed", "cells"}`, forks a runner, which
adopts orphans and forks a kernel. The kernel runs cells whose variables must agree with each other and with
the boundary, and has the state held before each by a child, as the agent does. Every process tells its id in
the spool.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from respawn_environments.warm.adoption import adopting
from respawn_kernels.host.own_process import die_with
from support.waiting import moment

SOURCES = [
    "count += 1",
    "log.append(count)",
    "table['rows'] = log; table['count'] = count",
    "array += 1",
    "view[:] = array[:1000]",
    "account.total += 1",
]
"""What a cell does, in steps that a kill can come between."""

BEGIN = """
import numpy as np
count, log, table = 0, [], {}
array = np.zeros(60_000)
twin, view = log, np.zeros(1000)
untouched = list(range(2000))
class Account:
    total = 0
account = Account()
"""

HELD = struct.Struct("qq")
"""In the file `witness`: the last boundary that was reached, and the last whose child was there."""


def problems(namespace: dict[str, Any], cell: int) -> list[str]:
    """Tell in what a restored namespace is not the state after a cell."""
    found = {
        "count": namespace["count"] == cell,
        "log": namespace["log"] == list(range(1, cell + 1)),
        "twin is log": namespace["twin"] is namespace["log"],
        "table": cell == 0
        or (namespace["table"]["rows"] is namespace["log"] and namespace["table"]["count"] == cell),
        "array": bool((namespace["array"] == cell).all()),
        "view": bool((namespace["view"] == cell).all()),
        "account": namespace["account"].total == cell,
        "untouched": namespace["untouched"] == list(range(2000)),
    }
    return [name for name, right in found.items() if not right]


def _kernel(spool: Path, seed: int, cells: int) -> None:
    from respawn_kernels.agent.boundary import Boundary, KernelSession
    from respawn_kernels.capture.engine import GroupsEngine
    from respawn_kernels.cell_code.write_set import WriteSet
    from respawn_kernels.evidence.recording import leave
    from respawn_kernels.exchange.messages import DROP, SAVE, HeldChildFiles, Options
    from respawn_kernels.fork.fork import hold

    chance = random.Random(seed)
    main = sys.modules["__main__"]
    namespace = vars(type(main)("__main__"))
    with (spool / "witness").open("r+b") as file:
        witness = mmap.mmap(file.fileno(), HELD.size)
    exec(BEGIN, namespace)
    session = KernelSession(spool, namespace, WriteSet(namespace), [])
    before = None
    for cell in range(cells):
        HELD.pack_into(witness, 0, cell, HELD.unpack_from(witness)[1])
        session.pass_by(cell)
        boundary = Boundary(session, GroupsEngine(), cell, {}, cell, [], 20.0, True)
        place = HeldChildFiles(spool, cell)
        held = hold(place, boundary, os.getppid(), Options(), leave)
        assert held.mode == "fork", held
        place.write_held(held)
        HELD.pack_into(witness, 0, cell, cell)
        if before is not None:
            before.tell(DROP)
        if chance.random() < 0.3:
            place.tell(SAVE)
        before = place
        for source in SOURCES:
            session.write_set.note(source)
            exec(compile(source, "<cell>", "exec"), namespace)
            moment(chance, 0.001)


def _runner(spool: Path, seed: int, cells: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    (spool / "runner").write_text(str(os.getpid()))
    me = os.getpid()
    with adopting():
        pid = os.fork()
        if pid == 0:
            die_with(me)
            _kernel(spool, seed, cells)
            os._exit(0)
        (spool / "kernel").write_text(str(pid))
        with suppress(ChildProcessError):
            while True:
                os.wait()


def main() -> None:
    import numpy  # noqa: F401

    import respawn_kernels.capture.engine
    import respawn_kernels.fork.fork
    import respawn_kernels.memory.shared_memory  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        spool = Path(order["spool"])
        for part in ("blobs", "manifests", "holds"):
            (spool / part).mkdir(parents=True)
        (spool / "witness").write_bytes(HELD.pack(-1, -1))
        if os.fork() == 0:
            sys.stdin.close()
            try:
                _runner(spool, order["seed"], order["cells"])
            finally:
                os._exit(0)
        print("started", flush=True)


if __name__ == "__main__":
    main()
