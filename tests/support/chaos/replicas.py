"""Replicas of the service as processes that a test starts, kills and starts again; and their runners."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from support.chaos.simulated import SimulatedClock
from support.ports import free_port
from support.processes import runs
from support.waiting import wait_for

_TESTS = Path(__file__).parents[2]
_MINE = b"support.chaos.stable"


@dataclass
class Replica:
    """One replica: its orders at each start, and the process that it is now."""

    order: dict[str, Any]
    pid: int = 0

    @property
    def living(self) -> bool:
        """Whether its process runs."""
        return self.pid != 0 and runs(self.pid)

    def answers(self) -> bool:
        """Whether it accepts connections."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.order["port"]), 1):
            return True
        return False


class Replicas:
    """Some replicas on one store."""

    def __init__(self, count: int, directory: Path, clock: SimulatedClock, **common: Any) -> None:
        """Prepare replicas. `common` is what they all get: see `support.chaos.stable.serve`."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        self._stable = subprocess.Popen(
            [sys.executable, "-m", "support.chaos.stable"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip
        self.journal = directory / "journal"
        common |= {"clock": asdict(clock), "journal": str(self.journal)}
        self.all = [
            Replica({**common, "port": free_port(), "data": str(directory / f"replica-{number}"),
                     "log": str(directory / f"replica-{number}.log")})
            for number in range(count)
        ]  # fmt: skip
        self.sessions: set[int] = set()
        """The sessions of all replicas that were ever started: their runners are in them."""

    def start(self, replica: Replica) -> None:
        """Start a replica that does not run."""
        assert not replica.living
        assert self._stable.stdin is not None
        assert self._stable.stdout is not None
        self._stable.stdin.write(json.dumps(replica.order).encode() + b"\n")
        self._stable.stdin.flush()
        replica.pid = int(self._stable.stdout.readline())
        self.sessions.add(replica.pid)

    def signal(self, pid: int, number: signal.Signals) -> bool:
        """Signal a process of ours; False when it is gone, whoever has its number now."""
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                if _ours(pid, self.sessions):
                    signal.pidfd_send_signal(handle, number)
                    return True
            finally:
                os.close(handle)
        return False

    def kill_machine(self, replica: Replica) -> None:
        """Kill a replica with all its runners, as a machine that goes away does."""
        for pid in self.family({replica.pid}):
            self.signal(pid, signal.SIGKILL)

    def family(self, sessions: set[int]) -> list[int]:
        """Return the running processes of some sessions."""
        numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in numbers if _ours(pid, sessions) and runs(pid)]

    def close(self) -> None:
        """Kill everything that was started, and wait until it is gone."""
        for pid in self.family(self.sessions):
            self.signal(pid, signal.SIGKILL)
        self._stable.communicate()
        wait_for(lambda: not self.family(self.sessions), 10, "the replicas to be gone")

    def logs(self, lines: int = 40) -> str:
        """Return the last lines of each replica's log."""
        lines = []
        for replica in self.all:
            path = Path(replica.order["log"])
            tail = path.read_text().splitlines()[-lines:] if path.exists() else []
            lines += [f"--- {path.name}", *tail]
        return "\n".join(lines)


@contextmanager
def running_replicas(count: int, directory: Path, clock: SimulatedClock, **common: Any) -> Iterator[Replicas]:
    """Start replicas and wait until all answer; kill them afterwards."""
    replicas = Replicas(count, directory, clock, **common)
    try:
        for replica in replicas.all:
            replicas.start(replica)
        for replica in replicas.all:
            wait_for(replica.answers, 60, f"a replica; see {replica.order['log']}")
        yield replicas
    finally:
        replicas.close()


def _ours(pid: int, sessions: set[int]) -> bool:
    with suppress(OSError):
        return os.getsid(pid) in sessions and _MINE in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
