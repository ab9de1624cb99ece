"""What goes wrong in a chaos test: processes killed, frozen and asked to end, connections cut, clocks set."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from support.chaos.journal import Journal, Line
from support.chaos.replicas import Replica, Replicas
from support.chaos.simulated import SimulatedClock

WEIGHTS = {
    "kill a runner": 40,
    "freeze a runner": 8,
    "kill a replica": 14,
    "kill a machine": 8,
    "cut connections": 12,
    "drain a replica": 6,
    "kill all replicas": 3,
    "set the clock forward": 2,
    "set the clock back": 2,
}


@dataclass
class FaultInjector:
    """Injects faults by chance, and undoes those that must not last: frozen runners, dead replicas."""

    replicas: Replicas
    journal: Journal
    clock: SimulatedClock
    chance: random.Random
    lease: float
    """Real seconds of a lease."""
    cut: Callable[[], int] | None = None
    """Ends all connections to the database, where there are any."""
    done: Counter[str] = field(default_factory=Counter)
    _frozen: dict[int, float] = field(default_factory=dict)
    _start_at: dict[int, float] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)

    def strike(self) -> None:
        """Inject one fault. When there is nothing to do it to, nothing happens."""
        weights = {kind: weight for kind, weight in WEIGHTS.items() if self.cut or kind != "cut connections"}
        kind = self.chance.choices(list(weights), list(weights.values()))[0]
        faults: dict[str, Callable[[], bool]] = {
            "kill a runner": self._kill_runner,
            "freeze a runner": self._freeze_runner,
            "kill a replica": lambda: self._kill_replica(machine=False),
            "kill a machine": lambda: self._kill_replica(machine=True),
            "cut connections": self._cut,
            "drain a replica": self._drain,
            "kill all replicas": self._kill_all,
            "set the clock forward": lambda: self._set_clock(self.chance.uniform(60, 300)),
            "set the clock back": lambda: self._set_clock(-self.chance.uniform(30, 200)),
        }
        if faults[kind]():
            self.done[kind] += 1

    def recover(self, *, everything: bool = False) -> None:
        """Let go on and start again what was down for long enough; or all of it."""
        now = time.monotonic()
        for pid, until in list(self._frozen.items()):
            if everything or now >= until:
                del self._frozen[pid]
                self.replicas.signal(pid, signal.SIGCONT)
        for place, replica in enumerate(self.replicas.all):
            if replica.living:
                continue
            at = self._start_at.setdefault(place, now + self.chance.uniform(0, 3))
            if everything or now >= at:
                del self._start_at[place]
                self.replicas.start(replica)

    def runners(self) -> list[Line]:
        """Return the lines with which the runners that run now began."""
        lines = self.journal.lines()
        over = {line["attempt"] for line in lines if line["kind"] in ("committed", "fenced", "gave up")}
        return [
            line
            for line in lines
            if line["kind"] == "start" and line["attempt"] not in over and line["pid"] not in self._killed
        ]

    def _kill_runner(self) -> bool:
        found = self.runners()
        if not found:
            return False
        line = self.chance.choice(found)
        self._killed.add(line["pid"])
        if not self.replicas.signal(line["pid"], signal.SIGKILL):
            return False
        self._say("kill a runner", [line])
        return True

    def _freeze_runner(self) -> bool:
        found = [line for line in self.runners() if line["pid"] not in self._frozen]
        if not found:
            return False
        line = self.chance.choice(found)
        if not self.replicas.signal(line["pid"], signal.SIGSTOP):
            return False
        self._frozen[line["pid"]] = time.monotonic() + self.lease * self.chance.uniform(1.2, 2.5)
        self._say("freeze a runner", [line])
        return True

    def _living(self) -> list[Replica]:
        return [replica for replica in self.replicas.all if replica.living]

    def _kill_replica(self, *, machine: bool) -> bool:
        living = self._living()
        if not living:
            return False
        replica = self.chance.choice(living)
        if machine:
            family = set(self.replicas.family({replica.pid}))
            hit = [line for line in self.runners() if line["pid"] in family]
            self._killed |= {line["pid"] for line in hit}
            self.replicas.kill_machine(replica)
            self._say("kill a machine", hit, replica=replica.pid)
        else:
            self.replicas.signal(replica.pid, signal.SIGKILL)
            self._say("kill a replica", [], replica=replica.pid)
        return True

    def _kill_all(self) -> bool:
        living = self._living()
        for replica in living:
            self.replicas.signal(replica.pid, signal.SIGKILL)
            self._say("kill all replicas", [], replica=replica.pid)
        for place in range(len(self.replicas.all)):
            self._start_at[place] = time.monotonic() + self.chance.uniform(2, 4)
        return bool(living)

    def _drain(self) -> bool:
        living = self._living()
        if not living:
            return False
        replica = self.chance.choice(living)
        self.replicas.signal(replica.pid, signal.SIGTERM)
        self._say("drain a replica", [], replica=replica.pid)
        return True

    def _cut(self) -> bool:
        assert self.cut is not None
        self._say("cut connections", [], count=self.cut())
        return True

    def _set_clock(self, seconds: float) -> bool:
        self.clock.jump(seconds)
        self._say("set the clock", [], seconds=round(seconds))
        return True

    def _say(self, what: str, hit: list[Line], **more: object) -> None:
        runs = [{"run": line["run"], "attempt": line["attempt"]} for line in hit]
        self.journal.note("fault", what=what, hit=runs, clock=self.clock().isoformat(), **more)
