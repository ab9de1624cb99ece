"""Which modules a kernel imports while it comes up, found by a kernel that comes up and ends.

ipykernel imports two thirds of what it needs only then, each version something else. IPython's own magics
come later still, when one is asked for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field

_SECONDS = 120.0
"""How long the kernel may take to come up."""
_QUIET = (
    "--HistoryManager.hist_file=:memory:",
    "--IPKernelApp.exec_PYTHONSTARTUP=False",  # and, with another directory of IPython, no start-up files
    "--IPKernelApp.extensions=[]",
)


@dataclass(frozen=True)
class Rehearsed:
    """The names of modules, in the order of their import."""

    modules: list[str] = field(default_factory=list)
    """What a kernel imports as it comes up."""
    magics: list[str] = field(default_factory=list)
    """What it imports once all magics of IPython's own are asked for."""


def modules_of_a_start() -> Rehearsed:
    """Return which modules a kernel imports; a child of this process finds it.

    It is empty where the kernel does not come up in time: what is wrong shows when a real one is wanted.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.setitimer(signal.ITIMER_REAL, _SECONDS)  # it ends the child
            os.close(reading)
            with os.fdopen(writing, "w") as report:
                json.dump(asdict(_come_up()), report)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as report:
        text = report.read()
    os.waitpid(child, 0)
    with suppress(ValueError):
        return Rehearsed(**json.loads(text))
    return Rehearsed()


def _come_up() -> Rehearsed:
    from ipykernel.kernelapp import IPKernelApp

    before = set(sys.modules)
    with tempfile.TemporaryDirectory() as directory:
        app = IPKernelApp.instance()
        app.initialize(  # type: ignore[no-untyped-call]
            ["-f", f"{directory}/kernel.json", f"--ipython-dir={directory}", *_QUIET]
        )
        modules = [name for name in sys.modules if name not in before]
        known = set(sys.modules)
        load = getattr(getattr(app.shell, "magics_manager", None), "load_all_lazy_magics", None)
        if load is not None:  # IPython before 9.17 has no such magics
            load()
        return Rehearsed(modules, [name for name in sys.modules if name not in known])
