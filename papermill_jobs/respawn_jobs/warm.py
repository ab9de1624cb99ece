"""A runner process that imports first and learns later what to run: `python -m respawn_jobs.warm PARENT`.

It reads one JSON line on stdin, `{"url", "attempt", "token"}`, executes that attempt and exits with 0 once
its end is recorded. Without a line (the executor went away) it exits with 0 at once. The token comes over
stdin because arguments and environments of processes can be read by others.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys


def _die_with(parent: int) -> None:
    """Ask to be killed when the executor that started this process is gone."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        raise SystemExit(0)


def _imports() -> None:
    """Import what an attempt needs, which takes longer than all that it does itself."""
    from respawn_jobs.quick_imports import import_jsonschema

    import_jsonschema()
    import papermill.translators  # noqa: F401

    import respawn_jobs.session  # noqa: F401
    import respawn_kernels.lend  # noqa: F401


def main(arguments: list[str]) -> int:
    """Wait for an order and carry it out; return the exit status."""
    _die_with(int(arguments[0]))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _imports()
    from respawn_jobs.errors import RespawnError
    from respawn_jobs.remote import RemoteRunner
    from respawn_jobs.runner import execute_attempt

    line = sys.stdin.readline()
    if not line.strip():
        return 0
    order = json.loads(line)
    port = RemoteRunner(order["url"], order["attempt"], order["token"])
    try:
        execute_attempt(port)
    except RespawnError as error:
        logging.getLogger("respawn_jobs.warm").warning("attempt %s: %s", order["attempt"], error)
        return 1
    finally:
        port.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
