"""A runner process that imports first and learns later what to run.

    python -m respawn_jobs.warm PARENT REPORTS

It reads JSON lines on stdin, `{"url", "attempt", "token"}`, and executes these attempts one after the other.
After each it writes a line to the descriptor REPORTS, `{"attempt", "said"}`: `said` is null once the
attempt's end is recorded, else what kept it from that. It ends when stdin does, and when its parent does. The
token comes over stdin because arguments and environments of processes can be read by others.
"""

from __future__ import annotations

import json
import logging
import os
import sys

from respawn_jobs import logs
from respawn_jobs.lifelines import die_with


def _imports() -> None:
    """Import what an attempt needs, which takes longer than all that it does itself."""
    from respawn_jobs.quick_imports import leave_out_grammars

    leave_out_grammars()
    import papermill.translators  # noqa: F401

    import respawn_jobs.session  # noqa: F401
    import respawn_kernels.lend  # noqa: F401


def main(arguments: list[str]) -> int:
    """Carry out orders until there are no more; return the exit status."""
    die_with(int(arguments[0]))
    reports = int(arguments[1])
    os.set_inheritable(reports, False)
    logs.configure(os.environ.get("RESPAWN_LOG_FORMAT", "text"), level=logging.WARNING)
    _imports()
    with os.fdopen(reports, "w", buffering=1) as told:
        for line in sys.stdin:
            order = json.loads(line)
            said = _execute(order)
            print(json.dumps({"attempt": order["attempt"], "said": said}), file=told)
    return 0


def _execute(order: dict[str, str]) -> str | None:
    """Execute one attempt; return what kept it from being executed and recorded, None for nothing."""
    from respawn_jobs.errors import RespawnError
    from respawn_jobs.protocol import Assignment
    from respawn_jobs.remote import RemoteRunner
    from respawn_jobs.runner import execute_attempt

    class Port(RemoteRunner):
        """A port that tells the log, in all threads, what is worked on."""

        def claim(self) -> Assignment:
            """Take the attempt."""
            assignment = super().claim()
            logs.always(run=assignment.run, job=assignment.job)
            return assignment

    logs.always(attempt=order["attempt"], run="", job="")
    port = Port(order["url"], order["attempt"], order["token"])
    try:
        execute_attempt(port, hands_on=True)
    except RespawnError as error:
        logging.getLogger("respawn_jobs.warm").warning("attempt %s: %s", order["attempt"], error)
        return error.message
    finally:
        port.close()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
