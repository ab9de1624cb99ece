"""Chaos where jobs run as their owners: a real hub, its servers for jobs, their runners and kernels.

Two people have runs of one notebook. Meanwhile their job servers, the runners and kernels in these, the
children that hold a state, the service and the hub are killed or stopped. Whoever looks after the hub starts
it again, as systemd does. Failed runs are resumed. Afterwards nothing may be left: no process, no named
server, no temporary file once one more run has cleared up after those that were killed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from respawn_jobs.access import Actor
from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.errors import RespawnError
from respawn_jobs.ledger import Ledger
from respawn_jobs.model.runs import Run, RunState
from support.chaos.sums import (
    JOB,
    Effect,
    broken_promises,
    effects_in,
    errors_in,
    promotion,
    wrong_resume,
    wrong_with,
)
from support.hub import RunningHub, running_hub
from support.notebooks import notebook, text
from support.processes import command_of, look
from support.waiting import moment, wait_for

PEOPLE = ("ada", "eve")
QUICK = ("kill a runner", "kill a held child", "kill the service", "stop a server", "kill a job server")
FAULTS = (*QUICK, "kill a kernel", "terminate a server", "stop the hub", "kill the hub")
_ENDS_IN_SECONDS = 60.0
"""For each run, at most, once nothing is disturbed any more."""
_HEALTHY_SECONDS = 120.0
_MAX_PAUSE = 3.0
_ENVIRONMENT = {
    "RESPAWN_JOB_SERVER_IDLE_SECONDS": "3",
    "RESPAWN_LEASE_SECONDS": "5",
    "RESPAWN_KEEP_KERNELS_SECONDS": "0",
}


@dataclass
class Story:
    """What came of it."""

    seed: int
    runs: list[Run] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    continued: int = 0
    """Attempts that went on from a kept state instead of the first cell."""
    resumed: int = 0
    """Failed runs that their owners resumed."""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)
    """The promises that were broken."""
    log: str = ""
    """What hub, service and servers said, when a promise was broken."""

    def __str__(self) -> str:
        """All figures, what was wrong, and the log then."""
        states = dict(Counter(run.state.value for run in self.runs))
        figures = (
            f"seed {self.seed}: {self.seconds:.0f} s, runs {states}, {self.attempts} attempts, "
            f"{self.continued} of them from a state, {self.resumed} resumed, faults {dict(self.faults)}"
        )
        return "\n".join([figures, *self.wrong, self.log])


def play(seed: int, directory: Path, *, runs: int, faults: Sequence[str], strikes: int) -> Story:
    """Let each person have some runs while faults are done, and return what came of it.

    Args:
        seed: what chance follows from.
        directory: an empty directory.
        runs: how many runs each person has.
        faults: the kinds of faults; each is done once before one is done again.
        strikes: how many there are.
    """
    began, story = time.monotonic(), Story(seed)
    temporary = directory / "tmp"
    temporary.mkdir()
    own = {"TMPDIR": str(temporary)}
    with running_hub(
        directory / "hub",
        users=PEOPLE,
        executor="hub",
        service_environment={**_ENVIRONMENT, **own},
        server_environment=own,
    ) as hub:
        scene = _Story(hub, story, random.Random(seed), directory / "effects")
        scene.prepare(runs)
        scene.disturb(faults, strikes)
        scene.see_through()
        scene.tidy(temporary)
    story.wrong += [f"left behind: {' '.join(command_of(one))}" for one in _processes(directory)]
    story.wrong += scene.judge()
    story.seconds = time.monotonic() - began
    if story.wrong:
        story.log = hub.log.read_text()
    return story


class _Story:
    def __init__(self, hub: RunningHub, story: Story, chance: random.Random, effects: Path) -> None:
        self._hub, self._story, self._chance, self._effects = hub, story, chance, effects
        self._runs: dict[str, str] = {}
        """Each run, and whose it is."""
        self._resumed: dict[str, str] = {}
        self._done: list[Effect] = []
        """What the first runs did."""
        effects.touch()

    def prepare(self, runs: int) -> None:
        """Give the runs to the queue."""
        for number, person in enumerate(PEOPLE):
            service = self._hub.service(person)
            service.promote(promotion(self._effects))
            for n in range(number * runs, (number + 1) * runs):
                self._runs[service.run(RunRequest(job=JOB, parameters={"n": n})).id] = person

    def disturb(self, faults: Sequence[str], strikes: int) -> None:
        """Do the faults one after the other, until all runs have ended."""
        wait_for(lambda: self._kernels(), 120, f"a kernel; see {self._hub.log}")
        order: list[str] = []
        for _ in range(strikes):
            order = order or self._chance.sample(list(faults), len(faults))
            moment(self._chance, _MAX_PAUSE)
            self._recover()
            if self._ended(self._runs):
                return
            if self._strike(order[-1]):
                self._story.faults[order.pop()] += 1
            else:  # there is nothing to hit at this moment
                self._chance.shuffle(order)

    def see_through(self) -> None:
        """Wait for all runs, resume those that failed, and wait for these."""
        self._wait_for(self._runs)
        self._done = effects_in(self._effects)
        for run, person in self._runs.items():
            service = self._hub.service(person)
            if service.show(run).run.state is not RunState.SUCCEEDED:
                self._resumed[service.resume(run, ResumeRequest(rerun_once=True)).id] = person
        self._story.resumed = len(self._resumed)
        self._wait_for(self._resumed)

    def tidy(self, temporary: Path) -> None:
        """See that idle servers go, and that further runs clear up what killed ones have left.

        A busy machine may end a server while its runners are at their last; the next run clears that up, too.
        """
        left: list[Path] = []
        for more in (True, True, False):
            self._wait_for_no_servers()
            left = [path for path in temporary.rglob("*") if not path.is_dir() or path.parent != temporary]
            if not left or not more:
                break
            for sockets in temporary.glob("respawn-kernel-*"):
                os.utime(sockets, (0, 0))  # a kernel that comes up may be quiet in them for minutes
            service = self._hub.service(PEOPLE[0])
            service.promote(Promotion(name="last", notebook=text(notebook("print(1)"))))
            self._wait_for({service.run(RunRequest(job="last")).id: PEOPLE[0]})
        self._story.wrong += [f"left behind: {path.relative_to(temporary)}" for path in left]

    def judge(self) -> list[str]:
        """Return what is wrong, now that the hub is stopped."""
        wrong = errors_in(self._hub.log.read_text())
        ledger = Ledger.embedded(self._hub.data)
        try:
            wrong += broken_promises(ledger, self._effects.parent)
            wrong += [f"{server.name} is still known" for server in ledger.job_servers()]
            for run, person in self._runs.items():
                service = ledger.as_actor(Actor.owner(person))
                detail = service.show(run)
                of_run = [effect for effect in self._done if effect.n == detail.run.parameters["n"]]
                wrong += wrong_with(service, detail.run, of_run)
                self._story.runs.append(detail.run)
                self._story.attempts += len(detail.attempts)
                notes = [attempt.note or "" for attempt in detail.attempts]
                self._story.continued += sum("continues from cell" in note for note in notes)
            for run, person in self._resumed.items():
                service = ledger.as_actor(Actor.owner(person))
                wrong += wrong_resume(service, service.show(run).run)
        finally:
            ledger.close()
        return wrong

    def _strike(self, fault: str) -> bool:
        """Do a fault; tell whether there was anything to hit."""
        kills: dict[str, Callable[[], list[psutil.Process]]] = {
            "kill a job server": self._servers,
            "kill a runner": self._runners,
            "kill a kernel": self._kernels,
            "kill a held child": self._held_children,
            "kill the service": self._services,
        }
        if fault == "kill the hub":
            self._hub.kill()
            return True
        if fault == "stop the hub":
            self._hub.process.send_signal(signal.SIGTERM)
            self._hub.process.wait(60)
            return True
        find = kills.get(fault, self._servers)
        try:
            found = wait_for(find, _MAX_PAUSE, fault)
        except AssertionError:
            return False
        hit = self._chance.choice(found)
        with suppress(psutil.NoSuchProcess, httpx.HTTPError):
            if fault == "stop a server":
                own = hit.environ()
                path = f"/users/{own['JUPYTERHUB_USER']}/servers/{own['JUPYTERHUB_SERVER_NAME']}"
                self._hub.hub_api("DELETE", path)
            elif fault == "terminate a server":
                hit.send_signal(self._chance.choice((signal.SIGTERM, signal.SIGINT)))
            else:
                hit.kill()
        return True

    def _servers(self) -> list[psutil.Process]:
        return self._those_with("respawn_server.job_server")

    def _runners(self) -> list[psutil.Process]:
        return self._those_with("respawn_jobs.runner.worker")

    def _kernels(self) -> list[psutil.Process]:
        return self._those_with("ipykernel_launcher")

    def _services(self) -> list[psutil.Process]:
        return [
            one for one in _processes(self._hub.directory) if command_of(one)[-2:] == ["-m", "respawn_hub"]
        ]

    def _held_children(self) -> list[psutil.Process]:
        names = {one: look(one.pid) for one in _processes(self._hub.directory)}
        return [one for one, seen in names.items() if seen is not None and seen.name.startswith("held-")]

    def _those_with(self, part: str) -> list[psutil.Process]:
        return [one for one in _processes(self._hub.directory) if part in " ".join(command_of(one))]

    def _recover(self) -> None:
        """Do what systemd does with a hub that has ended, until the service answers."""

        def healthy() -> bool:
            if self._hub.process.poll() is not None:
                self._hub.start_again()
            with suppress(httpx.HTTPError):
                return httpx.get(f"{self._hub.service_url}/api/v1/health").status_code == 200
            return False

        wait_for(healthy, _HEALTHY_SECONDS, f"the service; see {self._hub.log}")

    def _wait_for(self, runs: Mapping[str, str]) -> None:
        self._recover()
        many = max(len(runs), 1) * _ENDS_IN_SECONDS
        wait_for(lambda: self._ended(runs), many, f"the end of {[*runs]}; see {self._hub.log}")

    def _ended(self, runs: Mapping[str, str]) -> bool:
        with suppress(RespawnError):  # the service is away
            return all(self._hub.service(person).show(run).run.state.final for run, person in runs.items())
        return False

    def _wait_for_no_servers(self) -> None:
        wait_for(lambda: not self._named(), 120, f"the end of all job servers; see {self._hub.log}")

    def _named(self) -> list[str]:
        """Return the named servers that the hub knows, those that do not run among them."""
        found: list[str] = []
        for person in PEOPLE:
            answer = self._hub.hub_api("GET", f"/users/{person}?include_stopped_servers")
            found += [name for name in answer.json()["servers"] if name]
        return found


def _processes(directory: Path) -> list[psutil.Process]:
    """Return the processes of a hub in a directory, whoever their parents are: their variables name it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = any(str(directory) in text for text in process.environ().values())
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
